#include "boot_services/frame_stream.h"

#include <poll.h>
#include <sys/socket.h>

#include <cerrno>

#include "model/json.h"

namespace bridgehead::boot_services {
namespace {

constexpr std::chrono::milliseconds kSlice{100};  // how soon a stop request is seen
constexpr std::size_t kHeader = 5;

tl::unexpected<Error> gone() { return fail(ErrorCode::unavailable, "the other side has gone"); }

template <typename T>
T value_of(const std::string& payload) {
  const auto json = nlohmann::json::parse(payload, nullptr, false);
  try {
    return json.get<T>();
  } catch (const std::exception&) {
    return {};
  }
}

template <typename T>
std::string text_of(const T& value) {
  return nlohmann::json(value).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace

Status FrameStream::send(const Frame& frame) {
  require(!frame.kind.empty() && frame.kind.size() <= kLongestKind, "a frame's kind");
  if (frame.payload.size() > kLongestPayload) {
    return fail(ErrorCode::resource_exhausted, "a message of {} bytes is too long", frame.payload.size());
  }
  std::string bytes;
  for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>((frame.payload.size() >> shift) & 255);
  bytes += static_cast<char>(frame.kind.size());
  bytes += frame.kind;
  bytes += frame.payload;
  const std::lock_guard lock(sending_);
  std::string_view rest = bytes;
  while (!rest.empty()) {
    const auto sent = ::send(socket_.get(), rest.data(), rest.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent >= 0) {
      rest.remove_prefix(static_cast<std::size_t>(sent));
      continue;
    }
    if (errno == EINTR) continue;
    if (errno != EAGAIN && errno != EWOULDBLOCK) return gone();
    pollfd waiting{socket_.get(), POLLOUT, 0};
    if (::poll(&waiting, 1, static_cast<int>(std::chrono::milliseconds(send_patience_).count())) == 0) {
      // What is sent next would be read as the rest of this frame.
      ::shutdown(socket_.get(), SHUT_RDWR);
      return fail(ErrorCode::timeout, "the other side takes nothing");
    }
  }
  return {};
}

// Of what has been received: the next whole frame.
Result<std::optional<Frame>> FrameStream::take() {
  if (received_.size() < kHeader) return std::nullopt;
  std::size_t length = 0;
  for (int i = 0; i < 4; ++i) length = length << 8 | static_cast<std::uint8_t>(received_[i]);
  const std::size_t kind = static_cast<std::uint8_t>(received_[4]);
  if (length > kLongestPayload || kind == 0 || kind > kLongestKind) {
    return fail(ErrorCode::data_corrupt, "what came is not a message of ours");
  }
  if (received_.size() < kHeader + kind + length) return std::nullopt;
  Frame frame{received_.substr(kHeader, kind), received_.substr(kHeader + kind, length)};
  received_.erase(0, kHeader + kind + length);
  return frame;
}

Result<std::optional<Frame>> FrameStream::receive(Steady::time_point deadline, const std::stop_token& stop) {
  char buffer[64 * 1024];
  while (true) {
    auto frame = take();
    if (!frame || *frame) return frame;
    const auto now = Steady::now();
    if (now >= deadline || stop.stop_requested()) return std::nullopt;
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - now);
    pollfd waiting{socket_.get(), POLLIN, 0};
    if (::poll(&waiting, 1, static_cast<int>(std::min(left, kSlice).count())) <= 0) continue;
    const auto got = ::recv(socket_.get(), buffer, sizeof buffer, MSG_DONTWAIT);
    if (got > 0) {
      received_.append(buffer, static_cast<std::size_t>(got));
    } else if (got == 0 || (errno != EINTR && errno != EAGAIN && errno != EWOULDBLOCK)) {
      return gone();
    }
  }
}

std::string error_payload(const Error& error) { return text_of(error); }
Error error_of(const std::string& payload) { return value_of<Error>(payload); }
std::string progress_payload(const Progress& progress) { return text_of(progress); }
Progress progress_of(const std::string& payload) { return value_of<Progress>(payload); }

}  // namespace bridgehead::boot_services
