// UpgradeDesk: the manager's end of agents' upgrades. Has the agents' packages, hands them to agents that the
// operations node.upgrade are about, asks these what came of it, and notes both in the operations, whose rules are in
// reconcile/operations/node_upgrade.cpp. What an agent has taken it isn't made to take twice: it knows the operation.
// Thread-safe. Errors end in the operation; a node that is away is asked again.
#pragma once

#include <condition_variable>
#include <mutex>
#include <set>
#include <stop_token>
#include <thread>

#include "base/clock.h"
#include "base/worker_pool.h"
#include "reconcile/agent_port.h"
#include "reconcile/operations/upgrade_state.h"
#include "reconcile/upgrade_port.h"
#include "state/inventory.h"
#include "upgrade_desk/package_shelf.h"

namespace bridgehead::upgrade_desk {

struct UpgradeDeskOptions {
  std::chrono::milliseconds ask_every{std::chrono::seconds(2)};  // about upgrades that are under way
  std::chrono::milliseconds patience{std::chrono::seconds(60)};  // for each answer; dpkg-deb and fsync take their time
  std::size_t at_once = 8;
};

class UpgradeDesk final : public reconcile::UpgradePort {
 public:
  // Everything must outlive it.
  UpgradeDesk(state::Inventory& inventory, reconcile::AgentPort& agents, reconcile::TunnelBroker& tunnels,
              const Clock& clock, PackageShelf shelf, UpgradeDeskOptions options = {});
  ~UpgradeDesk() override;  // stops; what is open is taken up again at the next start
  UpgradeDesk(const UpgradeDesk&) = delete;
  UpgradeDesk& operator=(const UpgradeDesk&) = delete;

  std::string version() const override { return shelf_.carried_version(); }
  bool has(const std::string& version) const override { return shelf_.find(version).has_value(); }

 private:
  using Change = std::function<void(reconcile::operations::UpgradeState&)>;
  // One question or order to one agent, and what is noted of it.
  void step(const model::OperationId& id);
  void hand_over(const model::Operation& operation);
  void ask(const model::Operation& operation);
  void take(const model::OperationId& id, const model::UpgradeAnswer& answer);
  void fail_with(const model::OperationId& id, const Error& error);
  // False: it couldn't be written, or the operation has ended.
  bool note(const model::OperationId& id, const Change& change);
  bool look();  // true: there is something to ask about again soon
  void run(const std::stop_token& stop);

  state::Inventory& inventory_;
  reconcile::AgentPort& agents_;
  reconcile::TunnelBroker& tunnels_;
  const Clock& clock_;
  const PackageShelf shelf_;
  const UpgradeDeskOptions options_;
  std::stop_source stopping_;
  std::mutex mutex_;
  std::condition_variable_any wake_;
  bool poked_ = true;
  std::set<model::OperationId> busy_;
  WorkerPool workers_;
  std::unique_ptr<state::StateStore::Watch> watch_;
  std::jthread thread_;
};

}  // namespace bridgehead::upgrade_desk
