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

}  // namespace

RestartPlan plan_restarts(std::vector<Restart> guests, std::vector<Room> rooms) {
  std::sort(guests.begin(), guests.end(), [](const Restart& a, const Restart& b) {
    return std::tuple(-a.priority, b.memory, a.vm) < std::tuple(-b.priority, a.memory, b.vm);
  });
  RestartPlan plan;
  for (const auto& guest : guests) {
    Room* best = nullptr;
    bool room = false;
    for (auto& one : rooms) {
      if (!has_room(one, guest)) continue;
      room = true;
      if (one.starts == 0) continue;
      if (!best || std::tie(best->memory, one.node) < std::tie(one.memory, best->node)) best = &one;
    }
    if (!best) {
      plan.waiting.push_back(
          {guest.vm, room ? "the nodes that have room are starting others" : why_nowhere(rooms, guest), room});
      continue;
    }
    best->memory = best->memory - guest.memory;
    best->cpus -= guest.cpus;
    --best->starts;
    plan.placements.push_back({guest.vm, best->node});
  }
  return plan;
}

}  // namespace bridgehead::availability
