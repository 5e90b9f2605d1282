// A request's head and a response as values; no sockets here. Not thread-safe, as values are.
// Fails: parse_target with invalid_argument for a target that is no clean path and query.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace bridgehead::control_api::http {

enum class Method { get, head, post, put, patch, delete_, options, other };

std::string_view to_string(Method method);
Method method_from(std::string_view text);

using Fields = std::vector<std::pair<std::string, std::string>>;

struct Target {
  std::string path;                   // as sent, before '?', for messages and logs
  std::vector<std::string> segments;  // percent-decoded, valid UTF-8; "/" has none
  Fields query;                       // percent-decoded, in order
};

// RFC 9112 origin-form: "/a/b%20c?x=1&y". '+' in a query is a space, as forms send it. Refuses "." and ".." segments,
// empty segments inside, control characters and invalid UTF-8.
Result<Target> parse_target(std::string_view text);

struct Request {
  Method method = Method::other;
  std::string method_text;
  Target target;
  Fields headers;              // names in lower case
  std::string remote_address;  // without the port
  std::optional<std::uint64_t> content_length;
  bool has_body = false;  // a length other than 0, or chunked
  bool upgrade_websocket = false;

  std::string_view header(std::string_view lower_case_name) const;  // "" = absent
  std::optional<std::string> query(std::string_view name) const;    // the last one given
};

struct Response {
  unsigned status = 200;
  Fields headers;
  std::string body;

  Response& with(std::string name, std::string value) {
    headers.emplace_back(std::move(name), std::move(value));
    return *this;
  }
};

std::string_view reason_phrase(unsigned status);

// Status line, headers and the empty line. `length` empty = "Transfer-Encoding: chunked".
std::string serialize_head(const Response& response, std::optional<std::uint64_t> length, bool keep_alive);

bool is_valid_utf8(std::string_view text);
Result<std::string> percent_decode(std::string_view text, bool plus_is_space);

}  // namespace bridgehead::control_api::http
