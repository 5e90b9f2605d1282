#include "bench_desk/ask_node.h"

#include <condition_variable>
#include <mutex>

namespace bridgehead::bench_desk {
namespace {

constexpr std::size_t kLongestAnswer = 64 << 10;

// Shared with the tunnel's handlers, which may come before `open` has returned and after we have given up.
struct Conversation {
  std::mutex mutex;
  std::condition_variable_any changed;
  std::shared_ptr<reconcile::Tunnel> tunnel;
  bool open = false;
  std::string text;
  std::optional<Status> closed;

  void resume() {
    std::shared_ptr<reconcile::Tunnel> now;
    {
      const std::lock_guard lock(mutex);
      if (open) now = tunnel;
    }
    if (now) now->resume();
  }
};

}  // namespace

Result<load::ClientAnswer> ask_node(reconcile::TunnelBroker& tunnels, const model::NodeId& node,
                                    const model::Pool& pool, const load::ClientOrder& order,
                                    std::chrono::milliseconds patience, const std::stop_token& stop) {
  auto talk = std::make_shared<Conversation>();
  reconcile::TunnelHandlers handlers;
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
      if (talk->text.size() < kLongestAnswer) talk->text += bytes;  // cut off it can't be read
    }
    talk->resume();
  };
  handlers.closed = [talk](Status result) {
    const std::lock_guard lock(talk->mutex);
    talk->closed = std::move(result);
    talk->tunnel.reset();
    talk->changed.notify_all();
  };
  const auto tunnel =
      tunnels.open(node, {.kind = reconcile::TunnelKind::bench, .pool = pool, .bench_order = load::write_order(order)},
                   std::move(handlers));
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
    (*tunnel)->close("the benchmark was ended");
    if (stop.stop_requested()) return fail(ErrorCode::cancelled, "the benchmark was cancelled");
    return fail(ErrorCode::timeout, "it gave no answer in {} s", patience.count() / 1000);
  }
  if (!*talk->closed) return forward(*talk->closed);
  return load::read_answer(talk->text);
}

}  // namespace bridgehead::bench_desk
