#include "availability_desk/node_look.h"

#include <mutex>

namespace bridgehead::availability_desk {
namespace {

constexpr std::size_t kLongest = 64;  // of a number or a word

struct Look : std::enable_shared_from_this<Look> {
  explicit Look(std::function<void(const std::string&)> answer) : told(std::move(answer)) {}

  const std::function<void(const std::string&)> told;
  std::mutex mutex;
  std::shared_ptr<reconcile::Tunnel> tunnel;
  bool open = false;
  bool over = false;
  std::string text;

  // Both have to be so before anything is asked for, and either may come first.
  void resume() {
    std::shared_ptr<reconcile::Tunnel> on;
    {
      const std::lock_guard lock(mutex);
      if (open) on = tunnel;
    }
    if (on) on->resume();
  }
};

}  // namespace

void look(reconcile::TunnelBroker& broker, const model::NodeId& from, const reconcile::TunnelRequest& request,
          std::function<void(const std::string&)> told) {
  const auto one = std::make_shared<Look>(std::move(told));
  reconcile::TunnelHandlers handlers{.opened =
                                         [one] {
                                           {
                                             const std::lock_guard lock(one->mutex);
                                             one->open = true;
                                           }
                                           one->resume();
                                         },
                                     .data =
                                         [one](std::string bytes) {
                                           if (one->text.size() < kLongest) one->text += bytes;
                                           one->resume();
                                         },
                                     .closed =
                                         [one](Status result) {
                                           std::shared_ptr<reconcile::Tunnel> gone;  // let go outside the lock
                                           {
                                             const std::lock_guard lock(one->mutex);
                                             one->over = true;
                                             gone = std::move(one->tunnel);
                                           }
                                           if (result && !one->text.empty()) one->told(one->text);
                                         }};
  auto tunnel = broker.open(from, request, std::move(handlers));
  if (!tunnel) return;
  {
    const std::lock_guard lock(one->mutex);
    if (one->over) return;
    one->tunnel = std::move(*tunnel);
  }
  one->resume();
}

}  // namespace bridgehead::availability_desk
