#include "reconcile/ask_agent.h"

#include <condition_variable>
#include <mutex>

namespace bridgehead::reconcile {
namespace {

// Shared with the tunnel's handlers, which may come before `open` has returned and after we have given up.
struct Conversation {
  std::mutex mutex;
  std::condition_variable_any changed;
  std::shared_ptr<Tunnel> tunnel;
  bool open = false;
  std::string text;
  std::optional<Status> closed;

  void resume() {
    std::shared_ptr<Tunnel> now;
    {
      const std::lock_guard lock(mutex);
      if (open) now = tunnel;
    }
    if (now) now->resume();
  }
};

}  // namespace

Result<std::string> ask_agent(TunnelBroker& tunnels, const model::NodeId& node, const TunnelRequest& request,
                              std::chrono::milliseconds patience, const std::stop_token& stop) {
  auto talk = std::make_shared<Conversation>();
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
    const std::lock_guard lock(talk->mutex);
    talk->closed = std::move(result);
    talk->tunnel.reset();
    talk->changed.notify_all();
  };
  const auto tunnel = tunnels.open(node, request, std::move(handlers));
  if (!tunnel) return forward(tunnel);
  {
    const std::lock_guard lock(talk->mutex);
    if (!talk->closed) talk->tunnel = *tunnel;
  }
  talk->resume();
  std::unique_lock lock(talk->mutex);
  const bool over = talk->changed.wait_for(lock, stop, patience, [&] { return talk->closed.has_value(); });
  if (!over) {
    lock.unlock();
    (*tunnel)->close("nobody waits for it any more");
    if (stop.stop_requested()) return fail(ErrorCode::cancelled, "it was cancelled");
    return fail(ErrorCode::timeout, "it gave no answer in {} s", patience.count() / 1000);
  }
  if (!*talk->closed) return forward(*talk->closed);
  return std::move(talk->text);
}

}  // namespace bridgehead::reconcile
