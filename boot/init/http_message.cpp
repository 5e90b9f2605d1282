#include "http_message.h"

#include <algorithm>
#include <charconv>

#include "text.h"

namespace bridgehead::init {
namespace {

constexpr std::size_t longest_head = 64 * 1024;

tl::unexpected<Failure> bad_response(std::string why) {
  return fail("read the server's answer", std::move(why), "is bh.server really Bridgehead's manager?");
}

bool equal_ignoring_case(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) { return (x | 32) == (y | 32); });
}

}  // namespace

std::optional<Url> Url::parse(std::string_view text) {
  constexpr std::string_view scheme = "http://";
  if (!text.starts_with(scheme)) return std::nullopt;
  text.remove_prefix(scheme.size());
  const auto slash = std::min(text.find('/'), text.size());
  std::string authority(text.substr(0, slash));
  if (authority.find(':') == std::string::npos) authority += ":80";
  const auto server = Endpoint::parse(authority);
  const auto target = text.substr(slash);
  if (!server || target.find_first_of(" \t\r\n") != std::string_view::npos) return std::nullopt;
  return Url{*server, target.empty() ? "/" : std::string(target)};
}

std::string Url::text() const { return concat("http://", server.text(), target); }

std::string http_request(std::string_view method, const Url& url, std::string_view body, std::uint64_t offset) {
  auto request = concat(method, " ", url.target, " HTTP/1.1\r\nHost: ", url.server.text(),
                        "\r\nUser-Agent: bridgehead-init\r\nConnection: close\r\n");
  if (offset > 0) request += concat("Range: bytes=", offset, "-\r\n");
  if (method == "POST") request += concat("Content-Type: text/plain\r\nContent-Length: ", body.size(), "\r\n");
  return concat(request, "\r\n", body);
}

Result<std::optional<std::string>> HttpResponse::take_line(std::string_view& bytes) {
  const auto end = bytes.find('\n');
  const auto count = end == std::string_view::npos ? bytes.size() : end + 1;
  if (pending_.size() + count > longest_head) return bad_response("a line of it is too long");
  pending_ += bytes.substr(0, count);
  bytes.remove_prefix(count);
  if (end == std::string_view::npos) return std::optional<std::string>();
  auto line = std::move(pending_);
  pending_.clear();
  line.pop_back();
  if (line.ends_with('\r')) line.pop_back();
  return std::optional<std::string>(std::move(line));
}

Status HttpResponse::read_header(std::string_view line) {
  if (status_ == 0) {
    const auto fields = words(line);
    const auto number = fields.size() >= 2 && fields[0].starts_with("HTTP/1.") ? parse_number(fields[1]) : std::nullopt;
    if (!number || *number < 100 || *number > 599) return bad_response("it isn't HTTP");
    status_ = static_cast<int>(*number);
    return {};
  }
  auto value = line;
  const auto name = trim(take_until(value, ':'));
  value = trim(value);
  if (equal_ignoring_case(name, "content-length")) {
    content_length_ = parse_number(value);
    if (!content_length_) return bad_response("its content-length isn't a number");
  } else if (equal_ignoring_case(name, "transfer-encoding")) {
    if (!equal_ignoring_case(value, "chunked")) return bad_response(concat("unknown transfer-encoding ", value));
    chunked_ = true;
  } else if (equal_ignoring_case(name, "content-range") && value.starts_with("bytes ")) {
    value.remove_prefix(6);
    range_start_ = parse_number(take_until(value, '-'));
  }
  return {};
}

// The empty line after the headers has come.
Status HttpResponse::read_head() {
  if (status_ == 0) return bad_response("it isn't HTTP");
  if (status_ < 200) {  // 100 Continue: the answer itself follows
    *this = HttpResponse();
  } else if (status_ == 204 || status_ == 304) {
    state_ = State::complete;
  } else if (chunked_) {
    content_length_.reset();
    state_ = State::chunk_size;
  } else if (content_length_) {
    left_ = *content_length_;
    state_ = left_ == 0 ? State::complete : State::fixed;
  } else {
    state_ = State::until_close;
  }
  return {};
}

Status HttpResponse::read_chunk_line(std::string_view line) {
  if (state_ == State::chunk_end) {
    if (!line.empty()) return bad_response("a chunk doesn't end where it should");
    state_ = State::chunk_size;
    return {};
  }
  const auto digits = trim(line.substr(0, line.find(';')));
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), left_, 16);
  if (error != std::errc{} || end != digits.data() + digits.size()) return bad_response("a chunk has no size");
  state_ = left_ == 0 ? State::trailer : State::chunk_data;
  return {};
}

Status HttpResponse::feed(std::string_view bytes, std::string& body) {
  while (!bytes.empty() && state_ != State::complete) {
    if (state_ == State::until_close) {
      body += bytes;
      return {};
    }
    if (state_ == State::fixed || state_ == State::chunk_data) {
      const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(left_, bytes.size()));
      body += bytes.substr(0, count);
      bytes.remove_prefix(count);
      left_ -= count;
      if (left_ == 0) state_ = state_ == State::fixed ? State::complete : State::chunk_end;
      continue;
    }
    auto line = take_line(bytes);
    if (!line) return fail(line.error());
    if (!*line) return {};
    Status read;
    if (state_ == State::head) {
      read = (*line)->empty() ? read_head() : read_header(**line);
    } else if (state_ == State::trailer) {
      if ((*line)->empty()) state_ = State::complete;
    } else {
      read = read_chunk_line(**line);
    }
    if (!read) return read;
  }
  return {};
}

Status HttpResponse::end() {
  if (state_ == State::until_close) state_ = State::complete;
  if (state_ == State::complete) return {};
  return fail("read the server's answer", "the connection was closed before its end");
}

}  // namespace bridgehead::init
