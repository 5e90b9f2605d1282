#include <algorithm>

#include "reconcile/commands/plans.h"
#include "reconcile/commands/validate.h"
#include "reconcile/planning/snapshot.h"

namespace bridgehead::reconcile {
namespace {

using scheduler::Resource;
using validate::wrong;

constexpr std::size_t kMostNodes = 10'000;
constexpr std::size_t kMostVms = 10'000;

// Everything that some node has: what is asked is whether there is room.
scheduler::Host new_host(const scheduler::Cluster& cluster, const WhatIf::Node& wanted, std::size_t number,
                         const scheduler::Limits& limits) {
  scheduler::Host host;
  host.id = fmt::format("new-node-{:05}", number);
  host.name = fmt::format("(new {})", number);
  const scheduler::NodeSnapshot figures{.cpus = static_cast<std::uint32_t>(wanted.cpus), .memory = wanted.memory};
  const auto memory = static_cast<double>(scheduler::usable_memory(figures, limits).count());
  amount(host.limits, Resource::vcpus) = static_cast<double>(scheduler::usable_cpus(figures, limits));
  amount(host.limits, Resource::memory) = amount(host.limits, Resource::memory_used) = memory;
  amount(host.limits, Resource::cpu_used) = static_cast<double>(wanted.cpus);
  amount(host.limits, Resource::storage_used) = amount(host.limits, Resource::network_used) = 1.25e9;
  for (std::uint32_t i = 0; i < cluster.pools.size(); ++i) host.pools.push_back(i);
  for (std::uint32_t i = 0; i < cluster.networks.size(); ++i) host.networks.push_back(i);
  for (const auto& other : cluster.hosts) {
    if (cluster.cpu_features[other.cpu_features].size() > cluster.cpu_features[host.cpu_features].size())
      host.cpu_features = other.cpu_features;
  }
  host.power_model.can_be_switched = true;
  return host;
}

scheduler::Guest new_guest(const WhatIf::Vm& wanted, std::size_t number) {
  scheduler::Guest guest;
  guest.id = fmt::format("new-vm-{:06}", number);
  guest.name = wanted.name.empty() ? fmt::format("(new {})", number) : wanted.name;
  const auto memory = static_cast<double>(wanted.memory.count());
  amount(guest.demand, Resource::vcpus) = static_cast<double>(wanted.cpus);
  amount(guest.demand, Resource::memory) = amount(guest.demand, Resource::memory_used) = memory;
  amount(guest.demand, Resource::cpu_used) =
      wanted.cpu_use.value_or(kUnmeasuredCpuUse * static_cast<double>(wanted.cpus));
  guest.memory_to_copy = memory;
  return guest;
}

Status check(const WhatIf& request) {
  std::uint64_t nodes = 0;
  for (std::size_t i = 0; i < request.add_nodes.size(); ++i) {
    const auto& node = request.add_nodes[i];
    if (node.cpus < 1 || node.cpus > 4096) return wrong(fmt::format("add_nodes[{}].cpus", i), "must be 1 to 4096");
    if (node.memory < Bytes(1_GiB)) return wrong(fmt::format("add_nodes[{}].memory", i), "must be 1 GiB at least");
    nodes += node.count;
  }
  if (nodes > kMostNodes) return wrong("add_nodes", "at most {} are possible", kMostNodes);
  if (request.add_vms.size() > kMostVms) return wrong("add_vms", "at most {} are possible", kMostVms);
  for (std::size_t i = 0; i < request.add_vms.size(); ++i) {
    const auto field = fmt::format("add_vms[{}]", i);
    if (auto checked = validate::cpus(request.add_vms[i].cpus); !checked)
      return validate::in_field(field, checked.error());
    if (auto checked = validate::memory(request.add_vms[i].memory); !checked)
      return validate::in_field(field, checked.error());
  }
  return {};
}

}  // namespace

Result<model::Plan> plan_what_if(const Commander& commander, const WhatIf& request) {
  if (auto checked = check(request); !checked) return forward(checked);
  auto basis = plan_basis(commander, PlanScope::shown);
  auto& cluster = basis.cluster;
  for (const auto& name : request.remove_nodes) {
    const auto node = resolve<model::Node>(commander.inventory, name);
    if (!node) return forward(node);
    for (auto& host : cluster.hosts) {
      if (host.id != (*node)->value.id.str()) continue;
      host.open = false;
      host.evacuate = true;
      host.why_not = "it would be removed";
    }
  }
  if (cluster.cpu_features.empty()) cluster.cpu_features.emplace_back();
  std::size_t number = 0;
  for (const auto& wanted : request.add_nodes) {
    for (std::uint64_t i = 0; i < wanted.count; ++i) {
      cluster.hosts.push_back(new_host(cluster, wanted, ++number, commander.limits));
    }
  }
  for (std::size_t i = 0; i < request.add_vms.size(); ++i) {
    cluster.guests.push_back(new_guest(request.add_vms[i], i + 1));
  }
  auto plan = plan_record(scheduler::plan(cluster, basis.policy, basis.now, basis.seed), basis);
  plan.name = "what-if";
  return plan;
}

}  // namespace bridgehead::reconcile
