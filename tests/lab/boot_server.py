#!/usr/bin/env python3
"""The manager's end of the boot protocol for tests of the initramfs: answers from files, writes down what it is told.

boot_server.py ADDRESS PORT DIRECTORY

DIRECTORY/plan       the plan; its first line "!403 why" (or any status) answers with that instead
DIRECTORY/files/     served below /boot/files/, with ranges
DIRECTORY/requests   one line per request: METHOD PATH STATUS
DIRECTORY/steps      "step message" of each progress report
DIRECTORY/log        the lines that machines sent
DIRECTORY/hardware   the last report
DIRECTORY/cut        if it is there: the next file answer ends after so many bytes, once
DIRECTORY/leave      if it is there: the server ends with the next plan
"""
import http.server
import os
import pathlib
import sys
import urllib.parse


class Boot(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    place = pathlib.Path()

    def answer(self, status, body=b"", headers=()):
        with (self.place / "requests").open("a") as log:
            log.write(f"{self.command} {self.path} {status}\n")
        self.send_response(status)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        self.close_connection = True

    def send_chunked(self, body):
        with (self.place / "requests").open("a") as log:
            log.write(f"{self.command} {self.path} 200\n")
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for start in range(0, len(body), 7):
            piece = body[start:start + 7]
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        self.wfile.write(b"0\r\n\r\n")
        self.close_connection = True

    def send_file(self, path):
        if not path.is_file():
            self.answer(404)
            return
        content = path.read_bytes()
        start = 0
        headers = []
        asked = self.headers.get("Range", "")
        if asked.startswith("bytes="):
            start = int(asked[6:].split("-")[0])
            headers = [("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")]
        body = content[start:]
        self.answer(206 if asked else 200, body, headers)
        cut = self.place / "cut"
        if cut.exists():
            body = body[:int(cut.read_text())]
            cut.unlink()
        self.wfile.write(body)

    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        if url.path == "/boot/v1/plan":
            plan = (self.place / "plan").read_bytes()
            if plan.startswith(b"!"):
                status, _, why = plan[1:].partition(b" ")
                self.answer(int(status), why)
                self.wfile.write(why)
            else:
                self.send_chunked(plan)
                if (self.place / "leave").exists():
                    (self.place / "leave").unlink()
                    os._exit(0)
        elif url.path.startswith("/boot/files/") and ".." not in url.path:
            self.send_file(self.place / "files" / url.path[len("/boot/files/"):])
        else:
            self.answer(404)

    def do_POST(self):
        url = urllib.parse.urlsplit(self.path)
        query = {name: values[0] for name, values in urllib.parse.parse_qs(url.query).items()}
        body = self.rfile.read(int(self.headers.get("Content-Length", "0"))).decode(errors="replace")
        kind = url.path.rsplit("/", 1)[-1]
        if kind == "progress":
            with (self.place / "steps").open("a") as steps:
                steps.write(f"{query['step']} {query.get('message', '')}\n")
        elif kind == "log":
            with (self.place / "log").open("a") as log:
                log.write(body)
        elif kind == "hardware":
            (self.place / "hardware").write_text(body)
        self.answer(204)

    def log_message(self, *_):
        pass


def main():
    address, port, place = sys.argv[1:]
    Boot.place = pathlib.Path(place)
    http.server.ThreadingHTTPServer((address, int(port)), Boot).serve_forever()


if __name__ == "__main__":
    main()
