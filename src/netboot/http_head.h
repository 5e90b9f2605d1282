// The text of HTTP/1.1 as the boot server speaks it: heads of requests, conditions, ranges and heads of answers. Pure
// and strict: what is ambiguous (two lengths, folded lines, bare line feeds, chunked bodies) is refused, not guessed.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "netboot/boot_server.h"

namespace bridgehead::netboot {

// A request's head. Views into nothing: all is copied.
struct RequestHead {
  BootRequest request;  // without body and remote address; method HEAD stays
  std::uint64_t content_length = 0;
  bool keep_alive = true;
  bool expects_continue = false;
  std::string range;
  std::string if_range;
  std::string if_none_match;
};

// Why a request isn't served: an HTTP status and a sentence.
struct HttpRefusal {
  int status = 400;
  std::string why;
};

// Length of the head with its empty line, once all of it has come.
std::optional<std::size_t> find_head_end(std::string_view bytes);

// `head` as find_head_end measured it.
tl::expected<RequestHead, HttpRefusal> parse_request_head(std::string_view head);

// Path and query, percent-decoded.
tl::expected<void, HttpRefusal> parse_target(std::string_view target, BootRequest& request);

// What of a file to send.
struct FilePart {
  int status = 200;  // 200, 206, 304, 416
  std::uint64_t offset = 0;
  std::uint64_t length = 0;
};

// `etag` without quotes. Several ranges at once and ranges that can't be read are answered by the whole file (RFC
// 9110).
FilePart choose_part(const RequestHead& head, std::uint64_t size, std::string_view etag);

struct AnswerHead {
  int status = 200;
  std::string_view content_type;
  std::uint64_t content_length = 0;  // of the body that follows, or would for HEAD
  std::string_view etag;             // "" = none
  bool is_file = false;              // says that ranges are possible
  FilePart part;                     // of a file
  std::uint64_t file_size = 0;
  bool keep_alive = true;
};

std::string format_answer_head(const AnswerHead& head);

std::string_view reason_phrase(int status);

}  // namespace bridgehead::netboot
