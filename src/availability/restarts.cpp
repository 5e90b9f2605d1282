#include "availability/restarts.h"

#include <algorithm>
#include <tuple>

namespace bridgehead::availability {
namespace {

bool has_pools(const Room& room, const Restart& guest) {
  return std::includes(room.pools.begin(), room.pools.end(), guest.pools.begin(), guest.pools.end());
}

bool has_room(const Room& room, const Restart& guest) {
  return room.node != guest.not_on && has_pools(room, guest) && room.memory >= guest.memory && room.cpus >= guest.cpus;
}

std::string why_nowhere(const std::vector<Room>& rooms, const Restart& guest) {
  if (rooms.empty()) return "no other node is ready";
  const auto pools =
      std::count_if(rooms.begin(), rooms.end(), [&](const Room& room) { return has_pools(room, guest); });
  if (pools == 0) return "no node that is ready has its disks' pools";
  return fmt::format("none of the {} nodes that have its disks' pools has {} of memory and {} CPUs left", pools,
                     guest.memory.human(), guest.cpus);
}

using Forbidden = std::map<model::NodeId, std::string>;

Room* best_of(std::vector<Room>& rooms, const Restart& guest, const Forbidden& forbidden) {
  Room* best = nullptr;
  for (auto& one : rooms) {
    if (one.starts == 0 || !has_room(one, guest) || forbidden.contains(one.node)) continue;
    if (!best || std::tie(best->memory, one.node) < std::tie(one.memory, best->node)) best = &one;
  }
  return best;
}

// Of those nodes that have room: each reason once.
std::string why_forbidden(const std::vector<Room>& rooms, const Restart& guest, const Forbidden& forbidden) {
  std::set<std::string> reasons;
  for (const auto& one : rooms) {
    const auto found = forbidden.find(one.node);
    if (found != forbidden.end() && has_room(one, guest)) reasons.insert(found->second);
  }
  return fmt::format("each node that has room is forbidden to it: {}", fmt::join(reasons, "; "));
}

}  // namespace

RestartPlan plan_restarts(std::vector<Restart> guests, std::vector<Room> rooms, const RestartRules& rules) {
  std::sort(guests.begin(), guests.end(), [](const Restart& a, const Restart& b) {
    return std::tuple(-a.priority, b.memory, a.vm) < std::tuple(-b.priority, a.memory, b.vm);
  });
  RestartPlan plan;
  for (const auto& guest : guests) {
    const auto forbidden = rules.forbidden ? rules.forbidden(guest.vm) : Forbidden();
    const auto count_room = [&](const Forbidden& without) {
      return std::count_if(rooms.begin(), rooms.end(),
                           [&](const Room& one) { return has_room(one, guest) && !without.contains(one.node); });
    };
    const bool room = count_room({}) > 0;
    const bool allowed = count_room(forbidden) > 0;
    const bool breaks = room && !allowed && rules.may_break;
    auto* best = best_of(rooms, guest, breaks ? Forbidden() : forbidden);
    if (!best) {
      const bool later = allowed || breaks;
      plan.waiting.push_back({guest.vm,
                              later  ? "the nodes that have room are starting others"
                              : room ? why_forbidden(rooms, guest, forbidden)
                                     : why_nowhere(rooms, guest),
                              later});
      continue;
    }
    best->memory = best->memory - guest.memory;
    best->cpus -= guest.cpus;
    --best->starts;
    if (rules.placed) rules.placed(guest.vm, best->node);
    plan.placements.push_back({guest.vm, best->node, breaks ? forbidden.at(best->node) : std::string()});
  }
  return plan;
}

}  // namespace bridgehead::availability
