#include "control_api/http/command_queue.h"

#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace bridgehead::control_api::http {

CommandQueue::CommandQueue(asio::any_io_executor strand) : strand_(strand), timer_(std::move(strand)) {}

void CommandQueue::push(Command command, std::shared_ptr<void> keep_alive) {
  {
    const std::lock_guard lock(mutex_);
    commands_.push_back(std::move(command));
  }
  // On the strand the coroutine is either past its look at the queue and waits, or will look again: no wake-up is lost.
  asio::post(strand_, [this, keep_alive = std::move(keep_alive)] { timer_.cancel(); });
}

std::optional<Command> CommandQueue::pop() {
  const std::lock_guard lock(mutex_);
  if (commands_.empty()) return std::nullopt;
  std::optional<Command> command(std::move(commands_.front()));
  commands_.pop_front();
  return command;
}

asio::awaitable<std::optional<Command>> CommandQueue::next(bool until_stop, const bool& ended) {
  for (;;) {
    std::optional<Command> command;
    if (cut || ended || (until_stop && stopping)) co_return command;
    command = pop();
    if (command) co_return command;
    timer_.expires_at(std::chrono::steady_clock::time_point::max());
    boost::system::error_code ignored;  // always "cancelled"
    co_await timer_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  }
}

asio::awaitable<std::optional<Command>> CommandQueue::next(bool until_stop) {
  const bool never = false;
  std::optional<Command> command = co_await next(until_stop, never);
  co_return command;
}

void CommandQueue::refuse_all() {
  while (auto command = pop()) refuse(*command);
}

}  // namespace bridgehead::control_api::http
