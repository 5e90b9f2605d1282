#include "host_agent/manager/outbox.h"

namespace bridgehead::host_agent {
namespace {

std::string key_of(const Outgoing& message) {
  struct Visitor {
    std::string operator()(const ReportWanted&) const { return "report"; }
    std::string operator()(const model::ObservedVm& seen) const { return "vm/" + seen.vm.str(); }
    std::string operator()(const VmGone& gone) const { return "vm/" + gone.vm.str(); }
    std::string operator()(const model::AssignmentReport& report) const {
      return "operation/" + report.operation.str();
    }
    std::string operator()(const TunnelRefused& refused) const { return "tunnel/" + refused.tunnel.str(); }
    std::string operator()(const Pong&) const { return "pong"; }
    std::string operator()(const model::NodeUse&) const { return "use"; }
    std::string operator()(const RenewalText&) const { return "renewal"; }
  };
  return std::visit(Visitor{}, message);
}

}  // namespace

void Outbox::open() {
  const std::lock_guard lock(mutex_);
  items_.clear();
  by_key_.clear();
  open_ = true;
}

void Outbox::close() {
  const std::lock_guard lock(mutex_);
  open_ = false;
  items_.clear();
  by_key_.clear();
  wake_.notify_all();
}

bool Outbox::is_open() const {
  const std::lock_guard lock(mutex_);
  return open_;
}

void Outbox::push(Outgoing message) {
  const std::lock_guard lock(mutex_);
  if (!open_) return;
  auto key = key_of(message);
  if (const auto found = by_key_.find(key); found != by_key_.end()) {
    // The end of an operation must come after what was seen of its guest meanwhile: only progress keeps its place.
    const auto* report = std::get_if<model::AssignmentReport>(&message);
    if (report == nullptr || report->state == model::AssignmentState::running) {
      found->second->message = std::move(message);
      return;
    }
    items_.erase(found->second);
    by_key_.erase(found);
  }
  items_.push_back({key, std::move(message)});
  by_key_[std::move(key)] = std::prev(items_.end());
  wake_.notify_one();
}

std::optional<Outgoing> Outbox::pop(std::chrono::milliseconds timeout) {
  std::unique_lock lock(mutex_);
  wake_.wait_for(lock, timeout, [this] { return !items_.empty() || !open_; });
  if (items_.empty()) return std::nullopt;
  auto message = std::move(items_.front().message);
  by_key_.erase(items_.front().key);
  items_.pop_front();
  return message;
}

}  // namespace bridgehead::host_agent
