// HTTP/1.1 as far as a boot needs it: URLs with a numeric IPv4 host, requests that close the connection, and a parser
// of responses that takes bytes as they come. Pure; no socket here.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "address.h"
#include "result.h"

namespace bridgehead::init {

struct Url {
  Endpoint server;
  std::string target = "/";  // path and query

  static std::optional<Url> parse(std::string_view text);
  std::string text() const;
};

// `offset` above 0 asks for the rest of a file from there.
std::string http_request(std::string_view method, const Url& url, std::string_view body, std::uint64_t offset = 0);

class HttpResponse {
 public:
  // Takes the next bytes; what belongs to the body is appended to `body`. Fails by a response that can't be read.
  Status feed(std::string_view bytes, std::string& body);
  // The other side has closed the connection: fails where something is missing.
  Status end();

  bool head_complete() const { return state_ != State::head; }
  bool complete() const { return state_ == State::complete; }
  int status() const { return status_; }
  // Of the body, where the server said it.
  std::optional<std::uint64_t> content_length() const { return content_length_; }
  // "bytes 100-199/200" of a 206: where the body begins in the file.
  std::optional<std::uint64_t> range_start() const { return range_start_; }

 private:
  enum class State { head, fixed, until_close, chunk_size, chunk_data, chunk_end, trailer, complete };
  Status read_head();
  Status read_header(std::string_view line);
  Status read_chunk_line(std::string_view line);
  // A line without its end from `bytes` and what is pending of it; nothing where it isn't whole.
  Result<std::optional<std::string>> take_line(std::string_view& bytes);

  State state_ = State::head;
  std::string pending_;
  int status_ = 0;
  bool chunked_ = false;
  std::optional<std::uint64_t> content_length_;
  std::optional<std::uint64_t> range_start_;
  std::uint64_t left_ = 0;  // of the body or the chunk
};

}  // namespace bridgehead::init
