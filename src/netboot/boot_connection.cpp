#include "netboot/boot_connection.h"

#include <fcntl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>

#include "base/file.h"

namespace bridgehead::netboot {
namespace {

// Sent to one client before others have their turn. Measured with 200 clients beside nginx (whose default is 2 MiB):
// 256 KiB gives about twice the throughput of 2 MiB, since a socket's buffer isn't filled to its brim and the client
// takes up meanwhile; with one client there is no difference. TCP_CORK made none either.
constexpr std::size_t kTurn = 256 << 10;
constexpr std::size_t kReadAtOnce = 16 << 10;
// After a refusal the rest of the request is read for a while: closing at once would reset the connection, and the
// client might never see why.
constexpr std::chrono::seconds kDrainTime{2};
constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";

}  // namespace

BootReply prepare_reply(BootAnswer answer) {
  BootReply reply;
  reply.status = answer.status;
  reply.begins_boot = answer.begins_boot;
  reply.content_type = std::move(answer.content_type);
  reply.body = std::move(answer.body);
  if (!answer.file) return reply;
  reply.body.clear();
  UniqueFd file(::open(answer.file->path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat info {};
  if (!file || ::fstat(file.get(), &info) != 0 || !S_ISREG(info.st_mode)) {
    reply.status = 404;
    reply.content_type = "text/plain; charset=utf-8";
    reply.body = "There is no such file.\n";
    return reply;
  }
  reply.status = 200;
  reply.content_type = std::move(answer.file->content_type);
  reply.file = std::move(file);
  reply.file_size = static_cast<std::uint64_t>(info.st_size);
  reply.etag = std::move(answer.file->etag);
  if (reply.etag.empty()) {
    reply.etag = fmt::format("{:x}-{:x}-{:x}{:08x}", info.st_ino, info.st_size, info.st_mtim.tv_sec,
                             static_cast<std::uint64_t>(info.st_mtim.tv_nsec));
  }
  return reply;
}

BootConnection::BootConnection(UniqueFd socket, std::shared_ptr<AddressTraffic> traffic,
                               const BootServerOptions& options, std::atomic<std::uint64_t>& sent)
    : options_(options), socket_(std::move(socket)), traffic_(std::move(traffic)), all_sent_(sent) {
  wait_at_most(options_.header_timeout);
}

BootConnection::Want BootConnection::readable() {
  if (state_ == State::draining) return drain();
  if (state_ != State::reading) return Want::nothing;
  // By way of the stack: most requests are short, and thousands of connections wait for one.
  char bytes[kReadAtOnce];
  const ssize_t got = ::recv(socket_.get(), bytes, sizeof bytes, 0);
  if (got == 0) return Want::close;
  if (got < 0) return errno == EAGAIN || errno == EINTR ? Want::read : Want::close;
  const std::size_t before = in_.size();
  in_.append(bytes, static_cast<std::size_t>(got));
  if (before == 0 && !head_) wait_at_most(options_.header_timeout);
  return parse();
}

// As far as what has come allows.
BootConnection::Want BootConnection::parse() {
  if (!head_) {
    if (const auto want = parse_head(); !head_) return want;
  }
  if (in_.size() < head_->content_length) return Want::read;
  request_ = head_->request;
  request_->body = in_.substr(0, head_->content_length);
  in_.erase(0, head_->content_length);
  request_->remote_address = traffic_->address;
  if (request_->method == "HEAD") request_->method = "GET";
  close_after_ = !head_->keep_alive;
  state_ = State::answering;
  deadline_ = Monotonic::max();
  return Want::nothing;
}

BootConnection::Want BootConnection::parse_head() {
  const auto end = find_head_end(in_);
  if (end.value_or(in_.size()) > options_.header_limit) return refuse(431, "The request's head is too long.\n");
  if (!end) return Want::read;
  auto head = parse_request_head(std::string_view(in_).substr(0, *end));
  if (!head) return refuse(head.error().status, head.error().why + ".\n");
  if (head->content_length > options_.body_limit.count()) return refuse(413, "The body is too long.\n");
  in_.erase(0, *end);
  if (head->expects_continue && in_.size() < head->content_length) {
    // Fits into the socket's empty buffer, or the client is none that is worth waiting for.
    [[maybe_unused]] const auto sent = ::send(socket_.get(), kContinue.data(), kContinue.size(), MSG_NOSIGNAL);
  }
  in_.reserve(head->content_length);
  head_ = std::move(*head);
  return Want::nothing;
}

BootConnection::Want BootConnection::refuse(int status, const std::string& why) {
  head_ = RequestHead{};
  close_after_ = true;
  BootReply reply;
  reply.status = status;
  reply.content_type = "text/plain; charset=utf-8";
  reply.body = why;
  return this->reply(std::move(reply));
}

std::optional<BootRequest> BootConnection::take_request() { return std::exchange(request_, std::nullopt); }

BootConnection::Want BootConnection::reply(BootReply reply) {
  reply_ = std::move(reply);
  if (reply_.begins_boot) traffic_->before_boot.store(traffic_->sent.load(std::memory_order_relaxed));
  AnswerHead answer{.status = reply_.status,
                    .content_type = reply_.content_type,
                    .content_length = reply_.body.size(),
                    .etag = reply_.etag,
                    .is_file = static_cast<bool>(reply_.file),
                    .file_size = reply_.file_size,
                    .keep_alive = !close_after_};
  file_left_ = 0;
  if (reply_.file) {
    answer.part = choose_part(*head_, reply_.file_size, reply_.etag);
    answer.status = answer.part.status;
    answer.content_length = answer.part.length;
    file_at_ = static_cast<off_t>(answer.part.offset);
    file_left_ = answer.part.length;
  }
  out_ = format_answer_head(answer);
  out_at_ = 0;
  body_at_ = 0;
  body_end_ = answer.status == 204 || answer.status == 304 ? 0 : reply_.body.size();
  if (head_->request.method == "HEAD") file_left_ = body_end_ = 0;
  state_ = State::sending;
  wait_at_most(options_.stall_timeout);
  return send_some();
}

BootConnection::Want BootConnection::writable() { return state_ == State::sending ? send_some() : Want::read; }

// False: the socket is full, or broken_.
bool BootConnection::send_head(bool more) {
  while (out_at_ < out_.size()) {
    const auto sent =
        ::send(socket_.get(), out_.data() + out_at_, out_.size() - out_at_, MSG_NOSIGNAL | (more ? MSG_MORE : 0));
    if (sent < 0) {
      broken_ = errno != EAGAIN && errno != EINTR;
      return false;
    }
    out_at_ += static_cast<std::size_t>(sent);
  }
  return true;
}

bool BootConnection::send_body(std::size_t& budget) {
  while (body_at_ < body_end_ && budget > 0) {
    const auto sent =
        ::send(socket_.get(), reply_.body.data() + body_at_, std::min(body_end_ - body_at_, budget), MSG_NOSIGNAL);
    if (sent < 0) {
      broken_ = errno != EAGAIN && errno != EINTR;
      return false;
    }
    body_at_ += static_cast<std::size_t>(sent);
    budget -= static_cast<std::size_t>(sent);
  }
  return body_at_ == body_end_;
}

bool BootConnection::send_file(std::size_t& budget) {
  while (file_left_ > 0 && budget > 0) {
    const auto sent =
        ::sendfile(socket_.get(), reply_.file.get(), &file_at_, std::min<std::uint64_t>(file_left_, budget));
    // Nothing sent: the file has become shorter than promised; only closing tells the client.
    if (sent <= 0) {
      broken_ = sent == 0 || (errno != EAGAIN && errno != EINTR);
      return false;
    }
    file_left_ -= static_cast<std::uint64_t>(sent);
    budget -= static_cast<std::size_t>(sent);
  }
  return file_left_ == 0;
}

BootConnection::Want BootConnection::send_some() {
  std::size_t budget = kTurn;
  const bool done = send_head(body_end_ > 0 || file_left_ > 0) && send_body(budget) && send_file(budget);
  if (broken_) return Want::close;
  if (const auto sent = kTurn - budget; sent > 0) {
    traffic_->sent.fetch_add(sent, std::memory_order_relaxed);
    all_sent_.fetch_add(sent, std::memory_order_relaxed);
    wait_at_most(options_.stall_timeout);
  }
  return done ? sent_all() : Want::write;
}

BootConnection::Want BootConnection::sent_all() {
  reply_ = BootReply{};
  head_.reset();
  out_.clear();
  if (close_after_) {
    ::shutdown(socket_.get(), SHUT_WR);
    state_ = State::draining;
    wait_at_most(kDrainTime);
    return drain();
  }
  state_ = State::reading;
  if (in_.empty()) {
    in_.shrink_to_fit();
    wait_at_most(options_.idle_timeout);
    return Want::read;
  }
  wait_at_most(options_.header_timeout);
  return parse();  // the next request came with this one
}

BootConnection::Want BootConnection::drain() {
  in_.clear();
  char nowhere[kReadAtOnce];
  for (int i = 0; i < 4; ++i) {
    const ssize_t got = ::recv(socket_.get(), nowhere, sizeof nowhere, 0);
    if (got > 0) continue;
    return got < 0 && (errno == EAGAIN || errno == EINTR) ? Want::read : Want::close;
  }
  return Want::read;
}

BootConnection::Want BootConnection::expired() {
  if (state_ != State::reading || (in_.empty() && !head_)) return Want::close;
  return refuse(408, "The request took too long.\n");
}

}  // namespace bridgehead::netboot
