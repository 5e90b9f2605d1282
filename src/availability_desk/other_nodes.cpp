// The desk's questions and orders to other nodes about one that isn't heard: whether they see it, claims against it,
// its locks.
#include <charconv>

#include "availability_desk/availability_desk.h"
#include "availability_desk/facts.h"
#include "availability_desk/messages.h"
#include "reconcile/ask_agent.h"

namespace bridgehead::availability_desk {

using availability::Availability;
using availability::BootTime;
using availability::RequestNumber;

namespace {

// Asks one node about another. `told` is called from another thread; not at all where it couldn't look.
void ask_node(reconcile::TunnelBroker& tunnels, const model::NodeId& from, const reconcile::TunnelRequest& request,
              std::function<void(const std::string&)> told) {
  reconcile::ask_agent(tunnels, from, request, [told = std::move(told)](const Result<std::string>& said) {
    if (said && !said->empty()) told(*said);
  });
}

}  // namespace

// Other nodes that are well; those that have the pool, where one is named.
std::vector<model::NodeId> AvailabilityDesk::who_can_look(const model::NodeId& node, const model::Pool* pool) const {
  std::vector<model::NodeId> others;
  for (const auto& other : nodes_) {
    if (other == node || !parts_.agents.connected(other) || rules_->stage(other) != Stage::well) continue;
    const auto there = pool ? pool->nodes.find(other) : std::map<model::NodeId, model::PoolOnNode>::const_iterator();
    if (pool && (there == pool->nodes.end() || !there->second.ready)) continue;
    others.push_back(other);
  }
  return others;
}

void AvailabilityDesk::free_locks(const availability::FreeLocks& locks) {
  const auto pool = parts_.inventory.find<model::Pool>(locks.pool);
  if (!pool)
    return tell_later([locks](Availability& rules, BootTime) { rules.locks_freed(locks.node, locks.request); });
  // A node that is down may be about to come back. MooseFS keeps what is connected; the others would lose their new
  // client, and let go of the old one within minutes by themselves.
  if (rules_->stage(locks.node) == Stage::down && pool->value.driver != model::PoolDriver::moosefs) return;
  const auto others = who_can_look(locks.node, &pool->value);
  const reconcile::TunnelRequest order{.kind = reconcile::TunnelKind::free_locks,
                                       .pool = pool->value,
                                       .addresses = addresses_of(parts_.inventory, locks.node)};
  if (others.empty() || order.addresses.empty()) return;
  ask_node(
      parts_.tunnels, others[looks_ % others.size()], order,
      [inbox = inbox_, locks, name = pool->value.name](const std::string& clients) {
        log::info(locks_freed, "node {}, pool '{}': {} clients removed", locks.node, name, clients);
        const std::lock_guard lock(inbox->mutex);
        inbox->told.push_back([locks](Availability& rules, BootTime) { rules.locks_freed(locks.node, locks.request); });
      });
}

// Into each pool that the node may read: it counts from when it is in all of them.
void AvailabilityDesk::write_claim(const availability::WriteClaim& claim) {
  const auto pools = shared_pools_of(parts_.inventory, claim.node);
  const auto left = std::make_shared<std::set<model::PoolId>>();
  for (const auto& pool : pools) left->insert(pool.id);
  for (const auto& pool : pools) {
    const auto others = who_can_look(claim.node, &pool);
    if (others.empty()) continue;
    const reconcile::TunnelRequest order{
        .kind = reconcile::TunnelKind::claim, .pool = pool, .look_for = claim.node, .claim = claim.request};
    ask_node(parts_.tunnels, others[looks_ % others.size()], order,
             [inbox = inbox_, claim, left, id = pool.id](const std::string&) {
               const std::lock_guard lock(inbox->mutex);
               inbox->told.push_back([claim, left, id](Availability& rules, BootTime now) {
                 left->erase(id);
                 if (left->empty()) rules.claim_written(claim.node, claim.request, now);
               });
             });
  }
}

// One that stays is told by the node, and removed then.
void AvailabilityDesk::remove_claim(const availability::RemoveClaim& claim) {
  for (const auto& pool : shared_pools_of(parts_.inventory, claim.node)) {
    const auto others = who_can_look(claim.node, &pool);
    if (others.empty()) continue;
    const reconcile::TunnelRequest order{.kind = reconcile::TunnelKind::claim,
                                         .pool = pool,
                                         .look_for = claim.node,
                                         .claim = claim.request,
                                         .remove_claim = true};
    ask_node(parts_.tunnels, others[looks_ % others.size()], order, [](const std::string&) {});
  }
}

// By another agent that is well; another one each time, since it may be the one that sees nothing.
void AvailabilityDesk::ask_others(const model::NodeId& node, RequestNumber request, bool by_pool) {
  reconcile::TunnelRequest question{.kind = reconcile::TunnelKind::node_look, .look_for = node};
  std::vector<model::NodeId> others;
  if (by_pool) {
    // The same pool each time, since each has a count of its own.
    for (const auto& pool : shared_pools_of(parts_.inventory, node)) {
      others = who_can_look(node, &pool);
      question.pool = pool;
      if (!others.empty()) break;
    }
  } else {
    others = who_can_look(node, nullptr);
    question.addresses = addresses_of(parts_.inventory, node);
    if (question.addresses.empty()) return;
  }
  if (others.empty()) return;
  const auto& from = others[looks_ % others.size()];
  ask_node(parts_.tunnels, from, question, [inbox = inbox_, node, request, by_pool](const std::string& text) {
    std::uint64_t count = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
    if (by_pool && error != std::errc()) return;
    const std::lock_guard lock(inbox->mutex);
    inbox->told.push_back([=](Availability& rules, BootTime) {
      if (by_pool) {
        rules.heartbeat_read(node, request, count);
      } else {
        rules.peers_answered(node, request, text == "reached");
      }
    });
  });
}

}  // namespace bridgehead::availability_desk
