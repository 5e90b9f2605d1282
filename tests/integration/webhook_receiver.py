#!/usr/bin/env python3
"""Takes alerts as a site's own receiver would: writes "<condition> <state> <signature is right>" of each to a file.

  webhook_receiver.py PORT-FILE TOLD-FILE SECRET
"""
import hashlib
import hmac
import http.server
import json
import pathlib
import sys

port_file, told_file, secret = sys.argv[1:]


class Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        wanted = "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
        good = hmac.compare_digest(wanted, self.headers.get("X-Bridgehead-Signature", ""))
        alert = json.loads(body)
        with open(told_file, "a") as told:
            told.write(f"{alert['condition']} {alert['state']} {good}\n")
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


server = http.server.HTTPServer(("127.0.0.1", 0), Receiver)
pathlib.Path(port_file + ".new").write_text(str(server.server_port))
pathlib.Path(port_file + ".new").rename(port_file)
server.serve_forever()
