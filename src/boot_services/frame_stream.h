// FrameStream: messages over a stream socket between the manager and its netboot helper. A frame is its payload's
// length (4 bytes, big-endian), its kind's (1 byte), the kind and the payload. One thread may receive while others
// send; sends come one after the other. What the other side says is not trusted: lengths are bounded.
//
// A connection carries one call: the request's frame, then "progress" frames and one "result" or "error". "cancel" from
// the caller asks the other side to give up, and so does the end of the connection. "watch" is a call that never
// ends: "watching", then an "address" frame whenever DHCP has given one. Payloads are records (model/codec.h).
#pragma once

#include <chrono>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>

#include "base/fd.h"
#include "base/progress.h"
#include "base/result.h"

namespace bridgehead::boot_services {

using Steady = std::chrono::steady_clock;

struct Frame {
  std::string kind;
  std::string payload;
  bool operator==(const Frame&) const = default;
};

class FrameStream {
 public:
  static constexpr std::size_t kLongestPayload = 64 << 20;
  static constexpr std::size_t kLongestKind = 32;

  explicit FrameStream(UniqueFd socket, std::chrono::milliseconds send_patience = std::chrono::seconds(30))
      : socket_(std::move(socket)), send_patience_(send_patience) {}

  // unavailable: the other side has gone; timeout: it takes nothing, and the stream has ended, since half a frame may
  // have been sent; resource_exhausted: `frame` is too long, nothing was sent.
  Status send(const Frame& frame);
  // The next one; nothing at the deadline or when `stop` is requested. unavailable: the other side has gone;
  // data_corrupt: what came is no frame.
  Result<std::optional<Frame>> receive(Steady::time_point deadline, const std::stop_token& stop = {});

 private:
  Result<std::optional<Frame>> take();

  UniqueFd socket_;
  const std::chrono::milliseconds send_patience_;
  std::mutex sending_;
  std::string received_;  // what came of the next frame
};

std::string error_payload(const Error& error);
Error error_of(const std::string& payload);
std::string progress_payload(const Progress& progress);
Progress progress_of(const std::string& payload);

}  // namespace bridgehead::boot_services
