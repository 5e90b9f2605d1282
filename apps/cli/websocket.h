// One WebSocket to the manager (Boost.Beast over TLS, verified against the cluster's CA). Single-threaded: everything
// happens inside run(). Fails with `unavailable`, or the problem that the manager answered with.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/result.h"
#include "cli/api_client.h"

namespace bridgehead::cli {

struct Frame {
  bool binary = true;
  std::string bytes;
};

// Runs until either side closes: `input_fd` becomes readable -> on_input, a frame arrives -> on_frame; both may send.
// on_input false = close. The Status is how it ended; normal closure is success.
class WebSocket {
 public:
  static Result<std::unique_ptr<WebSocket>> connect(const Connection& connection, const std::string& path);
  ~WebSocket();

  void send(Frame frame);
  Status run(int input_fd, const std::function<bool()>& on_input, const std::function<void(const Frame&)>& on_frame,
             const std::function<void()>& on_resize);

 private:
  struct State;
  explicit WebSocket(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace bridgehead::cli
