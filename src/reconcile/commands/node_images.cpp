// Node images, and which nodes boot them.
#include <arpa/inet.h>
#include <algorithm>

#include "base/ids.h"
#include "reconcile/commands/draft.h"
#include "reconcile/commands/netboot.h"
#include "reconcile/commands/validate.h"
#include "reconcile/operations/maintenance_state.h"

namespace bridgehead::reconcile {
namespace {

using validate::wrong;

std::uint32_t next_version(const state::Inventory& inventory, const std::string& base) {
  std::uint32_t newest = 0;
  for (const auto& image : inventory.all<model::NodeImage>()) {
    if (image->value.base == base) newest = std::max(newest, image->value.version);
  }
  return newest + 1;
}

Result<Accepted<model::NodeImage>> make_image(Draft& draft, const std::string& base, const std::string& role,
                                              std::string source, const char* kind, nlohmann::json parameters) {
  for (const auto& open : draft.inventory.open_operations()) {
    const auto& its = open->value.kind;
    if (!model::operation_kind::makes_node_images(its) || its == model::operation_kind::node_image_delete) continue;
    const auto other = draft.inventory.find<model::NodeImage>(model::NodeImageId(open->value.target));
    if (!other || other->value.base != base) continue;
    return fail_with_hint(ErrorCode::failed_precondition, fmt::format("'{}' is being made", other->value.name),
                          fmt::format("Wait for it, or cancel it: bh operation cancel {}", open->value.id));
  }
  model::NodeImage image;
  image.id = make_id<model::NodeImageId>(draft.random());
  image.base = base;
  // Versions are never given twice, so that a name always means the same bytes.
  image.version = draft.dry_run() ? next_version(draft.inventory, base)
                                  : static_cast<std::uint32_t>(draft.edit.take_next("node_image/" + base));
  image.name = fmt::format("{}:{}", base, image.version);
  image.role = role;
  image.source = std::move(source);
  image.created = draft.now;
  auto operation = draft.operation(kind, "node_image", image.id.str(), image.name, 0);
  operation.parameters.update(parameters);
  draft.edit.create(image);
  draft.add(operation);
  return Accepted<model::NodeImage>{.object = std::move(image), .operation = std::move(operation)};
}

Status check_role(const std::string& role) {
  if (role == "compute" || role == "storage") return {};
  return wrong("role", "'{}' is neither compute nor storage", validate::shown(role));
}

// Whether the kernel has them is known when the image is made.
Status check_nic_drivers(const std::string& drivers) {
  constexpr std::string_view kUsed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-,";
  const bool good = !drivers.empty() && drivers.size() <= 500 &&
                    drivers.find_first_not_of(kUsed) == std::string::npos && drivers.front() != ',' &&
                    drivers.back() != ',' && drivers.find(",,") == std::string::npos;
  if (good) return {};
  return wrong("nic_drivers", "'{}' must be 'servers', 'all' or names of drivers, with commas between: servers,ice",
               validate::shown(drivers));
}

Result<Accepted<model::NodeImage>> fill_delete_image(Draft& draft, const std::string& reference) {
  const auto record = resolve<model::NodeImage>(draft.inventory, reference);
  if (!record) return forward(record);
  auto image = (*record)->value;
  for (const auto& open : draft.inventory.operations_of(image.id.str())) {
    const auto& operation = open->value;
    if (operation.terminal()) continue;
    if (operation.kind == model::operation_kind::node_image_delete) {
      return Accepted<model::NodeImage>{.object = image, .operation = operation};
    }
    const bool rolled_out = operation.kind == model::operation_kind::node_image_rollout;
    return fail_with_hint(
        ErrorCode::failed_precondition, fmt::format("'{}' is being {}", image.name, rolled_out ? "rolled out" : "made"),
        fmt::format("Cancel that {}: bh operation cancel {}", rolled_out ? "first" : "instead", operation.id));
  }
  for (const auto& open : draft.inventory.open_operations()) {
    const auto& operation = open->value;
    if (operation.kind != model::operation_kind::node_maintain) continue;
    if (operations::maintenance_of(operation).before != image.name) continue;
    return fail_with_hint(
        ErrorCode::failed_precondition,
        fmt::format("node '{}' goes back to '{}' if its new image doesn't work", operation.target_name, image.name),
        fmt::format("Wait for it: bh operation watch {}", operation.id));
  }
  for (const auto& node : draft.inventory.all<model::Node>()) {
    const auto boot = draft.inventory.find<model::Boot>(node->value.id);
    const bool assigned = node->value.netboot && node->value.netboot->image == image.name;
    // Whether the node is there just now says little: right after a restart of the manager none is.
    const bool booted = boot && boot->value.image == image.name;
    if (!assigned && !booted) continue;
    return fail_with_hint(
        ErrorCode::failed_precondition,
        fmt::format("node '{}' {} '{}'", node->value.name, assigned ? "is assigned to" : "has booted", image.name),
        assigned ? "Assign another image first: bh node assign"
                 : "Boot the node from another image first, or delete the node.");
  }
  image.state = model::NodeImageState::deleting;
  draft.edit.update(*record, image);
  auto operation =
      draft.operation(model::operation_kind::node_image_delete, "node_image", image.id.str(), image.name, 0);
  draft.add(operation);
  return Accepted<model::NodeImage>{.object = std::move(image), .operation = std::move(operation)};
}

}  // namespace

Result<std::vector<state::Record<model::Node>>> selected(const state::Inventory& inventory, const SelectNodes& select) {
  if (select.nodes.empty()) return wrong("nodes", "name at least one node, or a pattern like 'rack1-*'");
  const auto all = inventory.all<model::Node>();
  std::vector<state::Record<model::Node>> result;
  for (const auto& wanted : select.nodes) {
    bool found = false;
    for (const auto& node : all) {
      const auto& value = node->value;
      if (!is_meant(value, wanted)) continue;
      if (!value.netboot && value.name == wanted) {
        return fail(ErrorCode::failed_precondition, "node '{}' doesn't boot over the network", value.name);
      }
      if (!value.netboot) continue;
      found = true;
      if (std::find(result.begin(), result.end(), node) == result.end()) result.push_back(node);
    }
    if (!found) {
      return fail_with_hint(ErrorCode::not_found,
                            fmt::format("no node that boots over the network fits '{}'", validate::shown(wanted)),
                            "Power the machine on; it appears at its first boot. bh node list shows all.");
    }
  }
  return result;
}

namespace {

Status reserve(Draft& draft, const model::Node& node, const std::string& address, model::Netboot& netboot) {
  in_addr parsed{};
  if (!address.empty() && inet_pton(AF_INET, address.c_str(), &parsed) != 1) {
    return wrong("address", "'{}' is not an IPv4 address", validate::shown(address));
  }
  const auto settings = netboot_settings(draft.inventory);
  if (!address.empty() && settings.mode == model::NetbootMode::full && !can_be_reserved(settings, address)) {
    return wrong("address", "{} is none that a machine in the network of {} can have", address, settings.address);
  }
  for (const auto& other : draft.inventory.all<model::Node>()) {
    const auto& value = other->value;
    if (address.empty() || value.id == node.id || !value.netboot || value.netboot->address != address) continue;
    return fail(ErrorCode::already_exists, "address: {} is reserved for node '{}'", address, value.name);
  }
  netboot.address = address;
  return {};
}

}  // namespace

Result<Accepted<model::NodeImage>> build_node_image(Commander& commander, const Caller& caller,
                                                    const BuildNodeImage& request) {
  if (auto checked = validate::name("node image", request.base, "base"); !checked) return forward(checked);
  if (auto checked = check_role(request.role); !checked) return forward(checked);
  if (auto checked = check_nic_drivers(request.nic_drivers); !checked) return forward(checked);
  return run_operation<model::NodeImage>(commander, caller, [&](Draft& draft) {
    return make_image(draft, request.base, request.role, fmt::format("recipe {} {}", request.base, request.role),
                      model::operation_kind::node_image_build,
                      {{"recipe", request.base}, {"nic_drivers", request.nic_drivers}});
  });
}

Result<Accepted<model::NodeImage>> import_node_image(Commander& commander, const Caller& caller,
                                                     const ImportNodeImage& request) {
  if (auto checked = validate::name("node image", request.base, "base"); !checked) return forward(checked);
  if (auto checked = check_role(request.role); !checked) return forward(checked);
  if (auto checked = check_nic_drivers(request.nic_drivers); !checked) return forward(checked);
  if (!request.path.starts_with('/')) return wrong("path", "must be absolute, on the manager's machine");
  nlohmann::json parameters = {{"path", request.path}, {"nic_drivers", request.nic_drivers}};
  if (!request.initramfs.empty()) parameters["initramfs"] = request.initramfs;
  return run_operation<model::NodeImage>(commander, caller, [&](Draft& draft) {
    return make_image(draft, request.base, request.role, request.path, model::operation_kind::node_image_import,
                      parameters);
  });
}

Result<Accepted<model::NodeImage>> delete_node_image(Commander& commander, const Caller& caller,
                                                     const std::string& image) {
  return run_operation<model::NodeImage>(commander, caller,
                                         [&](Draft& draft) { return fill_delete_image(draft, image); });
}

Result<state::Record<model::NodeImage>> resolve_node_image(const state::Inventory& inventory,
                                                           const std::string& reference) {
  if (reference.find(':') != std::string::npos || is_uuid(reference)) {
    return resolve<model::NodeImage>(inventory, reference);
  }
  state::Record<model::NodeImage> newest;
  for (const auto& image : inventory.all<model::NodeImage>()) {
    const auto& value = image->value;
    if (value.base != reference || value.state != model::NodeImageState::ready) continue;
    if (!newest || newest->value.version < value.version) newest = image;
  }
  if (newest) return newest;
  return fail_with_hint(ErrorCode::not_found,
                        fmt::format("there is no ready node image '{}'", validate::shown(reference)),
                        "bh node-image list shows those there are; bh node-image build makes one.");
}

Result<std::vector<model::Node>> approve_nodes(Commander& commander, const Caller& caller,
                                               const ApproveNodes& request) {
  return run<std::vector<model::Node>>(commander, caller, [&](Draft& draft) -> Result<std::vector<model::Node>> {
    const auto nodes = selected(draft.inventory, request.select);
    if (!nodes) return forward(nodes);
    std::vector<model::Node> result;
    for (const auto& record : *nodes) {
      auto node = record->value;
      node.netboot->approval = request.approval;
      result.push_back(node);
      if (node == record->value) continue;
      draft.edit.update(record, node);
      const auto word = request.approval == model::Approval::approved ? "approved" : "refused";
      draft.event(fmt::format("node.{}", word), "node", node.id.str(), node.name,
                  fmt::format("Machine {} was {} as node '{}'", node.netboot->mac, word, node.name));
    }
    return result;
  });
}

Result<std::vector<model::Node>> assign_nodes(Commander& commander, const Caller& caller, const AssignNodes& request) {
  if (!request.image && !request.profile && !request.address)
    return wrong("image", "give an image, a profile or an address");
  return run<std::vector<model::Node>>(commander, caller, [&](Draft& draft) -> Result<std::vector<model::Node>> {
    const auto nodes = selected(draft.inventory, request.select);
    if (!nodes) return forward(nodes);
    if (request.address && !request.address->empty() && nodes->size() != 1) {
      return wrong("address", "is for one node, not for {}", nodes->size());
    }
    std::string image;
    if (request.image && !request.image->empty()) {
      const auto found = resolve_node_image(draft.inventory, *request.image);
      if (!found) return forward(found);
      if ((*found)->value.state != model::NodeImageState::ready) {
        return fail(ErrorCode::failed_precondition, "image: '{}' isn't ready", (*found)->value.name);
      }
      image = (*found)->value.name;
    }
    const auto profile = find_profile(draft.inventory, request.profile.value_or(""));
    if (!profile) return forward(profile);
    std::vector<model::Node> result;
    for (const auto& record : *nodes) {
      auto node = record->value;
      if (request.image) node.netboot->image = image;
      if (request.profile) node.netboot->profile = profile->name == "default" ? "" : profile->name;
      if (request.address) {
        if (auto reserved = reserve(draft, node, *request.address, *node.netboot); !reserved) return forward(reserved);
      }
      result.push_back(node);
      if (node == record->value) continue;
      draft.edit.update(record, node);
      draft.event("node.assigned", "node", node.id.str(), node.name,
                  fmt::format("Node '{}' boots {} with profile '{}' from its next boot on", node.name,
                              node.netboot->image.empty() ? "no image" : node.netboot->image,
                              node.netboot->profile.empty() ? "default" : node.netboot->profile));
    }
    return result;
  });
}

}  // namespace bridgehead::reconcile
