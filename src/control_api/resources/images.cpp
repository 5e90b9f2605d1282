// Images: listing, import, deletion. Their bytes: image_transfer.cpp.
#include "control_api/bodies/requests.h"
#include "control_api/resources/answers.h"
#include "control_api/resources/handlers.h"
#include "model/enum_names.h"
#include "reconcile/commands/disks.h"

namespace bridgehead::control_api {
namespace {

Result<http::Response> change_image(
    Services& services, const Call& call,
    const std::function<Result<reconcile::Accepted<model::Image>>(const reconcile::Caller&)>& command) {
  const auto caller = caller_of(call);
  if (!caller) return forward(caller);
  const auto accepted = command(*caller);
  if (!accepted) return forward(accepted);
  return accepted_answer(*caller, "image", view_of(accepted->object, services.inventory()), accepted->operation);
}

}  // namespace

Result<http::Response> list_images(Services& services, const Call& call) {
  const auto& inventory = services.inventory();
  std::optional<model::ImageRole> role;
  if (const auto text = call.request().query("role")) {
    const auto parsed = model::parse_enum<model::ImageRole>(*text);
    if (!parsed) {
      return fail_with_hint(ErrorCode::invalid_argument, fmt::format("role: {}", parsed.error().message),
                            parsed.error().hint);
    }
    role = *parsed;
  }
  const auto revision = inventory.revision();
  return list_answer(revision, inventory.all<model::Image>(),
                     [&](std::string& out, const state::Record<model::Image>& record) {
                       if (role && record->value.role != *role) return false;
                       out += dump(view_of(record->value, inventory));
                       return true;
                     });
}

Result<http::Response> import_image(Services& services, const Call& call) {
  const auto request = read_import_image(call.body);
  if (!request) return forward(request);
  // A path names a file of the node: who may read any of those is an admin.
  if (request->source.kind == model::ImageSourceKind::path && call.actor.role != model::Role::admin) {
    return fail_with_hint(ErrorCode::permission_denied, "importing a file of a node needs the role admin",
                          "Upload the file, or use an admin's token.");
  }
  const auto caller = caller_of(call);
  if (!caller) return forward(caller);
  const auto accepted = reconcile::import_image(services.commander, *caller, *request);
  if (!accepted) return forward(accepted);
  auto answer = accepted_answer(*caller, "image", view_of(accepted->object, services.inventory()), accepted->operation);
  if (!caller->dry_run) answer.with("Location", location_of("images", accepted->object.id.str()));
  return answer;
}

Result<http::Response> get_image(Services& services, const Call& call) {
  const auto& inventory = services.inventory();
  const auto image = reconcile::resolve<model::Image>(inventory, call.parameters[0]);
  if (!image) return forward(image);
  auto body = view_of((*image)->value, inventory);
  body["users"] = nlohmann::json::array();
  for (const auto& user : reconcile::users_of_image(inventory, (*image)->value)) {
    body["users"].push_back({{"vm", user.vm.str()}, {"name", user.name}});
  }
  return json_answer(200, body);
}

Result<http::Response> delete_image_by_name(Services& services, const Call& call) {
  return change_image(services, call, [&](const auto& caller) {
    return reconcile::delete_image(services.commander, caller, call.parameters[0]);
  });
}

Result<http::Response> migrate_image_by_name(Services& services, const Call& call) {
  const auto pool = read_migrate_image(call.body);
  if (!pool) return forward(pool);
  return change_image(services, call, [&](const auto& caller) {
    return reconcile::migrate_image(services.commander, caller, call.parameters[0], *pool);
  });
}

Result<http::Response> flatten_image_by_name(Services& services, const Call& call) {
  return change_image(services, call, [&](const auto& caller) {
    return reconcile::flatten_image(services.commander, caller, call.parameters[0]);
  });
}

}  // namespace bridgehead::control_api
