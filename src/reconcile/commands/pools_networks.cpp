#include <algorithm>

#include "model/enum_names.h"
#include "model/pool_rules.h"
#include "reconcile/commands/draft.h"
#include "reconcile/commands/parts.h"
#include "reconcile/commands/validate.h"
#include "reconcile/operations/disk_copies.h"

namespace bridgehead::reconcile {
namespace {

using validate::wrong;

bool inside(const std::string& inner, const std::string& outer) {
  return inner == outer || outer.empty() || (inner.starts_with(outer) && inner[outer.size()] == '/');
}

// Whether one of them lies in the other, as far as their records tell.
bool overlap(const model::Pool& a, const model::Pool& b) {
  if (model::is_mounted_by_agents(a.driver) != model::is_mounted_by_agents(b.driver)) return false;
  if (a.source != b.source) return false;
  if (!inside(a.path, b.path) && !inside(b.path, a.path)) return false;
  if (model::is_mounted_by_agents(a.driver) || a.limited_to.empty() || b.limited_to.empty()) return true;
  return std::any_of(a.limited_to.begin(), a.limited_to.end(), [&](const auto& node) {
    return std::find(b.limited_to.begin(), b.limited_to.end(), node) != b.limited_to.end();
  });
}

Result<Accepted<model::Pool>> fill_add_pool(Draft& draft, const AddPool& request) {
  model::Pool pool;
  pool.id = make_id<model::PoolId>(draft.random());
  pool.name = request.name;
  pool.driver = request.driver;
  pool.source = request.source;
  pool.path = request.path;
  pool.options = request.options;
  pool.created = draft.now;
  if (auto checked = check_name_free<model::Pool>(draft.inventory, request.name); !checked) return forward(checked);
  for (std::size_t i = 0; i < request.nodes.size(); ++i) {
    const auto node = parts::in_field<model::Node>(draft.inventory, fmt::format("nodes[{}]", i), request.nodes[i]);
    if (!node) return forward(node);
    pool.limited_to.push_back((*node)->value.id);
  }
  for (const auto& other : draft.inventory.all<model::Pool>()) {
    if (!overlap(pool, other->value)) continue;
    return fail(ErrorCode::already_exists, "path: pool '{}' uses {}{}; two pools can't share a directory",
                other->value.name, other->value.source,
                other->value.source.empty() ? other->value.path : " " + other->value.path);
  }
  auto operation = draft.operation(model::operation_kind::pool_add, "pool", pool.id.str(), pool.name, 0);
  draft.edit.create(pool);
  draft.add(operation);
  return Accepted<model::Pool>{.object = std::move(pool), .operation = std::move(operation)};
}

template <typename T>
std::optional<model::Operation> open_operation(const state::Inventory& inventory, const T& record) {
  for (const auto& open : inventory.operations_of(record.id.str())) {
    if (!open->value.terminal()) return open->value;
  }
  return {};
}

Result<Accepted<model::Pool>> fill_remove_pool(Draft& draft, const std::string& reference) {
  const auto record = resolve<model::Pool>(draft.inventory, reference);
  if (!record) return forward(record);
  auto pool = (*record)->value;
  if (const auto open = open_operation(draft.inventory, pool)) {
    if (open->kind == model::operation_kind::pool_remove)
      return Accepted<model::Pool>{.object = pool, .operation = *open};
    return fail(ErrorCode::failed_precondition, "pool '{}' is still being added", pool.name);
  }
  std::size_t images = 0;
  std::string names;
  for (const auto& image : draft.inventory.all<model::Image>()) {
    if (image->value.pool != pool.id) continue;
    if (++images <= 10) names += fmt::format("{}'{}'", names.empty() ? "" : ", ", image->value.name);
  }
  if (images != 0) {
    return fail_with_hint(ErrorCode::failed_precondition,
                          fmt::format("pool '{}' has {} image{}: {}{}", pool.name, images, images == 1 ? "" : "s",
                                      names, images > 10 ? " and more" : ""),
                          "Delete the guests and images in it first.");
  }
  for (const auto& open : draft.inventory.open_operations()) {
    const auto& operation = open->value;
    if (operation.kind == model::operation_kind::image_clear && operations::clears_in(operation, pool.id)) {
      return fail_with_hint(
          ErrorCode::failed_precondition,
          fmt::format("a file of disk '{}' is still to be removed from pool '{}'", operation.target_name, pool.name),
          fmt::format("Wait for it: bh operation show {}", operation.id));
    }
    const auto copies = operations::copies_of(operation);
    const bool copied_into =
        std::any_of(copies.begin(), copies.end(), [&](const auto& copy) { return copy.to == pool.id; });
    const bool moved_into =
        operation.kind == model::operation_kind::image_migrate && operation.parameters.value("to", "") == pool.id.str();
    if (!copied_into && !moved_into) continue;
    return fail_with_hint(ErrorCode::failed_precondition,
                          fmt::format("a disk of '{}' is on its way into pool '{}'", operation.target_name, pool.name),
                          fmt::format("Wait for it, or: bh operation cancel {}", operation.id));
  }
  pool.deleting = true;
  draft.edit.update(*record, pool);
  auto operation = draft.operation(model::operation_kind::pool_remove, "pool", pool.id.str(), pool.name, 0);
  draft.add(operation);
  return Accepted<model::Pool>{.object = std::move(pool), .operation = std::move(operation)};
}

Result<std::string> free_subnet(const state::Inventory& inventory) {
  for (int third = 120; third < 220; ++third) {
    const auto text = fmt::format("192.168.{}.0/24", third);
    const auto candidate = validate::subnet(text);
    bool free = true;
    for (const auto& network : inventory.all<model::Network>()) {
      if (network->value.subnet.empty()) continue;
      const auto other = validate::subnet(network->value.subnet);
      free = free && !(other && candidate->overlaps(*other));
    }
    if (free) return text;
  }
  return wrong("subnet", "no default is left; say which one");
}

Status fill_nat(const state::Inventory& inventory, const CreateNetwork& request, model::Network& network) {
  if (request.vlan) return wrong("vlan", "a nat network has none");
  if (!request.bridge.empty()) {
    if (auto checked = validate::bridge(request.bridge); !checked) return checked;
  }
  network.subnet = request.subnet;
  if (network.subnet.empty()) {
    auto chosen = free_subnet(inventory);
    if (!chosen) return forward(chosen);
    network.subnet = std::move(*chosen);
  }
  const auto subnet = validate::subnet(network.subnet);
  if (!subnet) return forward(subnet);
  for (const auto& other : inventory.all<model::Network>()) {
    if (other->value.kind != model::NetworkKind::nat) continue;
    const auto theirs = validate::subnet(other->value.subnet);
    if (theirs && subnet->overlaps(*theirs)) {
      return fail(ErrorCode::already_exists, "subnet: {} overlaps with network '{}', {}", network.subnet,
                  other->value.name, other->value.subnet);
    }
    if (!request.bridge.empty() && other->value.bridge == request.bridge) {
      return fail(ErrorCode::already_exists, "bridge: network '{}' has it", other->value.name);
    }
  }
  return {};
}

Status fill_bridge(const CreateNetwork& request, model::Network& network) {
  if (!request.subnet.empty()) return wrong("subnet", "only a nat network has one");
  if (auto checked = validate::bridge(request.bridge); !checked) return checked;
  if (auto checked = validate::vlan(request.vlan, "vlan"); !checked) return checked;
  if (request.vlan) network.vlan = static_cast<std::uint16_t>(*request.vlan);
  return {};
}

Result<Accepted<model::Network>> fill_create_network(Draft& draft, const CreateNetwork& request) {
  model::Network network;
  network.id = make_id<model::NetworkId>(draft.random());
  network.name = request.name;
  network.kind = request.kind;
  network.bridge = request.bridge;
  network.created = draft.now;
  if (auto checked = check_name_free<model::Network>(draft.inventory, request.name); !checked) return forward(checked);
  auto filled = request.kind == model::NetworkKind::nat ? fill_nat(draft.inventory, request, network)
                                                        : fill_bridge(request, network);
  if (!filled) return forward(filled);
  auto operation = draft.operation(model::operation_kind::network_create, "network", network.id.str(), network.name, 0);
  draft.edit.create(network);
  draft.add(operation);
  return Accepted<model::Network>{.object = std::move(network), .operation = std::move(operation)};
}

Result<Accepted<model::Network>> fill_delete_network(Draft& draft, const std::string& reference) {
  const auto record = resolve<model::Network>(draft.inventory, reference);
  if (!record) return forward(record);
  auto network = (*record)->value;
  if (const auto open = open_operation(draft.inventory, network)) {
    if (open->kind == model::operation_kind::network_delete) {
      return Accepted<model::Network>{.object = network, .operation = *open};
    }
    return fail(ErrorCode::failed_precondition, "network '{}' is still being created", network.name);
  }
  std::size_t users = 0;
  std::string names;
  for (const auto& vm : draft.inventory.all<model::Vm>()) {
    const auto& nics = vm->value.spec.nics;
    if (std::none_of(nics.begin(), nics.end(), [&](const auto& nic) { return nic.network == network.id; })) continue;
    if (++users <= 10) names += fmt::format("{}'{}'", names.empty() ? "" : ", ", vm->value.name);
  }
  if (users != 0) {
    return fail_with_hint(ErrorCode::failed_precondition,
                          fmt::format("network '{}' is in use by {} VM{}: {}{}", network.name, users,
                                      users == 1 ? "" : "s", names, users > 10 ? " and more" : ""),
                          "Remove their NICs or delete them first.");
  }
  network.deleting = true;
  draft.edit.update(*record, network);
  auto operation = draft.operation(model::operation_kind::network_delete, "network", network.id.str(), network.name, 0);
  draft.add(operation);
  return Accepted<model::Network>{.object = std::move(network), .operation = std::move(operation)};
}

}  // namespace

Result<Accepted<model::Pool>> add_pool(Commander& commander, const Caller& caller, const AddPool& request) {
  if (auto checked = validate::name("pool", request.name); !checked) return forward(checked);
  auto checked = model::check_pool_place(request.driver, request.source, request.path, request.options);
  if (!checked) return forward(checked);
  return run_operation<model::Pool>(commander, caller, [&](Draft& draft) { return fill_add_pool(draft, request); });
}

Result<Accepted<model::Pool>> remove_pool(Commander& commander, const Caller& caller, const std::string& pool) {
  return run_operation<model::Pool>(commander, caller, [&](Draft& draft) { return fill_remove_pool(draft, pool); });
}

Result<Accepted<model::Network>> create_network(Commander& commander, const Caller& caller,
                                                const CreateNetwork& request) {
  if (auto checked = validate::name("network", request.name); !checked) return forward(checked);
  return run_operation<model::Network>(commander, caller,
                                       [&](Draft& draft) { return fill_create_network(draft, request); });
}

Result<Accepted<model::Network>> delete_network(Commander& commander, const Caller& caller,
                                                const std::string& network) {
  return run_operation<model::Network>(commander, caller,
                                       [&](Draft& draft) { return fill_delete_network(draft, network); });
}

}  // namespace bridgehead::reconcile
