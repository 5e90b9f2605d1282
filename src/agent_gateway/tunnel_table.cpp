#include "agent_gateway/tunnel_table.h"

#include <algorithm>
#include <vector>

namespace bridgehead::agent_gateway {
namespace {

class Handle final : public reconcile::Tunnel {
 public:
  explicit Handle(std::shared_ptr<TunnelEnd> end) : end_(std::move(end)) {}
  ~Handle() override { end_->close({}); }
  void write(std::string bytes, std::function<void()> sent) override { end_->write(std::move(bytes), std::move(sent)); }
  void resize(std::uint32_t columns, std::uint32_t rows) override { end_->resize(columns, rows); }
  void finish() override { end_->finish(); }
  void close(std::string error) override { end_->close(error); }
  void resume() override { end_->resume(); }

 private:
  const std::shared_ptr<TunnelEnd> end_;
};

}  // namespace

std::shared_ptr<reconcile::Tunnel> make_tunnel_handle(std::shared_ptr<TunnelEnd> end) {
  return std::make_shared<Handle>(std::move(end));
}

TunnelTable::TunnelTable(RandomSource& random, TunnelEnd::Limits limits, std::size_t per_node_limit)
    : random_(random), limits_(limits), per_node_limit_(per_node_limit) {}

TunnelTable::~TunnelTable() { workers_.stop(); }

Result<std::shared_ptr<TunnelEnd>> TunnelTable::create(const model::NodeId& node, std::uint64_t session_number,
                                                       reconcile::TunnelHandlers handlers) {
  const auto id = make_id<model::TunnelId>(random_);
  const std::lock_guard lock(mutex_);
  if (stopped_) return fail(ErrorCode::unavailable, "the manager is stopping");
  const auto same_node =
      std::ranges::count_if(tunnels_, [&](const auto& entry) { return entry.second->node() == node; });
  if (static_cast<std::size_t>(same_node) >= per_node_limit_) {
    return fail_with_hint(ErrorCode::resource_exhausted,
                          fmt::format("the node has {} open consoles and transfers", same_node), "Close some of them.");
  }
  auto tunnel = std::make_shared<TunnelEnd>(id, node, session_number, std::move(handlers), workers_, limits_,
                                            [this](const model::TunnelId& ended) { erase(ended); });
  tunnels_.emplace(id, tunnel);
  return tunnel;
}

std::shared_ptr<TunnelEnd> TunnelTable::find(const model::TunnelId& id, const model::NodeId& node) const {
  const std::lock_guard lock(mutex_);
  const auto found = tunnels_.find(id);
  return found != tunnels_.end() && found->second->node() == node ? found->second : nullptr;
}

void TunnelTable::end_of_session(std::uint64_t session_number, const Error& error) {
  std::vector<std::shared_ptr<TunnelEnd>> ending;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [id, tunnel] : tunnels_) {
      if (tunnel->session_number() == session_number) ending.push_back(tunnel);
    }
  }
  for (const auto& tunnel : ending) tunnel->fail(error);
}

void TunnelTable::stop(std::chrono::milliseconds within) {
  std::vector<std::shared_ptr<TunnelEnd>> ending;
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
    for (const auto& [id, tunnel] : tunnels_) ending.push_back(tunnel);
  }
  for (const auto& tunnel : ending) tunnel->fail({ErrorCode::unavailable, "the manager is stopping", {}});
  std::unique_lock lock(mutex_);
  emptied_.wait_for(lock, within, [this] { return tunnels_.empty(); });
}

std::size_t TunnelTable::size() const {
  const std::lock_guard lock(mutex_);
  return tunnels_.size();
}

void TunnelTable::erase(const model::TunnelId& id) {
  const std::lock_guard lock(mutex_);
  tunnels_.erase(id);
  if (tunnels_.empty()) emptied_.notify_all();
}

}  // namespace bridgehead::agent_gateway
