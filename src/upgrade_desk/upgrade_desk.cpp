#include "upgrade_desk/upgrade_desk.h"

#include "base/file.h"
#include "reconcile/operations/records.h"
#include "upgrade_desk/messages.h"
#include "upgrade_desk/send_order.h"

namespace bridgehead::upgrade_desk {
namespace {

using reconcile::operations::UpgradeOutcome;
using reconcile::operations::UpgradeStage;
using reconcile::operations::UpgradeState;

// Not the agent's word on the order: its stream broke, or the manager has too much to do. It is asked again.
bool passes(ErrorCode code) {
  return code == ErrorCode::unavailable || code == ErrorCode::timeout || code == ErrorCode::cancelled ||
         code == ErrorCode::io_error || code == ErrorCode::resource_exhausted;
}

Result<std::string> content_of(const PackageShelf::Package& package) {
  auto content = read_file(package.path, Bytes(package.size));
  if (!content || content->size() == package.size) return content;
  return fail(ErrorCode::data_corrupt, "{} was changed; restart the manager", package.path.native());
}

}  // namespace

UpgradeDesk::UpgradeDesk(state::Inventory& inventory, reconcile::AgentPort& agents, reconcile::TunnelBroker& tunnels,
                         const Clock& clock, PackageShelf shelf, UpgradeDeskOptions options)
    : inventory_(inventory),
      agents_(agents),
      tunnels_(tunnels),
      clock_(clock),
      shelf_(std::move(shelf)),
      options_(options),
      workers_(options_.at_once) {
  watch_ = inventory_.listen([this](state::Revision, const std::vector<model::Event>& events) {
    const bool ours =
        std::any_of(events.begin(), events.end(), [](const auto& event) { return event.object_kind == "operation"; });
    if (!ours) return;
    const std::lock_guard lock(mutex_);
    poked_ = true;
    wake_.notify_all();
  });
  thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
}

UpgradeDesk::~UpgradeDesk() {
  watch_.reset();
  stopping_.request_stop();
  thread_.request_stop();
  thread_.join();
  workers_.stop();
}

void UpgradeDesk::run(const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  while (!stop.stop_requested()) {
    poked_ = false;
    lock.unlock();
    const bool more = look();
    lock.lock();
    const auto poked = [this] { return poked_; };
    if (more) {
      wake_.wait_for(lock, stop, options_.ask_every, poked);
    } else {
      wake_.wait(lock, stop, poked);
    }
  }
}

bool UpgradeDesk::look() {
  bool more = false;
  for (const auto& open : inventory_.open_operations()) {
    const auto& operation = open->value;
    if (operation.kind != reconcile::operations::kNodeUpgrade) continue;
    more = true;
    if (operation.state != model::OperationState::running) continue;
    if (reconcile::operations::upgrade_of(operation).outcome != UpgradeOutcome::none) continue;
    if (!agents_.connected(model::NodeId(operation.target))) continue;
    {
      const std::lock_guard lock(mutex_);
      if (!busy_.insert(operation.id).second) continue;
    }
    workers_.submit([this, id = operation.id] {
      step(id);
      const std::lock_guard lock(mutex_);
      busy_.erase(id);
    });
  }
  return more;
}

void UpgradeDesk::step(const model::OperationId& id) {
  const auto record = inventory_.find<model::Operation>(id);
  if (!record || record->value.terminal()) return;
  if (reconcile::operations::upgrade_of(record->value).stage == UpgradeStage::install) return ask(record->value);
  hand_over(record->value);
}

void UpgradeDesk::hand_over(const model::Operation& operation) {
  const auto& id = operation.id;
  const auto state = reconcile::operations::upgrade_of(operation);
  const auto install = shelf_.find(state.version);
  const auto before = shelf_.find(state.before);
  if (!install) {
    return fail_with(id, {ErrorCode::failed_precondition,
                          fmt::format("this manager has no agent's package of version {} any more", state.version),
                          "Ask for it again."});
  }
  if (!before && !state.without_way_back) {
    return fail_with(id, {ErrorCode::failed_precondition,
                          fmt::format("this manager has no package of version {} to go back to", state.before),
                          "bh node upgrade --without-way-back"});
  }
  model::UpgradeOrder order{.operation = id, .install = *install};
  std::vector<std::string> content;
  auto bytes = content_of(*install);
  if (bytes) content.push_back(std::move(*bytes));
  if (bytes && before) {
    order.before = *before;
    bytes = content_of(*before);
    if (bytes) content.push_back(std::move(*bytes));
  }
  if (!bytes) return fail_with(id, bytes.error());
  // From here on it can't be cancelled: the agent may have it.
  if (state.stage == UpgradeStage::wait) {
    if (operation.cancel_requested || !note(id, [](auto& now) { now.stage = UpgradeStage::send; })) return;
  }
  const auto answer =
      send_order(tunnels_, model::NodeId(operation.target), order, content, options_.patience, stopping_.get_token());
  if (answer) return take(id, *answer);
  auto error = answer.error();
  if (passes(error.code)) {
    log::warning(upgrade_not_handed_over, "node {}: {}", operation.target_name, error.describe());
    return;
  }
  if (error.code == ErrorCode::unsupported) {
    error.message = fmt::format("its agent {} is too old to be upgraded so", state.before);
    error.hint = fmt::format("Once by hand, there: apt install ./{}", install->path.filename().native());
  }
  fail_with(id, error);
}

void UpgradeDesk::ask(const model::Operation& operation) {
  const auto answer = send_order(tunnels_, model::NodeId(operation.target), {.operation = operation.id}, {},
                                 options_.patience, stopping_.get_token());
  if (answer && answer->state == model::UpgradeState::installing) return;
  if (answer) return take(operation.id, *answer);
  // It goes away in the middle of it, as it should. What it can't answer for long ends by the operation's patience.
  log::debug(upgrade_not_handed_over, "node {}: {}", operation.target_name, answer.error().describe());
}

void UpgradeDesk::take(const model::OperationId& id, const model::UpgradeAnswer& answer) {
  note(id, [&](UpgradeState& state) {
    if (answer.state == model::UpgradeState::none) {
      state.outcome = UpgradeOutcome::failed;
      state.failure = "its agent doesn't know of the upgrade any more";
      return;
    }
    const bool ended = answer.state != model::UpgradeState::installing;
    if (state.stage != UpgradeStage::install || ended) state.since = clock_.now();
    state.stage = UpgradeStage::install;
    if (answer.state == model::UpgradeState::done) state.outcome = UpgradeOutcome::done;
    if (answer.state == model::UpgradeState::failed) {
      state.outcome = UpgradeOutcome::failed;
      state.failure = answer.message;
      state.hint = "Its log: journalctl -u bridgehead-agent -u bridgehead-agent-upgrade there.";
    }
  });
}

void UpgradeDesk::fail_with(const model::OperationId& id, const Error& error) {
  note(id, [&](UpgradeState& state) {
    state.outcome = UpgradeOutcome::failed;
    state.failure = error.message;
    state.hint = error.hint;
  });
}

bool UpgradeDesk::note(const model::OperationId& id, const Change& change) {
  const auto committed = state::change(inventory_, [&](state::Edit& edit) -> Status {
    const auto record = inventory_.find<model::Operation>(id);
    if (!record || record->value.terminal()) return fail(ErrorCode::not_found, "the operation has ended");
    auto operation = record->value;
    auto state = reconcile::operations::upgrade_of(operation);
    change(state);
    reconcile::operations::put_upgrade(operation, state);
    if (operation != record->value) edit.update(record, operation);
    return {};
  });
  return committed.has_value();
}

}  // namespace bridgehead::upgrade_desk
