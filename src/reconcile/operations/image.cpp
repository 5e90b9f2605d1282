// image.import: parameters {"source": ImageSource}; "node": where it is led, if that was asked for; "nodes": ids of all
// that were asked for, or how many at most (none = as many as pays); "helpers": ids of those that help operation.node,
// decided when it begins. The node leaves nothing behind when it fails or is cancelled; then
// the record goes and the name is free. image.delete: tried until it works; given up after some tries, and then the
// image is "failed" until a user asks again.
#include <algorithm>

#include "model/json.h"
#include "reconcile/operations/records.h"

namespace bridgehead::reconcile::operations {
namespace image_steps {
namespace {

// The connected node with the most room in the pool; the lowest id of equals.
Result<model::NodeId> roomiest_node(const View& view, const model::Image& image) {
  const auto pool = view.inventory.find<model::Pool>(image.pool);
  if (!pool) return fail(ErrorCode::not_found, "the pool was removed");
  model::NodeId best;
  Bytes room;
  std::string why;
  for (const auto& [id, there] : pool->value.nodes) {
    const auto node = view.inventory.find<model::Node>(id);
    if (!node) continue;
    if (!there.ready) {
      why = fmt::format("pool '{}' isn't ready on node '{}': {}", pool->value.name, node->value.name, there.message);
    } else if (!view.agents.connected(id)) {
      why = fmt::format("waiting for node '{}', whose agent isn't connected", node->value.name);
    } else if (best.empty() || there.available > room) {
      best = id;
      room = there.available;
    }
  }
  if (!best.empty()) return best;
  if (why.empty()) why = fmt::format("no node has pool '{}'", pool->value.name);
  return fail(ErrorCode::unavailable, "{}", why);
}

void drop_image(const View& view, Changes& changes, model::Operation&) {
  if (const auto image = image_of(view)) changes.remove(image);
}

bool in_shared_pool(const View& view, const model::Image& image) {
  const auto pool = view.inventory.find<model::Pool>(image.pool);
  return pool && model::is_shared(pool->value.driver);
}

bool ready_on(const state::Record<model::Pool>& pool, const model::NodeId& node) {
  const auto found = pool->value.nodes.find(node);
  return found != pool->value.nodes.end() && found->second.ready;
}

std::vector<model::NodeId> nodes_in(const model::Operation& operation, const char* name) {
  std::vector<model::NodeId> nodes;
  for (auto& id : parameter<std::vector<std::string>>(operation, name, {})) nodes.emplace_back(std::move(id));
  return nodes;
}

// How many nodes may do it together, and which ones were asked for (none = any). One: nobody helps.
std::pair<std::size_t, std::vector<model::NodeId>> asked_nodes(const View& view, const model::Image& source) {
  const auto& operation = view.operation();
  const auto named = nodes_in(operation, "nodes");
  if (!named.empty()) return {named.size(), named};
  const bool pays = source.allocated >= view.options.spread_import_from;
  return {parameter<std::size_t>(operation, "nodes", pays ? view.options.nodes_per_import : 1), {}};
}

// Of another shared pool's image, parts can be copied by every node that has both pools.
std::vector<model::NodeId> choose_helpers(const View& view, const model::Image& image, const model::NodeId& leader) {
  const auto from = parameter<model::ImageSource>(view.operation(), "source", {});
  const auto source = view.inventory.find<model::Image>(from.image);
  const auto pool = view.inventory.find<model::Pool>(image.pool);
  const auto source_pool = source ? view.inventory.find<model::Pool>(source->value.pool) : nullptr;
  if (from.kind != model::ImageSourceKind::image || !pool || !source_pool) return {};
  if (!model::is_shared(pool->value.driver) || !model::is_shared(source_pool->value.driver)) return {};
  const auto able = [&](const model::NodeId& node) {
    const auto* agent = view.agents.node(node);
    return agent != nullptr && agent->connected && agent->helps_imports;
  };
  if (!able(leader)) return {};
  const auto [most, named] = asked_nodes(view, source->value);
  std::vector<model::NodeId> helpers;
  for (const auto& node : view.inventory.all<model::Node>()) {
    const auto& id = node->value.id;
    if (helpers.size() + 1 >= most) break;
    if (id == leader || (!named.empty() && std::find(named.begin(), named.end(), id) == named.end())) continue;
    if (!able(id) || !ready_on(pool, id) || !ready_on(source_pool, id)) continue;
    if (!view.has_slot || view.has_slot(id)) helpers.push_back(id);
  }
  return helpers;
}

std::vector<model::NodeId> import_helpers(const model::Operation& operation) { return nodes_in(operation, "helpers"); }

Start start_import(const View& view, Changes& changes, model::Operation& operation) {
  const auto record = image_of(view);
  if (!record) return end_with({ErrorCode::not_found, "the image's record is gone", {}});
  auto image = record->value;
  if (!image.node.empty()) return at_node(view, operation, image.node);
  const model::NodeId asked(parameter<std::string>(operation, "node", {}));
  const auto chosen = asked.empty() ? roomiest_node(view, image) : Result<model::NodeId>(asked);
  if (!chosen) {
    const bool patient = view.now - operation.created < view.options.placement_patience;
    if (chosen.error().code == ErrorCode::unavailable && (patient || !view.settled)) {
      return wait_for(chosen.error().message, view.monotonic + std::chrono::seconds(1));
    }
    changes.remove(record);
    return end_with(chosen.error());
  }
  const auto where = at_node(view, operation, *chosen);
  if (where.what == Start::What::begin) {
    for (const auto& helper : choose_helpers(view, image, *chosen)) {
      operation.parameters["helpers"].push_back(helper.str());
    }
  }
  // What lies in a shared pool is no node's.
  if (where.what != Start::What::begin || in_shared_pool(view, image)) return where;
  image.node = *chosen;
  changes.update(record, image);
  return where;
}

Result<model::AssignmentBody> import_body(const View& view, const model::NodeId& node) {
  const auto image = image_of(view);
  if (!image) return fail(ErrorCode::not_found, "the image's record is gone");
  const auto pool = view.inventory.find<model::Pool>(image->value.pool);
  if (!pool) return fail(ErrorCode::not_found, "the pool was removed");
  model::ImportImage import;
  import.image = image->value;
  import.pool = pool->value;
  std::erase_if(import.pool.nodes, [&](const auto& entry) { return entry.first != node; });
  try {
    import.source = view.operation().parameters.at("source").get<model::ImageSource>();
  } catch (const nlohmann::json::exception& error) {
    return fail(ErrorCode::internal, "the operation's parameters can't be read: {}", error.what());
  }
  if (import.source.kind == model::ImageSourceKind::image) {
    const auto source = view.inventory.find<model::Image>(import.source.image);
    const auto source_pool = source ? view.inventory.find<model::Pool>(source->value.pool) : nullptr;
    if (!source_pool) return fail(ErrorCode::not_found, "the image to import from was deleted");
    import.source_image = source->value;
    import.source_pool = source_pool->value;
    import.source_pool.nodes.clear();
  }
  if (node != view.operation().node) {
    return model::AssignmentBody(model::HelpImport{.image = std::move(import.image),
                                                   .pool = std::move(import.pool),
                                                   .source_image = std::move(import.source_image),
                                                   .source_pool = std::move(import.source_pool),
                                                   .leader = view.operation().node});
  }
  import.helpers = import_helpers(view.operation());
  return model::AssignmentBody(std::move(import));
}

void import_succeeded(const View& view, const model::AssignmentReport& report, Changes& changes,
                      model::Operation& operation) {
  const auto record = image_of(view);
  if (!record) return;
  auto image = record->value;
  for (const auto& reported : report.images) {
    if (reported.id != image.id) continue;
    image.format = reported.format;
    image.virtual_size = reported.virtual_size;
    image.allocated = reported.allocated;
    if (!reported.sha256.empty()) image.sha256 = reported.sha256;
  }
  image.state = model::ImageState::ready;
  image.message.clear();
  changes.update(record, image);
  changes.event("image.ready", "image", image.id.str(), image.name,
                fmt::format("Image '{}' is ready, {}", image.name, image.virtual_size.human()), operation.created_by);
}

After import_failed(const View& view, const Error&, unsigned, Changes& changes, model::Operation& operation) {
  drop_image(view, changes, operation);
  return After::end;
}

Start start_delete(const View& view, Changes& changes, model::Operation& operation) {
  const auto record = image_of(view);
  if (!record) return end_well();
  if (in_shared_pool(view, record->value)) {
    const auto any = roomiest_node(view, record->value);
    if (!any) return wait_for(any.error().message, view.monotonic + std::chrono::seconds(1));
    return at_node(view, operation, *any);
  }
  // Never made anywhere, or on a node that was taken out of the cluster.
  if (record->value.node.empty() || !view.inventory.find<model::Node>(record->value.node)) {
    changes.remove(record);
    return end_well();
  }
  return at_node(view, operation, record->value.node);
}

Result<model::AssignmentBody> delete_body(const View& view, const model::NodeId& node) {
  const auto image = image_of(view);
  if (!image) return fail(ErrorCode::not_found, "the image's record is gone");
  const auto pool = view.inventory.find<model::Pool>(image->value.pool);
  if (!pool) return fail(ErrorCode::not_found, "the pool was removed");
  model::RemoveImage remove{.image = image->value, .pool = pool->value};
  std::erase_if(remove.pool.nodes, [&](const auto& entry) { return entry.first != node; });
  return model::AssignmentBody(std::move(remove));
}

void delete_succeeded(const View& view, const model::AssignmentReport&, Changes& changes, model::Operation& operation) {
  const auto image = image_of(view);
  if (!image) return;
  changes.remove(image);
  changes.event("image.deleted", "image", image->value.id.str(), image->value.name,
                fmt::format("Image '{}' is gone", image->value.name), operation.created_by);
}

After delete_failed(const View& view, const Error& error, unsigned failures, Changes& changes, model::Operation&) {
  if (failures < kTries) return After::retry;
  if (const auto record = image_of(view)) {
    auto image = record->value;
    image.state = model::ImageState::failed;
    image.message = fmt::format("deleting it failed: {}. Delete it again.", error.message);
    changes.update(record, image);
  }
  return After::end;
}

void withdraw_delete(const View& view, Changes& changes, model::Operation&) {
  const auto record = image_of(view);
  if (!record || record->value.state != model::ImageState::deleting) return;
  auto image = record->value;
  image.state = model::ImageState::ready;
  changes.update(record, image);
}

}  // namespace
}  // namespace image_steps

const Logic image_import{.kind = model::operation_kind::image_import,
                         .load = Load::image,
                         .helpers = image_steps::import_helpers,
                         .start = image_steps::start_import,
                         .body = image_steps::import_body,
                         .succeed = image_steps::import_succeeded,
                         .fail = image_steps::import_failed,
                         .withdraw = image_steps::drop_image};

const Logic image_delete{.kind = model::operation_kind::image_delete,
                         .load = Load::none,
                         .start = image_steps::start_delete,
                         .body = image_steps::delete_body,
                         .succeed = image_steps::delete_succeeded,
                         .fail = image_steps::delete_failed,
                         .withdraw = image_steps::withdraw_delete};

}  // namespace bridgehead::reconcile::operations
