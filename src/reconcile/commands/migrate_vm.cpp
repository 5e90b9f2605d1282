#include <algorithm>
#include <functional>
#include <set>

#include "model/enum_names.h"
#include "reconcile/cluster.h"
#include "reconcile/commands/migrated_disks.h"
#include "reconcile/commands/vm_common.h"
#include "reconcile/rules.h"

namespace bridgehead::reconcile {
namespace {

struct Candidate {
  const state::Inventory& inventory;
  const scheduler::Limits& limits;
  const model::Vm& vm;
  const model::Node& source;
  const model::Node& target;
  const model::Pool* pool;  // for disks that go along; null: the one that they are in
};

MigrationCheck passed(std::string name) { return {.name = std::move(name)}; }
MigrationCheck failed(std::string name, std::string message, std::string fix) {
  return {.name = std::move(name), .passed = false, .message = std::move(message), .fix = std::move(fix)};
}

MigrationCheck check_guest(const Candidate& at) {
  const auto& [inventory, limits, vm, source, target, pool] = at;
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

// As if it weren't anywhere yet.
MigrationCheck check_rules(const Candidate& at) {
  const auto rules = hard_rules(at.inventory);
  if (rules.empty()) return passed("rules");
  auto cluster = cluster_snapshot(at.inventory, at.limits);
  const auto own = rules_of(rules, at.vm);
  for (const auto index : own) {
    auto& guests = cluster.rules[index].guests;
    if (--guests[at.source.id] == 0) guests.erase(at.source.id);
  }
  for (const auto& node : cluster.nodes) {
    if (node.id != at.target.id) continue;
    if (auto checked = scheduler::check_rules(cluster, node, own); !checked) {
      return failed("rules", checked.error().message, checked.error().hint);
    }
  }
  return passed("rules");
}

MigrationChecks check(const Candidate& at) {
  auto disks = plan_migrated_disks(at.inventory, at.vm, at.source, at.target, at.pool);
  return {.node = at.target.id,
          .node_name = at.target.name,
          .checks = {check_guest(at), check_node(at), check_capacity(at), std::move(disks.check), check_networks(at),
                     check_cpu(at), check_versions(at), check_rules(at)},
          .copies = std::move(disks.copies)};
}

Result<std::vector<MigrationChecks>> check_all(const state::Inventory& inventory, const scheduler::Limits& limits,
                                               const model::Vm& vm, const MigrateVm& request) {
  const auto source = inventory.find<model::Node>(vm.node);
  if (!source) return fail(ErrorCode::failed_precondition, "VM '{}' is on no node", vm.name);
  state::Record<model::Pool> pool;
  if (!request.pool.empty()) {
    const auto named = resolve<model::Pool>(inventory, request.pool);
    if (!named) return forward(named);
    pool = *named;
  }
  const auto* into = pool ? &pool->value : nullptr;
  std::vector<MigrationChecks> all;
  if (!request.to.empty()) {
    const auto node = resolve<model::Node>(inventory, request.to);
    if (!node) return forward(node);
    all.push_back(check({inventory, limits, vm, source->value, (*node)->value, into}));
    return all;
  }
  for (const auto& node : inventory.all<model::Node>()) {
    if (node->value.id != vm.node) all.push_back(check({inventory, limits, vm, source->value, node->value, into}));
  }
  if (all.empty()) return fail(ErrorCode::failed_precondition, "there is no other node to move '{}' to", vm.name);
  return all;
}

// Of those that pass, the least loaded; if possible one where no disk needs to go along.
Result<MigrationChecks> choose(const state::Inventory& inventory, const scheduler::Limits& limits, const model::Vm& vm,
                               std::vector<MigrationChecks> all) {
  std::erase_if(all, [](const auto& checks) { return !checks.passed(); });
  const auto without = [](const auto& checks) { return checks.copies.empty(); };
  if (std::any_of(all.begin(), all.end(), without)) std::erase_if(all, std::not_fn(without));
  const auto chosen = [&](const model::NodeId& id) {
    return std::find_if(all.begin(), all.end(), [&](const auto& checks) { return checks.node == id; });
  };
  auto cluster = cluster_snapshot(inventory, limits);
  cluster.rules.clear();  // they hold on all that pass
  std::erase_if(cluster.nodes, [&](const auto& node) { return chosen(node.id) == all.end(); });
  const scheduler::VmRequest request{.cpus = vm.spec.cpus, .memory = vm.spec.memory};
  const auto placement = scheduler::place(cluster, request);
  if (!placement) return forward(placement);
  return *chosen(placement->node);
}

Status check_post_copy(const state::Inventory& inventory, const model::Vm& vm, const MigrationChecks& chosen) {
  const auto source = inventory.find<model::Node>(vm.node);
  if (source && source->value.facts.virtualization != model::Virtualization::kvm) {
    return fail_with_hint(
        ErrorCode::failed_precondition,
        fmt::format("post_copy: VM '{}' is emulated, and stands still while its memory is copied", vm.name),
        "Leave post-copy out.");
  }
  if (chosen.copies.empty()) return {};
  return fail_with_hint(
      ErrorCode::failed_precondition,
      fmt::format("post_copy: disks of VM '{}' go along, which must be whole before it goes on there", vm.name),
      "Leave post-copy out.");
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
                                                     const std::string& vm, const MigrateVm& request) {
  const auto record = vm_common::usable(inventory, vm);
  if (!record) return forward(record);
  return check_all(inventory, limits, (*record)->value, request);
}

Result<Accepted<model::Vm>> migrate_vm(Commander& commander, const Caller& caller, const std::string& reference,
                                       const MigrateVm& request) {
  return run_operation<model::Vm>(commander, caller, [&](Draft& draft) -> Result<Accepted<model::Vm>> {
    const auto record = vm_common::usable(draft.inventory, reference);
    if (!record) return forward(record);
    const auto& vm = (*record)->value;
    const auto all = check_all(draft.inventory, draft.limits(), vm, request);
    if (!all) return forward(all);
    if (std::none_of(all->begin(), all->end(), [](const auto& checks) { return checks.passed(); })) {
      return fail(refused(vm, *all));
    }
    const auto chosen = choose(draft.inventory, draft.limits(), vm, *all);
    if (!chosen) return forward(chosen);
    if (request.post_copy) {
      if (auto possible = check_post_copy(draft.inventory, vm, *chosen); !possible) return forward(possible);
    }
    auto operation = draft.operation(model::operation_kind::vm_migrate, "vm", vm.id.str(), vm.name, vm.generation);
    operation.parameters["from"] = vm.node.str();
    operation.parameters["to"] = chosen->node.str();
    operation.parameters["token"] = draft.edit.take("lease");
    if (request.post_copy) operation.parameters["post_copy"] = true;
    if (!chosen->copies.empty()) operation.parameters["copies"] = operations::to_parameter(chosen->copies);
    draft.add(operation);
    return Accepted<model::Vm>{.object = vm, .operation = std::move(operation)};
  });
}

}  // namespace bridgehead::reconcile
