// A small HTTP server for tests of downloads: one file, some redirects, some misbehaviour; on loopback, a port of the
// kernel's choice. One thread, one connection after the other.
//   /file the content, or (under the tag that it has now) the rest of it from a position   /redirect -> /file   /loop
//   -> /loop   /to-ftp -> ftp://...   /cut half of it   /stall half, then nothing until the server ends   anything else
//   404
#pragma once

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <atomic>
#include <mutex>
#include <string>
#include <thread>

#include "base/fd.h"
#include "base/result.h"

namespace bridgehead::storage::testing {

class HttpFileServer {
 public:
  explicit HttpFileServer(std::string content)
      : content_(std::move(content)), listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    require(::bind(listener_.get(), generic, length) == 0 && ::listen(listener_.get(), 16) == 0 &&
                ::getsockname(listener_.get(), generic, &length) == 0,
            "the test's HTTP server can't listen");
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { serve(); });
  }
  ~HttpFileServer() {
    ending_ = true;
    ::shutdown(listener_.get(), SHUT_RDWR);
    thread_.join();
  }
  std::string url(const std::string& path) const { return fmt::format("http://127.0.0.1:{}{}", port_, path); }
  // Becomes true when /stall has sent all it will send.
  const std::atomic<bool>& stalled() const { return stalled_; }
  // Another entity tag: as if the file were another one now. Empty: none.
  void set_tag(std::string tag) {
    const std::lock_guard lock(mutex_);
    tag_ = std::move(tag);
  }
  // Where the last answer to /file began.
  std::uint64_t last_position() const { return last_position_; }

 private:
  void serve() {
    while (!ending_) {
      const UniqueFd client(::accept(listener_.get(), nullptr, nullptr));
      if (client) answer(client.get());
    }
  }
  void answer(int client) {
    std::string request;
    char buffer[4096];
    while (request.find("\r\n\r\n") == std::string::npos) {
      const ssize_t got = ::recv(client, buffer, sizeof buffer, 0);
      if (got <= 0) return;
      request.append(buffer, static_cast<std::size_t>(got));
    }
    const std::string path = request.substr(4, request.find(' ', 4) - 4);
    const std::string half = content_.substr(0, content_.size() / 2);
    const auto head =
        fmt::format("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", content_.size());
    if (path == "/file") return send_file(client, request);
    if (path == "/redirect") return redirect(client, "/file");
    if (path == "/loop") return redirect(client, "/loop");
    if (path == "/to-ftp") return redirect(client, "ftp://127.0.0.1/file");
    if (path == "/to-local") return redirect(client, "file:///etc/passwd");
    if (path == "/cut") return send(client, head + half);
    if (path != "/stall")
      return send(client, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    send(client, head + half);
    stalled_ = true;
    // Until the client goes away or the test ends.
    for (pollfd waiting{client, POLLRDHUP, 0}; !ending_ && ::poll(&waiting, 1, 20) == 0;) {
    }
  }
  void send_file(int client, const std::string& request) {
    std::string tag;
    {
      const std::lock_guard lock(mutex_);
      tag = tag_;
    }
    const auto range = request.find("\r\nRange: bytes=");
    const bool same = !tag.empty() && request.find("\r\nIf-Range: " + tag + "\r\n") != std::string::npos;
    const std::size_t from = range != std::string::npos && same ? std::stoull(request.substr(range + 15)) : 0;
    last_position_ = from;
    std::string head = from != 0 ? fmt::format("HTTP/1.1 206 Partial Content\r\nContent-Range: bytes {}-{}/{}\r\n",
                                               from, content_.size() - 1, content_.size())
                                 : "HTTP/1.1 200 OK\r\n";
    if (!tag.empty()) head += "ETag: " + tag + "\r\n";
    send(client, head + fmt::format("Content-Length: {}\r\nConnection: close\r\n\r\n", content_.size() - from));
    send(client, std::string_view(content_).substr(from));
  }
  void redirect(int client, const std::string& to) {
    send(client, "HTTP/1.1 302 Found\r\nLocation: " + to + "\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
  }
  void send(int client, std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(client, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return;
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
  }

  const std::string content_;
  const UniqueFd listener_;
  std::uint16_t port_ = 0;
  std::atomic<bool> ending_ = false;
  std::atomic<bool> stalled_ = false;
  std::atomic<std::uint64_t> last_position_ = 0;
  mutable std::mutex mutex_;
  std::string tag_ = "\"1\"";
  std::thread thread_;
};

}  // namespace bridgehead::storage::testing
