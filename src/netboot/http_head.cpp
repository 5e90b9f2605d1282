#include "netboot/http_head.h"

#include <algorithm>
#include <charconv>

#include "base/text.h"

namespace bridgehead::netboot {
namespace {

using Refused = tl::unexpected<HttpRefusal>;

Refused refuse(int status, std::string why) { return Refused(HttpRefusal{status, std::move(why)}); }

bool is_token(std::string_view text) {
  constexpr std::string_view kToken = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
  return !text.empty() && text.find_first_not_of(kToken) == std::string_view::npos;
}

bool same_word(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; };
  return a.size() == b.size() &&
         std::equal(a.begin(), a.end(), b.begin(), [&](char x, char y) { return lower(x) == lower(y); });
}

// Takes what stands before `separator` off the front.
std::string_view take(std::string_view& text, char separator) {
  const auto at = text.find(separator);
  const auto front = text.substr(0, at);
  text.remove_prefix(at == std::string_view::npos ? text.size() : at + 1);
  return front;
}

// Digits only, no sign, no overflow.
std::optional<std::uint64_t> whole_number(std::string_view text) {
  std::uint64_t value = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || parsed.ec != std::errc() || parsed.ptr != text.data() + text.size()) return std::nullopt;
  return value;
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// NUL and other control characters have no business in paths, names and values of ours.
std::optional<std::string> percent_decoded(std::string_view text) {
  std::string result;
  for (std::size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '%') {
      if (i + 2 >= text.size()) return std::nullopt;
      const int high = hex_digit(text[i + 1]);
      const int low = hex_digit(text[i + 2]);
      if (high < 0 || low < 0) return std::nullopt;
      c = static_cast<char>(high * 16 + low);
      i += 2;
    }
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) return std::nullopt;
    result += c;
  }
  return result;
}

bool is_plain_path(std::string_view path) {
  if (!path.starts_with('/')) return false;
  std::string_view rest = path.substr(1);
  while (!rest.empty()) {
    const auto segment = take(rest, '/');
    if (segment.empty() || segment == "." || segment == "..") return false;
  }
  return true;
}

bool lists_word(std::string_view list, std::string_view word) {
  while (!list.empty()) {
    if (same_word(trimmed(take(list, ',')), word)) return true;
  }
  return false;
}

// Fields that mean something here; others are read and forgotten. A field that may stand once stands once.
struct FieldReader {
  RequestHead& head;
  bool host = false;
  bool length = false;

  tl::expected<void, HttpRefusal> read(std::string_view name, std::string_view value) {
    if (same_word(name, "host")) {
      if (std::exchange(host, true)) return refuse(400, "two Host fields");
      head.request.host = value;
    } else if (same_word(name, "content-length")) {
      const auto number = whole_number(value);
      if (std::exchange(length, true) || !number) return refuse(400, "a bad Content-Length");
      head.content_length = *number;
    } else if (same_word(name, "transfer-encoding")) {
      return refuse(501, "bodies must come with a Content-Length");
    } else if (same_word(name, "connection")) {
      if (lists_word(value, "close")) head.keep_alive = false;
      if (lists_word(value, "keep-alive")) head.keep_alive = true;
    } else if (same_word(name, "expect")) {
      if (!same_word(value, "100-continue")) return refuse(417, "an unknown expectation");
      head.expects_continue = true;
    } else if (same_word(name, "range")) {
      head.range = value;
    } else if (same_word(name, "if-range")) {
      head.if_range = value;
    } else if (same_word(name, "if-none-match")) {
      head.if_none_match = value;
    }
    return {};
  }
};

tl::expected<void, HttpRefusal> parse_request_line(std::string_view line, RequestHead& head, bool& is_http11) {
  const auto method = take(line, ' ');
  const auto target = take(line, ' ');
  if (line != "HTTP/1.1" && line != "HTTP/1.0") {
    return refuse(line.starts_with("HTTP/") ? 505 : 400, "HTTP/1.1 is spoken here");
  }
  is_http11 = line == "HTTP/1.1";
  head.keep_alive = is_http11;
  if (!is_token(method)) return refuse(400, "a bad method");
  if (method != "GET" && method != "HEAD" && method != "POST" && method != "PUT") {
    return refuse(405, "GET, HEAD, POST and PUT are possible");
  }
  head.request.method = method;
  return parse_target(target, head.request);
}

// "\"a\", W/\"b\"" or "*"; weak comparison.
bool etag_matches(std::string_view list, std::string_view etag) {
  if (trimmed(list) == "*") return true;
  while (!list.empty()) {
    auto one = trimmed(take(list, ','));
    if (one.starts_with("W/")) one.remove_prefix(2);
    if (one.size() == etag.size() + 2 && one.front() == '"' && one.back() == '"' &&
        one.substr(1, etag.size()) == etag) {
      return true;
    }
  }
  return false;
}

}  // namespace

std::string_view BootRequest::parameter(std::string_view name) const {
  for (const auto& [key, value] : query) {
    if (key == name) return value;
  }
  return {};
}

std::optional<std::size_t> find_head_end(std::string_view bytes) {
  const auto at = bytes.find("\r\n\r\n");
  if (at == std::string_view::npos) return std::nullopt;
  return at + 4;
}

