#include <algorithm>
#include <filesystem>

#include "model/json.h"
#include "reconcile/commands/disks.h"
#include "reconcile/commands/parts.h"
#include "reconcile/commands/validate.h"
#include "reconcile/desired.h"

namespace bridgehead::reconcile {
namespace {

using validate::wrong;

bool is_plain(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) > ' ' && c != 127; });
}

Status check_source(const model::ImageSource& source) {
  if (auto checked = validate::sha256(source.sha256, "source.sha256"); !checked) return checked;
  const auto& location = source.location;
  if (location.size() > 4096) return wrong("source.location", "must be at most 4096 bytes");
  switch (source.kind) {
    case model::ImageSourceKind::url:
      if ((!location.starts_with("http://") && !location.starts_with("https://")) || !is_plain(location) ||
          location.find("://") + 3 >= location.size()) {
        return wrong("source.location", "'{}' is no http or https address", validate::shown(location));
      }
      return {};
    case model::ImageSourceKind::path: {
      const std::filesystem::path path(location);
      if (!path.is_absolute() || path.lexically_normal().string() != location || !path.has_filename() ||
          location.find('\0') != std::string::npos) {
        return wrong("source.location", "must be the absolute path of a file on the node, without '.' and '..'");
      }
      return {};
    }
    case model::ImageSourceKind::upload:
      if (source.size > 64_TiB) return wrong("source.size", "must be at most 64 TiB");
      return {};
    case model::ImageSourceKind::image: return {};
  }
  return wrong("source.kind", "is unknown");
}

std::string told_source(const model::ImageSource& source, const std::string& image_name) {
  switch (source.kind) {
    case model::ImageSourceKind::upload: return source.location.empty() ? "upload" : "upload of " + source.location;
    case model::ImageSourceKind::image: return "image " + image_name;
    case model::ImageSourceKind::url:
    case model::ImageSourceKind::path: break;
  }
  return source.location;
}

Result<model::NodeId> chosen_node(const state::Inventory& inventory, const ImportImage& request,
                                  const model::Pool& pool, const model::Image* source_image) {
  model::NodeId node;
  if (!request.node.empty()) {
    const auto record = parts::in_field<model::Node>(inventory, "node", request.node);
    if (!record) return forward(record);
    node = (*record)->value.id;
    if (!pool_wanted_on(pool, node)) {
      return fail(ErrorCode::failed_precondition, "node: '{}' doesn't have pool '{}'", (*record)->value.name,
                  pool.name);
    }
  }
  if (source_image == nullptr || source_image->node.empty()) return node;
  if (!node.empty() && node != source_image->node) {
    return fail(ErrorCode::failed_precondition, "node: image '{}' is on another node", source_image->name);
  }
  if (!pool_wanted_on(pool, source_image->node)) {
    return fail(ErrorCode::failed_precondition, "pool: the node of image '{}' doesn't have pool '{}'",
                source_image->name, pool.name);
  }
  return source_image->node;
}

// The nodes that are to copy it together, or how many at most; null = as many as pays.
Result<nlohmann::json> asked_nodes(const state::Inventory& inventory, const ImportImage& request,
                                   const model::Pool& pool, const model::Image* source_image) {
  constexpr std::uint64_t kMost = 64;
  nlohmann::json asked;
  const auto& names = request.nodes;
  if (request.most_nodes && !names.empty()) return wrong("nodes", "goes without most_nodes");
  if (!request.node.empty() && !names.empty()) return wrong("nodes", "goes without node: the first one leads");
  if (request.most_nodes && (*request.most_nodes < 1 || *request.most_nodes > kMost)) {
    return wrong("most_nodes", "must be between 1 and {}", kMost);
  }
  if (request.most_nodes.value_or(names.size()) > 1 &&
      (source_image == nullptr || !source_image->node.empty() || !model::is_shared(pool.driver))) {
    return fail_with_hint(ErrorCode::failed_precondition,
                          "nodes: several nodes only copy an image from one shared pool to another together",
                          "Leave it out: one node does it.");
  }
  if (request.most_nodes) asked = *request.most_nodes;
  for (const auto& name : names) {
    const auto record = parts::in_field<model::Node>(inventory, "nodes", name);
    if (!record) return forward(record);
    const auto& id = (*record)->value.id;
    for (const auto& other : asked) {
      if (other == id.str()) return wrong("nodes", "'{}' stands there twice", (*record)->value.name);
    }
    if (!pool_wanted_on(pool, id)) {
      return fail(ErrorCode::failed_precondition, "nodes: '{}' doesn't have pool '{}'", (*record)->value.name,
                  pool.name);
    }
    asked.push_back(id.str());
  }
  return asked;
}

