// Clusters to plan for in tests, and what a plan makes of them.
#pragma once

#include <string>

#include "scheduler/plan.h"

namespace bridgehead::scheduler::testing {

inline constexpr double kGiB = 1 << 30;

inline Host host(const std::string& name, double vcpus = 32, double gib = 64) {
  return {.id = name, .name = name, .limits = {vcpus, gib * kGiB}};
}

inline Guest guest(const std::string& name, HostIndex on, double vcpus = 2, double gib = 4) {
  return {.id = name, .name = name, .host = on, .demand = {vcpus, gib * kGiB}};
}

// The cluster when the plan has been carried out; moves that were under way still are.
inline Cluster apply(Cluster cluster, const Plan& plan, Timestamp now = {}) {
  for (const auto& action : plan.actions) {
    switch (action.kind) {
      case ActionKind::place:
      case ActionKind::move: cluster.guests[action.guest].host = action.to; break;
      case ActionKind::wake:
      case ActionKind::sleep:
        cluster.hosts[action.to].power = action.kind == ActionKind::wake ? HostPower::on : HostPower::asleep;
        cluster.hosts[action.to].power_since = now;
        cluster.hosts[action.to].ready = action.kind == ActionKind::wake;
        break;
    }
  }
  return cluster;
}

}  // namespace bridgehead::scheduler::testing
