// The boot server: plain HTTP/1.1 for thousands of machines that boot at once. A few epoll threads move bytes (files by
// sendfile); what to answer is asked of a BootSite on a small pool, so that it may take milliseconds. Memory is bounded
// by the limits below, whatever clients do.
//
// GET and HEAD with single ranges (206, 416), ETag, If-None-Match, If-Range; POST and PUT with bodies; keep-alive.
// Thread-safe. The site must outlive stop().
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/units.h"

namespace bridgehead::netboot {

struct BootRequest {
  std::string method;                                      // "GET" (HEAD is asked as GET), "POST", "PUT"
  std::string path;                                        // percent-decoded; "/a/b", never with ".." or NUL
  std::vector<std::pair<std::string, std::string>> query;  // decoded, in order
  std::string body;                                        // at most BootServerOptions::body_limit
  std::string remote_address;                              // "10.20.0.101"
  std::string host;                                        // the Host header

  // The first of that name; "" if there is none.
  std::string_view parameter(std::string_view name) const;
};

// A file that the server sends itself, with ranges.
struct ServedFile {
  std::filesystem::path path;
  std::string etag;  // without quotes; "" = made of inode, size and time
  std::string content_type = "application/octet-stream";
};

struct BootAnswer {
  int status = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::string body;
  std::optional<ServedFile> file;  // then status and body don't count; a file that can't be opened is 404
  bool begins_boot = false;        // what this address gets is counted anew, from this answer on

  static BootAnswer text(std::string body, int status = 200) {
    BootAnswer answer;
    answer.status = status;
    answer.body = std::move(body);
    return answer;
  }
  static BootAnswer send(ServedFile file) {
    BootAnswer answer;
    answer.file = std::move(file);
    return answer;
  }
  static BootAnswer none() {  // 204
    BootAnswer answer;
    answer.status = 204;
    return answer;
  }
};

// What there is to boot. Called on several threads at once; must not throw (a throw becomes 500).
class BootSite {
 public:
  virtual ~BootSite() = default;
  virtual BootAnswer answer(const BootRequest& request) = 0;
};

struct BootServerOptions {
  std::string address = "0.0.0.0";  // IPv4 or IPv6
  std::uint16_t port = 0;           // 0 = any free one
  std::size_t threads = 2;          // that move bytes
  std::size_t workers = 4;          // that ask the site
  std::size_t connections = 8192;   // more are refused with 503
  std::size_t connections_per_address = 64;
  std::size_t header_limit = 8192;                                     // bytes; more: 431
  Bytes body_limit = 1_MiB;                                            // more: 413
  std::chrono::milliseconds header_timeout{std::chrono::seconds(10)};  // from the first byte to the whole request
  std::chrono::milliseconds idle_timeout{std::chrono::seconds(30)};    // between requests
  std::chrono::milliseconds stall_timeout{std::chrono::seconds(60)};   // a client that takes no byte
};

struct BootServerStatistics {
  std::uint64_t requests = 0;
  std::uint64_t bytes_sent = 0;
  std::uint64_t connections = 0;  // open now
  std::uint64_t refused = 0;      // by a limit
};

class BootServer {
 public:
  // unavailable: the port is taken; invalid_argument: the address.
  static Result<std::unique_ptr<BootServer>> start(const BootServerOptions& options, BootSite& site);
  ~BootServer();
  BootServer(const BootServer&) = delete;
  BootServer& operator=(const BootServer&) = delete;

  std::uint16_t port() const;
  // Ends all connections and joins all threads. Idempotent.
  void stop();

  BootServerStatistics statistics() const;
  // Bytes of bodies sent to this address since the start; the table keeps the newest 16,384 addresses.
  Bytes sent_to(std::string_view address) const;
  // Since the answer that began its boot. Nothing: this server has given it none.
  std::optional<Bytes> sent_in_boot(std::string_view address) const;

 private:
  class Engine;
  explicit BootServer(std::unique_ptr<Engine> engine);
  std::unique_ptr<Engine> engine_;
};

}  // namespace bridgehead::netboot