Result<Accepted<model::Image>> fill_import(Draft& draft, const ImportImage& request) {
  const auto& inventory = draft.inventory;
  if (auto checked = check_name_free<model::Image>(inventory, request.name); !checked) return forward(checked);
  const auto pool_id = parts::pool_for(inventory, request.pool);
  if (!pool_id) return forward(pool_id);
  const auto pool = inventory.find<model::Pool>(*pool_id);
  auto source = request.source;
  std::optional<model::Image> source_image;
  if (source.kind == model::ImageSourceKind::image) {
    auto image =
        parts::golden_image(inventory, "source.image", source.image.empty() ? source.location : source.image.str());
    if (!image) return forward(image);
    if (image->pool == *pool_id) return wrong("pool", "image '{}' is in that pool already", image->name);
    source_image = std::move(*image);
    source.image = source_image->id;
    source.location.clear();
  }
  const auto* source_record = source_image ? &*source_image : nullptr;
  auto nodes = asked_nodes(inventory, request, pool->value, source_record);
  if (!nodes) return forward(nodes);
  auto led_by = request;
  if (!request.nodes.empty()) led_by.node = request.nodes.front();
  const auto node = chosen_node(inventory, led_by, pool->value, source_record);
  if (!node) return forward(node);

  model::Image image;
  image.id = make_id<model::ImageId>(draft.random());
  image.name = request.name;
  image.pool = *pool_id;
  if (auto checked = parts::check_layout("layout", request.layout, pool->value); !checked) return forward(checked);
  image.layout = request.layout;
  const bool shared = model::is_shared(pool->value.driver);
  if (!shared) image.node = *node;
  image.source = told_source(source, source_image ? source_image->name : "");
  image.created = draft.now;
  auto operation = draft.operation(model::operation_kind::image_import, "image", image.id.str(), image.name, 0);
  operation.parameters["source"] = source;
  if (shared && !node->empty()) operation.parameters["node"] = node->str();
  if (!nodes->is_null()) operation.parameters["nodes"] = std::move(*nodes);
  draft.edit.create(image);
  draft.add(operation);
  return Accepted<model::Image>{.object = std::move(image), .operation = std::move(operation)};
}

std::string told_users(const std::vector<ImageUser>& users) {
  constexpr std::size_t kShown = 10;
  std::string text;
  for (std::size_t i = 0; i < users.size() && i < kShown; ++i) {
    text += fmt::format("{}{}'{}'", text.empty() ? "" : ", ", users[i].vm.empty() ? "detached disk " : "VM ",
                        users[i].name);
  }
  if (users.size() > kShown) text += fmt::format(" and {} more", users.size() - kShown);
  return text;
}

Result<Accepted<model::Image>> fill_delete(Draft& draft, const std::string& reference) {
  const auto record = resolve<model::Image>(draft.inventory, reference);
  if (!record) return forward(record);
  auto image = (*record)->value;
  for (const auto& open : draft.inventory.operations_of(image.id.str())) {
    const auto& operation = open->value;
    if (operation.terminal()) continue;
    if (operation.kind == model::operation_kind::image_delete) {
      return Accepted<model::Image>{.object = image, .operation = operation};
    }
    if (auto rests = check_disk_rests(draft.inventory, image); !rests) return forward(rests);
    return fail_with_hint(ErrorCode::failed_precondition, fmt::format("image '{}' is still being imported", image.name),
                          fmt::format("Cancel the import instead: bh operation cancel {}", operation.id));
  }
  const auto users = users_of_image(draft.inventory, image);
  if (!users.empty()) {
    return fail_with_hint(ErrorCode::failed_precondition,
                          fmt::format("image '{}' is in use by {}", image.name, told_users(users)),
                          "Delete those first, or keep the image.");
  }
  image.state = model::ImageState::deleting;
  draft.edit.update(*record, image);
  auto operation = draft.operation(model::operation_kind::image_delete, "image", image.id.str(), image.name, 0);
  draft.add(operation);
  return Accepted<model::Image>{.object = std::move(image), .operation = std::move(operation)};
}

}  // namespace

std::vector<ImageUser> users_of_image(const state::Inventory& inventory, const model::Image& image) {
  std::vector<ImageUser> users;
  const auto add = [&](const model::Image& disk) {
    const auto vm = disk.vm.empty() ? nullptr : inventory.find<model::Vm>(disk.vm);
    ImageUser user{.vm = vm ? disk.vm : model::VmId(), .name = vm ? vm->value.name : disk.name};
    const bool known =
        std::any_of(users.begin(), users.end(), [&](const auto& u) { return u.vm == user.vm && u.name == user.name; });
    if (!known) users.push_back(std::move(user));
  };
  if (image.role == model::ImageRole::disk) {
    if (!image.vm.empty() && inventory.find<model::Vm>(image.vm)) add(image);
    return users;
  }
  for (const auto& clone : inventory.clones_of(image.id)) add(clone->value);
  // An import that reads it now.
  for (const auto& open : inventory.open_operations()) {
    const auto& operation = open->value;
    if (operation.kind != model::operation_kind::image_import) continue;
    const auto source = operation.parameters.find("source");
    if (source == operation.parameters.end() || source->value("image", std::string()) != image.id.str()) continue;
    users.push_back({.vm = {}, .name = operation.target_name});
  }
  return users;
}

Result<Accepted<model::Image>> import_image(Commander& commander, const Caller& caller, const ImportImage& request) {
  if (auto checked = validate::name("image", request.name); !checked) return forward(checked);
  if (auto checked = check_source(request.source); !checked) return forward(checked);
  return run_operation<model::Image>(commander, caller, [&](Draft& draft) { return fill_import(draft, request); });
}

Result<Accepted<model::Image>> delete_image(Commander& commander, const Caller& caller, const std::string& image) {
  return run_operation<model::Image>(commander, caller, [&](Draft& draft) { return fill_delete(draft, image); });
}

}  // namespace bridgehead::reconcile
