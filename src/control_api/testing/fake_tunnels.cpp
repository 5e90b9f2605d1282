#include "control_api/testing/fake_tunnels.h"

namespace bridgehead::control_api::testing {

class FakeTunnels::FakeTunnel final : public reconcile::Tunnel, public std::enable_shared_from_this<FakeTunnel> {
 public:
  FakeTunnel(FakeTunnels& owner, AgentScript script, reconcile::TunnelHandlers handlers)
      : owner_(owner), script_(std::move(script)), handlers_(std::move(handlers)) {}

  void begin() {
    if (script_.at_once) return end(fail(*script_.at_once));
    post([this] { handlers_.opened(); });
  }

  void write(std::string bytes, std::function<void()> sent) override {
    const std::lock_guard lock(owner_.mutex_);
    if (ended_) return;
    owner_.received_ += bytes;
    if (script_.kind == AgentScript::Kind::echo) outgoing_.push_back(std::move(bytes));
    if (script_.hold_sent && owner_.released_ == 0) {
      held_.push_back(std::move(sent));
    } else {
      if (script_.hold_sent) --owner_.released_;
      if (sent) post(std::move(sent));
    }
    deliver();
    owner_.changed_.notify_all();
  }

  void resize(std::uint32_t columns, std::uint32_t rows) override {
    const std::lock_guard lock(owner_.mutex_);
    owner_.size_ = {columns, rows};
    owner_.changed_.notify_all();
  }

  void finish() override { end({}); }

  void close(std::string) override {
    const std::lock_guard lock(owner_.mutex_);
    if (std::exchange(ended_, true)) return;
    ++owner_.closed_by_client_;
    post([this] {
      handlers_.closed(fail(ErrorCode::cancelled, "closed by us"));
      handlers_ = {};
    });
    owner_.changed_.notify_all();
  }

  void resume() override {
    const std::lock_guard lock(owner_.mutex_);
    if (ended_) return;
    ++credits_;
    deliver();
  }

  void end(Status result) {
    const std::lock_guard lock(owner_.mutex_);
    if (std::exchange(ended_, true)) return;
    post([this, result] {
      handlers_.closed(result);
      handlers_ = {};
    });
  }

  // Lock held.
  void release_held() {
    while (!held_.empty() && owner_.released_ > 0) {
      --owner_.released_;
      if (held_.front()) post(std::move(held_.front()));
      held_.pop_front();
    }
  }

 private:
  void post(std::function<void()> task) {
    owner_.workers_.submit([self = shared_from_this(), task = std::move(task)] { task(); });
  }

  // Lock held.
  void deliver() {
    while (credits_ > 0) {
      std::string piece;
      if (script_.kind == AgentScript::Kind::source) {
        if (at_ == script_.payload.size()) {
          if (std::exchange(ended_, true)) return;
          post([this] {
            handlers_.closed(script_.after_source ? Status(fail(*script_.after_source)) : Status());
            handlers_ = {};
          });
          return;
        }
        piece = script_.payload.substr(at_, script_.chunk);
        at_ += piece.size();
      } else {
        if (outgoing_.empty()) return;
        piece = std::move(outgoing_.front());
        outgoing_.pop_front();
      }
      --credits_;
      post([this, piece] {
        if (handlers_.data) handlers_.data(piece);
      });
    }
  }

  FakeTunnels& owner_;
  const AgentScript script_;
  reconcile::TunnelHandlers handlers_;
  std::deque<std::string> outgoing_;
  std::deque<std::function<void()>> held_;
  std::size_t credits_ = 0;
  std::size_t at_ = 0;
  bool ended_ = false;
};

Result<std::shared_ptr<reconcile::Tunnel>> FakeTunnels::open(const model::NodeId&,
                                                             const reconcile::TunnelRequest& request,
                                                             reconcile::TunnelHandlers handlers) {
  std::shared_ptr<FakeTunnel> tunnel;
  {
    const std::lock_guard lock(mutex_);
    last_request_ = request;
    ++opened_;
    tunnel = std::make_shared<FakeTunnel>(*this, script_, std::move(handlers));
    tunnels_.push_back(tunnel);
    changed_.notify_all();
  }
  tunnel->begin();
  return tunnel;
}

void FakeTunnels::set_script(AgentScript script) {
  const std::lock_guard lock(mutex_);
  script_ = std::move(script);
  received_.clear();
}

void FakeTunnels::end_all(std::optional<Error> error) {
  std::vector<std::shared_ptr<FakeTunnel>> all;
  {
    const std::lock_guard lock(mutex_);
    all = tunnels_;
  }
  for (const auto& tunnel : all) tunnel->end(error ? Status(fail(*error)) : Status());
}

void FakeTunnels::release(std::size_t pieces) {
  const std::lock_guard lock(mutex_);
  released_ += pieces;
  for (const auto& tunnel : tunnels_) tunnel->release_held();
}

std::string FakeTunnels::received() const {
  const std::lock_guard lock(mutex_);
  return received_;
}
std::size_t FakeTunnels::opened() const {
  const std::lock_guard lock(mutex_);
  return opened_;
}
reconcile::TunnelRequest FakeTunnels::last_request() const {
  const std::lock_guard lock(mutex_);
  return last_request_;
}
std::pair<std::uint32_t, std::uint32_t> FakeTunnels::size() const {
  const std::lock_guard lock(mutex_);
  return size_;
}
std::size_t FakeTunnels::closed_by_client() const {
  const std::lock_guard lock(mutex_);
  return closed_by_client_;
}

bool FakeTunnels::wait(const std::function<bool()>& condition) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (!condition()) {
    std::unique_lock lock(mutex_);
    if (std::chrono::steady_clock::now() > deadline) return false;
    changed_.wait_for(lock, std::chrono::milliseconds(20));
  }
  return true;
}

}  // namespace bridgehead::control_api::testing
