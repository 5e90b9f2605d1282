#include "availability_desk/rules_at_restart.h"

#include <memory>

#include "reconcile/cluster.h"
#include "reconcile/rules.h"

namespace bridgehead::availability_desk {
namespace {

class Snapshot {
 public:
  Snapshot(const state::Inventory& inventory, const availability::LeaseBook& book)
      : inventory_(inventory), rules_(reconcile::hard_rules(inventory)) {
    if (rules_.empty()) return;
    cluster_.rules = reconcile::snapshots_of(rules_);
    for (const auto& node : inventory.all<model::Node>()) {
      index_.emplace(node->value.id, cluster_.nodes.size());
      scheduler::NodeSnapshot snapshot;
      snapshot.id = node->value.id;
      snapshot.name = node->value.name;
      snapshot.rack = node->value.rack;
      snapshot.power_feed = node->value.power_feed;
      cluster_.nodes.push_back(std::move(snapshot));
    }
    for (const auto& vm : inventory.all<model::Vm>()) {
      const auto* leases = book.leases(vm->value.id);
      if (!leases || vm->value.spec.power == model::PowerState::stopped) continue;
      std::set<model::NodeId> nodes;  // one that moves is at both ends
      for (const auto& lease : leases->outstanding) nodes.insert(lease.node);
      for (const auto& node : nodes) count(vm->value, node);
    }
  }

  std::map<model::NodeId, std::string> forbidden(const model::VmId& id) const {
    const auto vm = inventory_.find<model::Vm>(id);
    if (!vm || rules_.empty()) return {};
    return scheduler::forbidden_nodes(cluster_, reconcile::rules_of(rules_, vm->value));
  }

  void place(const model::VmId& id, const model::NodeId& node) {
    if (const auto vm = inventory_.find<model::Vm>(id)) count(vm->value, node);
  }

 private:
  void count(const model::Vm& vm, const model::NodeId& node) {
    for (const auto rule : reconcile::rules_of(rules_, vm)) ++cluster_.rules[rule].guests[node];
    if (const auto found = index_.find(node); found != index_.end()) ++cluster_.nodes[found->second].allocated.guests;
  }

  const state::Inventory& inventory_;
  const std::vector<model::Rule> rules_;
  scheduler::ClusterSnapshot cluster_;
  std::map<model::NodeId, std::size_t> index_;
};

}  // namespace

// Most looks have nobody to start, so it is made when it is first asked.
availability::RestartRules rules_at_restart(const state::Inventory& inventory, const availability::LeaseBook& book) {
  const auto made = std::make_shared<std::unique_ptr<Snapshot>>();
  const auto snapshot = [made, &inventory, &book]() -> Snapshot& {
    if (!*made) *made = std::make_unique<Snapshot>(inventory, book);
    return **made;
  };
  return {.forbidden = [snapshot](const model::VmId& vm) { return snapshot().forbidden(vm); },
          .placed = [snapshot](const model::VmId& vm, const model::NodeId& node) { snapshot().place(vm, node); },
          .may_break = reconcile::planning_policy(inventory).restart_against_rules};
}

}  // namespace bridgehead::availability_desk
