#include "scheduler/scheduler.h"

#include <algorithm>
#include <cmath>

#include "scheduler/placement_rules.h"

namespace bridgehead::scheduler {
namespace {

// Why a node doesn't fit; in the order in which they are checked, the most basic one first.
enum class Obstacle {
  not_pinned,
  not_ready,
  not_schedulable,
  no_image,
  no_pool,
  no_room,
  no_bridge,
  rule,
  no_cpu,
  no_memory
};

struct Refusal {
  Obstacle obstacle;
  std::string detail;      // "needs 8 GiB memory" - the same for all nodes with this obstacle
  std::uint64_t free = 0;  // figure of this node; the most of all nodes is shown
};

Bytes minus(Bytes a, Bytes b) { return a > b ? a - b : Bytes(); }

std::uint64_t free_cpus(const NodeSnapshot& node, const Limits& limits) {
  const auto usable = usable_cpus(node, limits);
  return usable > node.allocated.cpus ? usable - node.allocated.cpus : 0;
}

Bytes free_memory(const NodeSnapshot& node, const Limits& limits) {
  return minus(usable_memory(node, limits), node.allocated.memory);
}

std::string name_of(const model::PoolId& pool, const VmRequest& request) {
  const auto found = request.pool_names.find(pool);
  return found == request.pool_names.end() ? pool.str() : found->second;
}

std::optional<Refusal> refuse_pools(const NodeSnapshot& node, const VmRequest& request, const Limits& limits) {
  for (const auto& [id, room] : request.disk_room) {
    const auto found = node.pools.find(id);
    const auto name = name_of(id, request);
    if (found == node.pools.end()) return Refusal{Obstacle::no_pool, fmt::format("without pool '{}'", name)};
    const auto& pool = found->second;
    // One that hasn't been mounted since the node was woken has no size either.
    const bool is_coming = node.asleep || node.just_woken;
    if (!pool.ready && is_coming && pool.total == Bytes()) continue;
    if (!pool.ready && !is_coming) {
      return Refusal{Obstacle::no_pool, fmt::format("pool '{}' isn't ready there{}{}", name,
                                                    pool.message.empty() ? "" : ": ", pool.message)};
    }
    const auto free = minus(pool.available, limits.pool_reserve);
    if (pool.available < room + limits.pool_reserve) {
      return Refusal{Obstacle::no_room,
                     fmt::format("needs {} of room in pool '{}' beside the {} that are kept free", room.human(), name,
                                 limits.pool_reserve.human()),
                     free.count()};
    }
  }
  return {};
}

// It fits there, once the node is on and has mounted what the guest needs.
bool must_wait(const NodeSnapshot& node, const VmRequest& request) {
  return node.asleep || std::any_of(request.disk_room.begin(), request.disk_room.end(),
                                    [&](const auto& room) { return !node.pools.at(room.first).ready; });
}

std::optional<Refusal> refuse(const NodeSnapshot& node, const VmRequest& request, const Limits& limits,
                              const PlacementRules& rules) {
  if (request.pinned && *request.pinned != node.id) return Refusal{Obstacle::not_pinned, "not the node asked for"};
  if (request.image_node && *request.image_node != node.id) {
    return Refusal{Obstacle::no_image,
                   fmt::format("without image '{}' (its pool is local to another node)", request.image_name)};
  }
  if (node.state != model::NodeState::ready && !node.asleep) {
    return Refusal{Obstacle::not_ready,
                   fmt::format("{}{}{}", node.state == model::NodeState::unreachable ? "unreachable" : "not ready",
                               node.message.empty() ? "" : ": ", node.message)};
  }
  if (!node.schedulable) return Refusal{Obstacle::not_schedulable, "closed for new guests"};
  if (auto pools = refuse_pools(node, request, limits)) return pools;
  for (const auto& bridge : request.bridges) {
    if (!node.bridges.contains(bridge)) {
      return Refusal{Obstacle::no_bridge, fmt::format("without bridge '{}'", bridge)};
    }
  }
  if (auto refused = rules.refuse(node)) return Refusal{Obstacle::rule, std::move(*refused)};
  if (!request.powered_on) return {};
  if (const auto free = free_cpus(node, limits); free < request.cpus) {
    return Refusal{Obstacle::no_cpu, fmt::format("needs {} virtual CPUs", request.cpus), free};
  }
  if (const auto free = free_memory(node, limits); free < request.memory) {
    return Refusal{Obstacle::no_memory, fmt::format("needs {} memory", request.memory.human()), free.count()};
  }
  return {};
}

double part(double used, double whole) { return whole <= 0 ? 1.0 : std::clamp(used / whole, 0.0, 1.0); }

// How full the node would be with the guest on it. Memory is what can't be overcommitted, so it weighs most.
double score_of(const NodeSnapshot& node, const VmRequest& request, const Limits& limits) {
  const double cpu = part(static_cast<double>(node.allocated.cpus + (request.powered_on ? request.cpus : 0)),
                          static_cast<double>(usable_cpus(node, limits)));
  const double memory =
      part(static_cast<double>(node.allocated.memory.count() + (request.powered_on ? request.memory.count() : 0)),
           static_cast<double>(usable_memory(node, limits).count()));
  double disk = 0;
  for (const auto& [id, room] : request.disk_room) {
    const auto& pool = node.pools.at(id);
    disk = std::max(disk, 1 - part(static_cast<double>(minus(pool.available, room).count()),
                                   static_cast<double>(pool.total.count())));
  }
  return 0.5 * memory + 0.35 * cpu + 0.15 * disk;
}

struct Group {
  Refusal refusal;
  std::vector<std::string> nodes;
};

std::string describe(const Group& group) {
  constexpr std::size_t kShown = 5;
  std::string names;
  for (std::size_t i = 0; i < group.nodes.size() && i < kShown; ++i) {
    names += names.empty() ? group.nodes[i] : ", " + group.nodes[i];
  }
  if (group.nodes.size() > kShown) names += fmt::format(" and {} more", group.nodes.size() - kShown);
  const bool several = group.nodes.size() > 1;
  std::string free;
  switch (group.refusal.obstacle) {
    case Obstacle::no_cpu: free = fmt::format(", {}{} free", several ? "at most " : "", group.refusal.free); break;
    case Obstacle::no_room:
    case Obstacle::no_memory:
      free = fmt::format(", {}{} free", several ? "at most " : "", Bytes(group.refusal.free).human());
      break;
    default: break;
  }
  return fmt::format("{} node{} ({}): {}{}", group.nodes.size(), several ? "s" : "", names, group.refusal.detail, free);
}

std::string hint_for(const std::vector<Group>& groups) {
  const auto has = [&](Obstacle obstacle) {
    return std::any_of(groups.begin(), groups.end(), [&](const Group& g) { return g.refusal.obstacle == obstacle; });
  };
  if (has(Obstacle::no_memory)) return "Ask for less memory, stop a guest, or add a node.";
  if (has(Obstacle::no_cpu)) return "Ask for fewer CPUs, stop a guest, or add a node.";
  if (has(Obstacle::no_room)) return "Free some space in the pool: delete images or disks that nobody needs.";
  if (has(Obstacle::rule)) return "See the rules: bh rule list";
  if (has(Obstacle::no_bridge)) return "Make the bridge on a node, or use another network.";
  if (has(Obstacle::no_pool)) return "See what is wrong with the pool: bh pool show <pool>";
  if (has(Obstacle::not_schedulable)) return "Open a node for new guests: bh node update <node> --schedulable";
  if (has(Obstacle::not_ready)) return "See what the nodes need: bh node list";
  return "Use another image or another node.";
}

tl::unexpected<Error> nothing_fits(const ClusterSnapshot& cluster, const VmRequest& request,
                                   const PlacementRules& rules) {
  if (cluster.nodes.empty()) {
    return fail_with_hint(ErrorCode::unavailable, "no node fits: the cluster has no nodes yet",
                          "Start an agent: bh node join-command shows how.");
  }
  std::map<std::pair<Obstacle, std::string>, Group> grouped;
  for (const auto& node : cluster.nodes) {
    auto refusal = refuse(node, request, cluster.limits, rules);
    if (!refusal || refusal->obstacle == Obstacle::not_pinned) continue;
    auto& group = grouped.try_emplace({refusal->obstacle, refusal->detail}, Group{*refusal, {}}).first->second;
    group.refusal.free = std::max(group.refusal.free, refusal->free);
    group.nodes.push_back(node.name);
  }
  // Nodes that fail only because the image is elsewhere say nothing as long as there is one that has the image.
  std::vector<Group> groups;
  for (auto& [key, group] : grouped) {
    if (key.first != Obstacle::no_image) groups.push_back(std::move(group));
  }
  if (groups.empty()) {
    for (auto& [key, group] : grouped) groups.push_back(std::move(group));
  }
  if (groups.empty()) {
    return fail(ErrorCode::not_found, "no node fits: the node asked for is not in the cluster");
  }
  std::string reasons;
  bool only_waiting = true;
  for (auto& group : groups) {
    std::sort(group.nodes.begin(), group.nodes.end());
    reasons += (reasons.empty() ? "" : "; ") + describe(group);
    only_waiting = only_waiting && group.refusal.obstacle == Obstacle::not_ready;
  }
  return fail_with_hint(only_waiting ? ErrorCode::unavailable : ErrorCode::resource_exhausted,
                        "no node fits: " + reasons, hint_for(groups));
}

}  // namespace

std::uint64_t usable_cpus(const NodeSnapshot& node, const Limits& limits) {
  return static_cast<std::uint64_t>(std::floor(node.cpus * limits.cpu_overcommit));
}

Bytes usable_memory(const NodeSnapshot& node, const Limits& limits) {
  const auto reserve = std::max(limits.least_reserve, Bytes(node.memory.count() / 100 * limits.reserve_percent));
  return minus(node.memory, reserve);
}

Status check_fits(const NodeSnapshot& node, const Limits& limits, std::uint64_t more_cpus, Bytes more_memory) {
  if (const auto free = free_cpus(node, limits); free < more_cpus) {
    return fail_with_hint(
        ErrorCode::resource_exhausted,
        fmt::format("node '{}' has {} virtual CPUs free, {} more are needed", node.name, free, more_cpus),
        "Stop a guest there first, or use fewer CPUs.");
  }
  if (const auto free = free_memory(node, limits); free < more_memory) {
    return fail_with_hint(ErrorCode::resource_exhausted,
                          fmt::format("node '{}' has {} of memory free, {} more are needed", node.name, free.human(),
                                      more_memory.human()),
                          "Stop a guest there first, or use less memory.");
  }
  return {};
}

Result<Placement> place(const ClusterSnapshot& cluster, const VmRequest& request) {
  const NodeSnapshot* best = nullptr;
  double best_score = 0;
  std::size_t fitting = 0;
  const PlacementRules rules(cluster, request.rules);
  for (const auto& node : cluster.nodes) {
    // Cheap first: with local pools nearly all nodes of a large cluster end here.
    if (request.image_node && *request.image_node != node.id) continue;
    if (refuse(node, request, cluster.limits, rules)) continue;
    ++fitting;
    const double score = score_of(node, request, cluster.limits) + (must_wait(node, request) ? 2
                                                                    : node.to_be_off         ? 1
                                                                                             : 0);
    if (best == nullptr || score < best_score || (score == best_score && node.id < best->id)) {
      best = &node;
      best_score = score;
    }
  }
  if (best == nullptr) return nothing_fits(cluster, request, rules);

  Placement placement{.node = best->id, .score = best_score, .asleep = must_wait(*best, request)};
  if (request.pinned) placement.reasons.push_back(fmt::format("node '{}' was asked for", best->name));
  if (request.image_node) {
    placement.reasons.push_back(fmt::format("image '{}' is in its local pool", request.image_name));
  }
  placement.reasons.push_back(
      fmt::format("least allocated of {} that fit: {} of {} virtual CPUs, {} of {} memory taken", fitting,
                  best->allocated.cpus, usable_cpus(*best, cluster.limits), best->allocated.memory.human(),
                  usable_memory(*best, cluster.limits).human()));
  return placement;
}

}  // namespace bridgehead::scheduler
