// Plain HTTP to the manager. Each call opens a connection, waits with deadlines, and closes it. One thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "deadline.h"
#include "files.h"
#include "http_message.h"
#include "result.h"

namespace bridgehead::init {

struct HttpAnswer {
  int status = 0;
  std::string body;  // at most 4 MiB; more is a failure
};

// A TCP connection, non-blocking; the NBD client uses it too.
Result<Fd> connect_to(const Endpoint& server, Deadline deadline);
// True also where the host refuses the connection: the network works, the program is away.
bool host_answers(const Endpoint& server, Deadline deadline);

Result<HttpAnswer> http_exchange(std::string_view method, const Url& url, std::string_view body, Deadline deadline);

struct Download {
  Url url;
  std::uint64_t size_limit = 0;  // bytes; a file that is larger is a failure
  std::string sha256;            // lower case
  // Called about once a second and at the end: bytes so far, bytes in all (0: unknown).
  std::function<void(std::uint64_t, std::uint64_t)> progress;
};
// Writes the file to `path` while it comes, and compares its digest. A connection that breaks or stands still for 15 s
// is opened again where it stopped, five times in a row at most.
Status download(const Download& download, const std::string& path);

}  // namespace bridgehead::init
