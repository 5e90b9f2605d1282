// One HTTP request over a connection of its own, as boot loaders and our initramfs make them; never blocks. Bytes of a
// file are compared as they come, so that a thousand exchanges need no memory. One thread.
#pragma once

#include <netinet/in.h>

#include <chrono>
#include <string>
#include <string_view>

#include "base/fd.h"

namespace bridgehead::performance {

struct HttpQuestion {
  std::string method = "GET";
  std::string target;
  std::string body;
  std::string_view file;  // what must come; empty = whatever comes is kept
  bool part = false;      // only this much of a longer file is asked for
};

class HttpExchange {
 public:
  enum class Want { read, write, nothing };  // nothing: it has ended

  // The connection begins at `from`.
  HttpExchange(const in_addr& from, const sockaddr_in& server, HttpQuestion question);

  Want advance();
  int fd() const { return socket_.get(); }
  int status() const { return status_; }
  const std::string& body() const { return body_; }
  const std::string& problem() const { return problem_; }  // "" = all that was promised has come
  std::uint64_t received() const { return received_; }
  std::chrono::duration<double> age() const { return std::chrono::steady_clock::now() - begun_; }

 private:
  Want fail(std::string problem);
  Want send();
  Want take(std::string_view bytes);
  bool take_head(std::string_view& bytes);

  HttpQuestion question_;
  UniqueFd socket_;
  std::string out_;
  std::string head_;
  std::string body_;
  std::string problem_;
  int status_ = 0;  // 0: the head is due
  std::uint64_t length_ = 0;
  std::uint64_t received_ = 0;
  std::chrono::steady_clock::time_point begun_ = std::chrono::steady_clock::now();
};

}  // namespace bridgehead::performance