tl::expected<void, HttpRefusal> parse_target(std::string_view target, BootRequest& request) {
  const auto path = percent_decoded(take(target, '?'));
  if (!path || !is_plain_path(*path)) return refuse(400, "a bad path");
  request.path = *path;
  while (!target.empty()) {
    auto parameter = take(target, '&');
    const auto name = percent_decoded(take(parameter, '='));
    const auto value = percent_decoded(parameter);
    if (!name || !value) return refuse(400, "a bad query");
    if (!name->empty()) request.query.emplace_back(*name, *value);
  }
  return {};
}

tl::expected<RequestHead, HttpRefusal> parse_request_head(std::string_view bytes) {
  RequestHead head;
  bool is_http11 = true;
  const auto line_end = bytes.find("\r\n");
  if (line_end == std::string_view::npos) return refuse(400, "no request");
  if (auto good = parse_request_line(bytes.substr(0, line_end), head, is_http11); !good) {
    return Refused(good.error());
  }
  bytes.remove_prefix(line_end + 2);
  FieldReader fields{head};
  while (!bytes.empty() && !bytes.starts_with("\r\n")) {
    const auto end = bytes.find("\r\n");
    if (end == std::string_view::npos) return refuse(400, "a field without its end");
    const auto line = bytes.substr(0, end);
    bytes.remove_prefix(end + 2);
    const bool has_control = std::any_of(line.begin(), line.end(), [](char c) {
      return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f;
    });
    const auto colon = line.find(':');
    if (has_control || colon == std::string_view::npos || !is_token(line.substr(0, colon))) {
      return refuse(400, "a bad field");
    }
    if (auto good = fields.read(line.substr(0, colon), trimmed(line.substr(colon + 1), " \t")); !good) {
      return Refused(good.error());
    }
  }
  if (is_http11 && !fields.host) return refuse(400, "no Host field");
  return head;
}

FilePart choose_part(const RequestHead& head, std::uint64_t size, std::string_view etag) {
  const FilePart whole{200, 0, size};
  if (!head.if_none_match.empty() && etag_matches(head.if_none_match, etag)) return {304, 0, 0};
  std::string_view range = head.range;
  if (!range.starts_with("bytes=") || range.find(',') != std::string_view::npos) return whole;
  // Only our strong tag holds; a date or another tag means that the file may have changed.
  if (!head.if_range.empty() && head.if_range != fmt::format("\"{}\"", etag)) return whole;
  range.remove_prefix(6);
  const auto dash = range.find('-');
  if (dash == std::string_view::npos) return whole;
  const auto first_text = trimmed(range.substr(0, dash));
  const auto last_text = trimmed(range.substr(dash + 1));
  const FilePart none{416, 0, 0};
  if (first_text.empty()) {
    const auto suffix = whole_number(last_text);
    if (!suffix) return whole;
    if (*suffix == 0 || size == 0) return none;
    const auto length = std::min(*suffix, size);
    return {206, size - length, length};
  }
  const auto first = whole_number(first_text);
  const auto last = last_text.empty() ? std::optional<std::uint64_t>(UINT64_MAX) : whole_number(last_text);
  if (!first || !last || *last < *first) return whole;
  if (*first >= size) return none;
  return {206, *first, std::min(*last, size - 1) - *first + 1};
}

std::string_view reason_phrase(int status) {
  switch (status) {
    case 200: return "OK";
    case 201: return "Created";
    case 202: return "Accepted";
    case 204: return "No Content";
    case 206: return "Partial Content";
    case 304: return "Not Modified";
    case 400: return "Bad Request";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 408: return "Request Timeout";
    case 409: return "Conflict";
    case 413: return "Content Too Large";
    case 416: return "Range Not Satisfiable";
    case 417: return "Expectation Failed";
    case 429: return "Too Many Requests";
    case 431: return "Request Header Fields Too Large";
    case 500: return "Internal Server Error";
    case 501: return "Not Implemented";
    case 503: return "Service Unavailable";
    case 505: return "HTTP Version Not Supported";
    default: return "Status";
  }
}

std::string format_answer_head(const AnswerHead& head) {
  std::string text = fmt::format("HTTP/1.1 {} {}\r\n", head.status, reason_phrase(head.status));
  // 204 and 304 have no body, whatever was asked.
  if (head.status != 204 && head.status != 304) text += fmt::format("Content-Length: {}\r\n", head.content_length);
  if (!head.content_type.empty() && head.status != 204 && head.status != 304) {
    text += fmt::format("Content-Type: {}\r\n", head.content_type);
  }
  if (head.is_file) {
    text += fmt::format("ETag: \"{}\"\r\nAccept-Ranges: bytes\r\n", head.etag);
    if (head.status == 206) {
      text += fmt::format("Content-Range: bytes {}-{}/{}\r\n", head.part.offset,
                          head.part.offset + head.part.length - 1, head.file_size);
    }
    if (head.status == 416) text += fmt::format("Content-Range: bytes */{}\r\n", head.file_size);
  }
  if (head.status == 405) text += "Allow: GET, HEAD, POST, PUT\r\n";
  text += head.keep_alive ? "Connection: keep-alive\r\n\r\n" : "Connection: close\r\n\r\n";
  return text;
}

}  // namespace bridgehead::netboot
