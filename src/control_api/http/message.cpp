#include "control_api/http/message.h"

#include <array>

namespace bridgehead::control_api::http {
namespace {

constexpr std::array<std::pair<Method, std::string_view>, 7> method_names{{{Method::get, "GET"},
                                                                           {Method::head, "HEAD"},
                                                                           {Method::post, "POST"},
                                                                           {Method::put, "PUT"},
                                                                           {Method::patch, "PATCH"},
                                                                           {Method::delete_, "DELETE"},
                                                                           {Method::options, "OPTIONS"}}};

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool has_control_character(std::string_view text) {
  for (const char c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) return true;
  }
  return false;
}

// The bytes of one UTF-8 sequence that begins at text[at], or 0 when it is none (RFC 3629: no overlong forms, no
// surrogates, nothing above U+10FFFF).
std::size_t utf8_sequence(std::string_view text, std::size_t at) {
  const auto byte = [&](std::size_t offset) -> unsigned {
    return at + offset < text.size() ? static_cast<unsigned char>(text[at + offset]) : 0U;
  };
  const auto continues = [&](std::size_t offset) { return (byte(offset) & 0xC0U) == 0x80U; };
  const unsigned first = byte(0);
  if (first < 0x80) return 1;
  if (first >= 0xC2 && first <= 0xDF) return continues(1) ? 2 : 0;
  if (first >= 0xE0 && first <= 0xEF) {
    if (!continues(1) || !continues(2)) return 0;
    if (first == 0xE0 && byte(1) < 0xA0) return 0;
    if (first == 0xED && byte(1) > 0x9F) return 0;
    return 3;
  }
  if (first >= 0xF0 && first <= 0xF4) {
    if (!continues(1) || !continues(2) || !continues(3)) return 0;
    if (first == 0xF0 && byte(1) < 0x90) return 0;
    if (first == 0xF4 && byte(1) > 0x8F) return 0;
    return 4;
  }
  return 0;
}

Result<std::string> decode_part(std::string_view text, bool plus_is_space, std::string_view what) {
  auto decoded = percent_decode(text, plus_is_space);
  if (!decoded) return decoded;
  if (!is_valid_utf8(*decoded)) return fail(ErrorCode::invalid_argument, "the {} is not valid UTF-8", what);
  if (has_control_character(*decoded)) {
    return fail(ErrorCode::invalid_argument, "the {} contains a control character", what);
  }
  return decoded;
}

Status parse_path(std::string_view path, std::vector<std::string>& segments) {
  std::size_t begin = 1;
  while (begin < path.size()) {
    const std::size_t end = std::min(path.find('/', begin), path.size());
    auto segment = decode_part(path.substr(begin, end - begin), false, "path");
    if (!segment) return forward(segment);
    if (segment->empty() || *segment == "." || *segment == "..") {
      return fail(ErrorCode::invalid_argument, "the path has an empty, '.' or '..' part");
    }
    segments.push_back(std::move(*segment));
    begin = end + 1;
  }
  return {};
}

Status parse_query(std::string_view text, Fields& query) {
  std::size_t begin = 0;
  while (begin < text.size()) {
    const std::size_t end = std::min(text.find('&', begin), text.size());
    const std::string_view pair = text.substr(begin, end - begin);
    begin = end + 1;
    if (pair.empty()) continue;
    const std::size_t equals = std::min(pair.find('='), pair.size());
    auto name = decode_part(pair.substr(0, equals), true, "query");
    if (!name) return forward(name);
    auto value = decode_part(equals < pair.size() ? pair.substr(equals + 1) : "", true, "query");
    if (!value) return forward(value);
    query.emplace_back(std::move(*name), std::move(*value));
  }
  return {};
}

}  // namespace

std::string_view to_string(Method method) {
  for (const auto& [value, name] : method_names) {
    if (value == method) return name;
  }
  return "OTHER";
}

Method method_from(std::string_view text) {
  for (const auto& [value, name] : method_names) {
    if (name == text) return value;
  }
  return Method::other;
}

bool is_valid_utf8(std::string_view text) {
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t length = utf8_sequence(text, at);
    if (length == 0) return false;
    at += length;
  }
  return true;
}

Result<std::string> percent_decode(std::string_view text, bool plus_is_space) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '+' && plus_is_space) {
      out += ' ';
    } else if (text[i] != '%') {
      out += text[i];
    } else {
      const int high = i + 2 < text.size() ? hex_value(text[i + 1]) : -1;
      const int low = i + 2 < text.size() ? hex_value(text[i + 2]) : -1;
      if (high < 0 || low < 0) {
        return fail(ErrorCode::invalid_argument, "the address has a '%' that two hex digits don't follow");
      }
      out += static_cast<char>(high * 16 + low);
      i += 2;
    }
  }
  return out;
}

Result<Target> parse_target(std::string_view text) {
  if (text.empty() || text.front() != '/') {
    return fail(ErrorCode::invalid_argument, "the request target must begin with '/'");
  }
  if (text.size() > 8192) return fail(ErrorCode::invalid_argument, "the address is longer than 8192 characters");
  Target target;
  const std::size_t question = std::min(text.find('?'), text.size());
  target.path = std::string(text.substr(0, question));
  if (const auto path = parse_path(target.path, target.segments); !path) return forward(path);
  if (question < text.size()) {
    if (const auto query = parse_query(text.substr(question + 1), target.query); !query) return forward(query);
  }
  return target;
}

std::string_view Request::header(std::string_view lower_case_name) const {
  for (const auto& [name, value] : headers) {
    if (name == lower_case_name) return value;
  }
  return {};
}

std::optional<std::string> Request::query(std::string_view name) const {
  for (auto it = target.query.rbegin(); it != target.query.rend(); ++it) {
    if (it->first == name) return it->second;
  }
  return std::nullopt;
}

std::string_view reason_phrase(unsigned status) {
  switch (status) {
    case 200: return "OK";
    case 201: return "Created";
    case 202: return "Accepted";
    case 204: return "No Content";
    case 304: return "Not Modified";
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 408: return "Request Timeout";
    case 409: return "Conflict";
    case 411: return "Length Required";
    case 413: return "Content Too Large";
    case 415: return "Unsupported Media Type";
    case 422: return "Unprocessable Content";
    case 426: return "Upgrade Required";
    case 429: return "Too Many Requests";
    case 431: return "Request Header Fields Too Large";
    case 500: return "Internal Server Error";
    case 503: return "Service Unavailable";
    case 504: return "Gateway Timeout";
    case 507: return "Insufficient Storage";
    default: return status < 400 ? "OK" : "Error";
  }
}

std::string serialize_head(const Response& response, std::optional<std::uint64_t> length, bool keep_alive) {
  std::string out = fmt::format("HTTP/1.1 {} {}\r\n", response.status, reason_phrase(response.status));
  for (const auto& [name, value] : response.headers) {
    out += name;
    out += ": ";
    // A line break inside a value would let whoever chose it write headers of their own.
    for (const char c : value) out += (c == '\r' || c == '\n' || c == '\0') ? ' ' : c;
    out += "\r\n";
  }
  const bool bodiless = response.status == 204 || response.status == 304;
  if (length && !bodiless) out += fmt::format("Content-Length: {}\r\n", *length);
  if (!length) out += "Transfer-Encoding: chunked\r\n";
  out += "X-Content-Type-Options: nosniff\r\n";
  out += keep_alive ? "Connection: keep-alive\r\n\r\n" : "Connection: close\r\n\r\n";
  return out;
}

}  // namespace bridgehead::control_api::http
