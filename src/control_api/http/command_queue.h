// CommandQueue: what exchanges ask of a connection, waited for by the connection's coroutine. push() from any thread;
// everything else on the connection's strand.
#pragma once

#include <deque>
#include <mutex>
#include <optional>

#include "control_api/http/asio.h"
#include "control_api/http/exchange.h"

namespace bridgehead::control_api::http {

class CommandQueue {
 public:
  explicit CommandQueue(asio::any_io_executor strand);

  // `keep_alive` is held until the waiting coroutine has been woken, so that the queue still exists then.
  void push(Command command, std::shared_ptr<void> keep_alive);
  // Something that isn't a command happened.
  void wake() { timer_.cancel(); }

  // Server wishes to stop; no connection any more.
  bool stopping = false;
  bool cut = false;

  // Empty = cut, `ended` has become true, or (with `until_stop`) stopping.
  asio::awaitable<std::optional<Command>> next(bool until_stop, const bool& ended);
  asio::awaitable<std::optional<Command>> next(bool until_stop);

  void refuse_all();

 private:
  std::optional<Command> pop();

  asio::any_io_executor strand_;
  asio::steady_timer timer_;
  std::mutex mutex_;
  std::deque<Command> commands_;
};

}  // namespace bridgehead::control_api::http
