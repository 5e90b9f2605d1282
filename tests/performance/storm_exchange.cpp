#include "performance/storm_exchange.h"

#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace bridgehead::performance {
namespace {

constexpr std::size_t kLongestHead = 8192;

}  // namespace

HttpExchange::HttpExchange(const in_addr& from, const sockaddr_in& server, HttpQuestion question)
    : question_(std::move(question)), socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {
  out_ = fmt::format("{} {} HTTP/1.1\r\nHost: storm\r\nConnection: close\r\n", question_.method, question_.target);
  if (question_.method == "POST") out_ += fmt::format("Content-Length: {}\r\n", question_.body.size());
  if (question_.part) out_ += fmt::format("Range: bytes=0-{}\r\n", question_.file.size() - 1);
  out_ += "\r\n" + question_.body;
  sockaddr_in own{};
  own.sin_family = AF_INET;
  own.sin_addr = from;
  if (!socket_ || ::bind(socket_.get(), reinterpret_cast<sockaddr*>(&own), sizeof own) != 0 ||
      (::connect(socket_.get(), reinterpret_cast<const sockaddr*>(&server), sizeof server) != 0 &&
       errno != EINPROGRESS)) {
    problem_ = fmt::format("no connection: {}", std::strerror(errno));
  }
}

HttpExchange::Want HttpExchange::fail(std::string problem) {
  problem_ =
      fmt::format("{} {}: {}", question_.method, question_.target.substr(0, question_.target.find('?')), problem);
  socket_.reset();
  return Want::nothing;
}

HttpExchange::Want HttpExchange::advance() {
  if (!problem_.empty()) return fail(problem_);
  if (!out_.empty()) return send();
  thread_local std::array<char, 256 << 10> bytes;
  const auto got = ::recv(socket_.get(), bytes.data(), bytes.size(), 0);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return Want::read;
  if (got < 0) return fail(std::strerror(errno));
  if (got == 0) return fail(fmt::format("the connection ended after {} bytes of {}", received_, length_));
  return take({bytes.data(), static_cast<std::size_t>(got)});
}

HttpExchange::Want HttpExchange::send() {
  const auto sent = ::send(socket_.get(), out_.data(), out_.size(), MSG_NOSIGNAL);
  if (sent < 0 && (errno == EAGAIN || errno == EINTR)) return Want::write;
  if (sent < 0) return fail(std::strerror(errno));
  out_.erase(0, static_cast<std::size_t>(sent));
  return out_.empty() ? Want::read : Want::write;
}

// True once the head is there; `bytes` are then what follows it.
bool HttpExchange::take_head(std::string_view& bytes) {
  const auto before = head_.size();
  head_ += bytes.substr(0, kLongestHead);
  const auto end = head_.find("\r\n\r\n");
  if (end == std::string::npos) return false;
  bytes.remove_prefix(end + 4 - before);
  head_.resize(end + 2);
  status_ = head_.starts_with("HTTP/1.1 ") ? std::atoi(head_.c_str() + 9) : -1;
  const auto length = head_.find("\r\nContent-Length: ");
  length_ = length == std::string::npos ? 0 : std::strtoull(head_.c_str() + length + 18, nullptr, 10);
  return true;
}

HttpExchange::Want HttpExchange::take(std::string_view bytes) {
  if (status_ == 0 && !take_head(bytes)) {
    return head_.size() < kLongestHead ? Want::read : fail("the answer's head has no end");
  }
  const bool is_file = !question_.file.empty() && (status_ == 200 || status_ == 206);
  if (is_file && length_ != question_.file.size()) return fail(fmt::format("{} bytes are promised", length_));
  if (is_file && question_.file.substr(received_, bytes.size()) != bytes) {
    return fail(fmt::format("wrong bytes after {}", received_));
  }
  received_ += bytes.size();
  if (!is_file) body_ += bytes;
  if (received_ < length_) return Want::read;
  if (received_ > length_) return fail("more has come than was promised");
  socket_.reset();
  return Want::nothing;
}

}  // namespace bridgehead::performance
