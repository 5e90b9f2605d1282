#include "reconcile/ask_agent.h"

#include <condition_variable>
#include <mutex>

namespace bridgehead::reconcile {
namespace {

// Shared with the tunnel's handlers, which may come before `open` has returned and after the asker has given up.
struct Conversation {
  std::function<void(Result<std::string>)> told;
  std::mutex mutex;
  std::shared_ptr<Tunnel> tunnel;
  bool open = false;
  bool over = false;
  std::string text;

  // Both have to be so before anything is asked for, and either may come first.
  void resume() {
    std::shared_ptr<Tunnel> now;
    {
      const std::lock_guard lock(mutex);
      if (open) now = tunnel;
    }
    if (now) now->resume();
  }
};

struct Answer {
  std::mutex mutex;
  std::condition_variable_any changed;
  std::optional<Result<std::string>> told;
};

}  // namespace

std::shared_ptr<Tunnel> ask_agent(TunnelBroker& tunnels, const model::NodeId& node, const TunnelRequest& request,
                                  std::function<void(Result<std::string>)> told) {
  const auto talk = std::make_shared<Conversation>();
  talk->told = std::move(told);
  TunnelHandlers handlers;
  handlers.opened = [talk] {
    {
      const std::lock_guard lock(talk->mutex);
      talk->open = true;
    }
    talk->resume();
  };
  handlers.data = [talk](std::string bytes) {
    {
      const std::lock_guard lock(talk->mutex);
      if (talk->text.size() < kLongestAnswer) talk->text += bytes;
    }
    talk->resume();
  };
  handlers.closed = [talk](Status result) {
    std::shared_ptr<Tunnel> gone;  // let go outside the lock
    {
      const std::lock_guard lock(talk->mutex);
      talk->over = true;
      gone = std::move(talk->tunnel);
    }
    talk->told(result ? Result<std::string>(std::move(talk->text)) : forward(result));
  };
  auto tunnel = tunnels.open(node, request, std::move(handlers));
  if (!tunnel) {
    talk->told(forward(tunnel));
    return nullptr;
  }
  {
    const std::lock_guard lock(talk->mutex);
    if (!talk->over) talk->tunnel = *tunnel;
  }
  talk->resume();
  return std::move(*tunnel);
}

Result<std::string> ask_agent(TunnelBroker& tunnels, const model::NodeId& node, const TunnelRequest& request,
                              std::chrono::milliseconds patience, const std::stop_token& stop) {
  const auto answer = std::make_shared<Answer>();
  const auto tunnel = ask_agent(tunnels, node, request, [answer](Result<std::string> said) {
    const std::lock_guard lock(answer->mutex);
    answer->told = std::move(said);
    answer->changed.notify_all();
  });
  std::unique_lock lock(answer->mutex);
  if (answer->changed.wait_for(lock, stop, patience, [&] { return answer->told.has_value(); })) {
    return std::move(*answer->told);
  }
  lock.unlock();
  if (tunnel) tunnel->close("nobody waits for it any more");
  if (stop.stop_requested()) return fail(ErrorCode::cancelled, "it was cancelled");
  return fail(ErrorCode::timeout, "it gave no answer in {} s", patience.count() / 1000);
}

}  // namespace bridgehead::reconcile
