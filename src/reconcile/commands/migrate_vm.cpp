#include <algorithm>
#include <set>

#include "model/enum_names.h"
#include "reconcile/cluster.h"
#include "reconcile/commands/migration.h"
#include "reconcile/commands/vm_common.h"

namespace bridgehead::reconcile {
namespace {

struct Candidate {
  const state::Inventory& inventory;
  const scheduler::Limits& limits;
  const model::Vm& vm;
  const model::Node& source;
  const model::Node& target;
};

MigrationCheck passed(std::string name) { return {.name = std::move(name)}; }
MigrationCheck failed(std::string name, std::string message, std::string fix) {
  return {.name = std::move(name), .passed = false, .message = std::move(message), .fix = std::move(fix)};
}

MigrationCheck check_guest(const Candidate& at) {
  const auto& [inventory, limits, vm, source, target] = at;
  if (vm.status.phase != model::VmPhase::running && vm.status.phase != model::VmPhase::paused) {
    return failed("guest", fmt::format("VM '{}' is {}, not running", vm.name, model::to_string(vm.status.phase)),
                  vm.status.phase == model::VmPhase::stopped ? fmt::format("Start it first: bh vm start {}", vm.name)
                  : vm.status.phase == model::VmPhase::unknown
                      ? fmt::format("Its node '{}' must be reached first: bh node show {}", source.name, source.name)
                      : fmt::format("See what is wrong with it: bh vm show {}", vm.name));
  }
  if (vm.node == target.id) {
    return failed("guest", fmt::format("it is on node '{}' already", target.name), "Choose another node.");
  }
  if (!vm.status.snapshots.empty()) {
    return failed("guest", "it has snapshots, which libvirt can't take along while it runs",
                  "Delete its snapshots first.");
  }
  return passed("guest");
}

MigrationCheck check_node(const Candidate& at) {
  if (at.target.state != model::NodeState::ready) {
    return failed("node",
                  fmt::format("node '{}' is {}{}{}", at.target.name, model::to_string(at.target.state),
                              at.target.message.empty() ? "" : ": ", at.target.message),
                  "Look at it: bh node show.");
  }
  if (!at.target.schedulable) {
    return failed("node", fmt::format("node '{}' takes no guests", at.target.name), "bh node set --schedulable on");
  }
  return passed("node");
}

MigrationCheck check_capacity(const Candidate& at) {
  const auto& spec = at.vm.spec;
  const auto snapshot = node_snapshot(at.inventory, at.target);
  const auto fits = scheduler::check_fits(snapshot, at.limits, spec.cpus, spec.memory);
  if (fits) return passed("capacity");
  return failed("capacity", fits.error().message, "Move other guests away, or choose another node.");
}

std::set<model::PoolId> pools_of(const Candidate& at) {
  std::set<model::PoolId> pools;
  for (const auto& disk : at.vm.spec.disks) {
    const auto image = at.inventory.find<model::Image>(disk.image);
    if (!image) continue;
    pools.insert(image->value.pool);
    const auto golden = at.inventory.find<model::Image>(image->value.parent);
    if (golden) pools.insert(golden->value.pool);
  }
  return pools;
}

// What to do about disks that other nodes can't reach.
std::string way_out(const Candidate& at, const model::PoolId& local) {
  std::string shared = "POOL";
  for (const auto& pool : at.inventory.all<model::Pool>()) {
    const auto& nodes = pool->value.nodes;
    const auto ready_on = [&](const model::Node& node) {
      const auto there = nodes.find(node.id);
      return there != nodes.end() && there->second.ready;
    };
    if (!model::is_shared(pool->value.driver) || pool->value.deleting) continue;
    if (ready_on(at.source) && ready_on(at.target)) shared = pool->value.name;
  }
  std::string commands;
  for (const auto& disk : at.vm.spec.disks) {
    const auto image = at.inventory.find<model::Image>(disk.image);
    if (!image || image->value.pool != local) continue;
    commands += fmt::format("{}bh image migrate {} --pool {}", commands.empty() ? "" : "; ", image->value.name, shared);
  }
  return fmt::format("Bring its disks into a shared pool first, while it runs: {}", commands);
}

MigrationCheck check_pools(const Candidate& at) {
  for (const auto& id : pools_of(at)) {
    const auto record = at.inventory.find<model::Pool>(id);
    if (!record) return failed("pools", fmt::format("pool {} is gone", id), "Look at its disks: bh image list.");
    const auto& pool = record->value;
    if (!model::is_shared(pool.driver)) {
      return failed("pools", fmt::format("pool '{}' is local to its node", pool.name), way_out(at, pool.id));
    }
    for (const auto* node : {&at.source, &at.target}) {
      const auto there = pool.nodes.find(node->id);
      if (there == pool.nodes.end() || !there->second.ready) {
        const auto why = there == pool.nodes.end() ? std::string("it isn't there") : there->second.message;
        return failed("pools", fmt::format("pool '{}' isn't ready on node '{}': {}", pool.name, node->name, why),
                      "Look at it: bh pool show.");
      }
      if (!there->second.abilities.locks) {
        return failed("pools", fmt::format("pool '{}' keeps no locks on node '{}'", pool.name, node->name),
                      "Mount it with locks that hold between nodes; without them two nodes could write one disk.");
      }
    }
  }
  return passed("pools");
}

MigrationCheck check_networks(const Candidate& at) {
  for (const auto& nic : at.vm.spec.nics) {
    const auto network = at.inventory.find<model::Network>(nic.network);
    if (!network) continue;
    if (network->value.kind == model::NetworkKind::nat) {
      return failed("networks",
                    fmt::format("network '{}' translates addresses on each node: the guest would lose its connections",
                                network->value.name),
                    "Give the guest a NIC on a bridged network instead.");
    }
    const auto& interfaces = at.target.facts.interfaces;
    const bool there = std::any_of(interfaces.begin(), interfaces.end(), [&](const auto& interface) {
      return interface.kind == "bridge" && interface.name == network->value.bridge;
    });
    if (!there) {
      return failed("networks", fmt::format("node '{}' has no bridge '{}'", at.target.name, network->value.bridge),
                    "Make that bridge on it.");
    }
  }
  return passed("networks");
}

MigrationCheck check_cpu(const Candidate& at) {
  const auto& from = at.source.facts;
  const auto& to = at.target.facts;
  if (from.virtualization != to.virtualization) {
    return failed(
        "cpu",
        fmt::format("guests run by {} on node '{}' and by {} on node '{}'", model::to_string(from.virtualization),
                    at.source.name, model::to_string(to.virtualization), at.target.name),
        "Choose a node like the guest's.");
  }
  // Under emulation every guest sees QEMU's own CPU.
  if (at.vm.spec.cpu_model != model::CpuModel::host || from.virtualization != model::Virtualization::kvm) {
    return passed("cpu");
  }
  const std::set<std::string> flags(to.cpu_flags.begin(), to.cpu_flags.end());
  std::vector<std::string> missing;
  for (const auto& flag : from.cpu_flags) {
    if (!flags.contains(flag)) missing.push_back(flag);
  }
  if (missing.empty()) return passed("cpu");
  const auto more = missing.size() > 5 ? fmt::format(" and {} more", missing.size() - 5) : std::string();
  missing.resize(std::min<std::size_t>(missing.size(), 5));
  return failed("cpu",
                fmt::format("node '{}' lacks CPU features that the guest sees: {}{}", at.target.name,
                            fmt::join(missing, ", "), more),
                fmt::format("bh vm resize {} --cpu-model baseline, then reboot it once.", at.vm.name));
}

// "7.2.17" before "8.0.0".
std::vector<unsigned> numbers(const std::string& version) {
  std::vector<unsigned> parts{0};
  for (const char c : version) {
    if (c == '.') {
      parts.push_back(0);
    } else if (c >= '0' && c <= '9') {
      parts.back() = parts.back() * 10 + static_cast<unsigned>(c - '0');
    } else {
      break;
    }
  }
  return parts;
}

MigrationCheck check_versions(const Candidate& at) {
  const auto& from = at.source.facts.hypervisor_version;
  const auto& to = at.target.facts.hypervisor_version;
  if (!(numbers(to) < numbers(from))) return passed("versions");
  if (to.empty()) {
    return failed("versions", fmt::format("QEMU's version on node '{}' isn't known yet", at.target.name),
                  "A node tells it some seconds after it is ready: try again.");
  }
  return failed("versions",
                fmt::format("QEMU on node '{}' is {}, older than {} on '{}'", at.target.name, to, from, at.source.name),
                "Bring the node to the newer version first.");
}

MigrationChecks check(const Candidate& at) {
  return {.node = at.target.id,
          .node_name = at.target.name,
          .checks = {check_guest(at), check_node(at), check_capacity(at), check_pools(at), check_networks(at),
                     check_cpu(at), check_versions(at)}};
}

Result<std::vector<MigrationChecks>> check_all(const state::Inventory& inventory, const scheduler::Limits& limits,
                                               const model::Vm& vm, const std::string& target) {
  const auto source = inventory.find<model::Node>(vm.node);
  if (!source) return fail(ErrorCode::failed_precondition, "VM '{}' is on no node", vm.name);
  std::vector<MigrationChecks> all;
  if (!target.empty()) {
    const auto node = resolve<model::Node>(inventory, target);
    if (!node) return forward(node);
    all.push_back(check({inventory, limits, vm, source->value, (*node)->value}));
    return all;
  }
  for (const auto& node : inventory.all<model::Node>()) {
    if (node->value.id != vm.node) all.push_back(check({inventory, limits, vm, source->value, node->value}));
  }
  if (all.empty()) return fail(ErrorCode::failed_precondition, "there is no other node to move '{}' to", vm.name);
  return all;
}

// Of those that pass, the least loaded.
Result<model::NodeId> choose(const state::Inventory& inventory, const scheduler::Limits& limits, const model::Vm& vm,
                             const std::vector<MigrationChecks>& all) {
  auto cluster = cluster_snapshot(inventory, limits);
  std::erase_if(cluster.nodes, [&](const auto& node) {
    return std::none_of(all.begin(), all.end(),
                        [&](const auto& checks) { return checks.node == node.id && checks.passed(); });
  });
  const scheduler::VmRequest request{.cpus = vm.spec.cpus, .memory = vm.spec.memory};
  const auto placement = scheduler::place(cluster, request);
  if (!placement) return forward(placement);
  return placement->node;
}

Error refused(const model::Vm& vm, const std::vector<MigrationChecks>& all) {
  Error error{ErrorCode::failed_precondition, {}, {}};
  for (const auto& checks : all) {
    for (const auto& one : checks.checks) {
      if (one.passed) continue;
      error.message += fmt::format("{}{}{}", error.message.empty() ? "" : "; ",
                                   all.size() > 1 ? checks.node_name + ": " : std::string(), one.message);
      if (error.hint.empty()) error.hint = one.fix;
    }
  }
  error.message = fmt::format("VM '{}' can't move: {}", vm.name, error.message);
  return error;
}

}  // namespace

bool MigrationChecks::passed() const {
  return std::all_of(checks.begin(), checks.end(), [](const auto& one) { return one.passed; });
}

Result<std::vector<MigrationChecks>> check_migration(const state::Inventory& inventory, const scheduler::Limits& limits,
                                                     const std::string& vm, const std::string& target) {
  const auto record = vm_common::usable(inventory, vm);
  if (!record) return forward(record);
  return check_all(inventory, limits, (*record)->value, target);
}

Result<Accepted<model::Vm>> migrate_vm(Commander& commander, const Caller& caller, const std::string& reference,
                                       const MigrateVm& request) {
  return run_operation<model::Vm>(commander, caller, [&](Draft& draft) -> Result<Accepted<model::Vm>> {
    const auto record = vm_common::usable(draft.inventory, reference);
    if (!record) return forward(record);
    const auto& vm = (*record)->value;
    const auto all = check_all(draft.inventory, draft.limits(), vm, request.to);
    if (!all) return forward(all);
    if (std::none_of(all->begin(), all->end(), [](const auto& checks) { return checks.passed(); })) {
      return fail(refused(vm, *all));
    }
    const auto source = draft.inventory.find<model::Node>(vm.node);
    if (request.post_copy && source && source->value.facts.virtualization != model::Virtualization::kvm) {
      return fail_with_hint(
          ErrorCode::failed_precondition,
          fmt::format("post_copy: VM '{}' is emulated, and stands still while its memory is copied", vm.name),
          "Leave post-copy out.");
    }
    const auto node = choose(draft.inventory, draft.limits(), vm, *all);
    if (!node) return forward(node);
    auto operation = draft.operation(model::operation_kind::vm_migrate, "vm", vm.id.str(), vm.name, vm.generation);
    operation.parameters["from"] = vm.node.str();
    operation.parameters["to"] = node->str();
    operation.parameters["token"] = draft.edit.take("lease");
    if (request.post_copy) operation.parameters["post_copy"] = true;
    draft.add(operation);
    return Accepted<model::Vm>{.object = vm, .operation = std::move(operation)};
  });
}

}  // namespace bridgehead::reconcile
