// Node images: what machines boot. Made and removed on the manager's machine.
#include "control_api/bodies/power_requests.h"
#include "control_api/bodies/requests.h"
#include "control_api/resources/answers.h"
#include "control_api/resources/handlers.h"
#include "control_api/resources/netboot_parts.h"
#include "model/enum_names.h"

namespace bridgehead::control_api {
namespace {

Result<reconcile::Accepted<model::NodeImage>> make_node_image(Services& services, const reconcile::Caller& caller,
                                                              const NodeImageRequest& request) {
  if (request.path) {
    return import_node_image(services.commander, caller,
                             {.base = request.base,
                              .path = *request.path,
                              .role = request.role,
                              .nic_drivers = request.nic_drivers,
                              .initramfs = request.initramfs});
  }
  if (!request.initramfs.empty()) {
    return fail(ErrorCode::invalid_argument, "initramfs: is for imports; what is built gets one of ours");
  }
  return build_node_image(services.commander, caller, {request.base, request.role, request.nic_drivers});
}

Result<model::NodeImage> ready_node_image(const Services& services, const std::string& reference) {
  const auto record = reconcile::resolve_node_image(services.inventory(), reference);
  if (!record) return forward(record);
  const auto& image = (*record)->value;
  if (image.state == model::NodeImageState::ready) return image;
  return fail(ErrorCode::failed_precondition, "node image '{}' is {}: only ready ones can be compared", image.name,
              model::to_string(image.state));
}

}  // namespace

Result<http::Response> list_node_images(Services& services, const Call&) {
  const auto revision = services.inventory().revision();
  return list_answer(revision, services.inventory().all<model::NodeImage>(),
                     [](std::string& out, const state::Record<model::NodeImage>& record) {
                       out += dump(view_of(record->value));
                       return true;
                     });
}

Result<http::Response> create_node_image(Services& services, const Call& call) {
  const auto port = need_netboot(services);
  if (!port) return forward(port);
  const auto request = read_node_image(call.body);
  if (!request) return forward(request);
  if (auto available = (*port)->available(); !available) return forward(available);
  const auto caller = caller_of(call);
  if (!caller) return forward(caller);
  const auto accepted = make_node_image(services, *caller, *request);
  if (!accepted) return forward(accepted);
  auto answer = accepted_answer(*caller, "node_image", view_of(accepted->object), accepted->operation);
  if (!caller->dry_run) answer.with("Location", location_of("node-images", accepted->object.id.str()));
  return answer;
}

Result<http::Response> get_node_image(Services& services, const Call& call) {
  const auto image = reconcile::resolve_node_image(services.inventory(), call.parameters[0]);
  if (!image) return forward(image);
  return json_answer(200, view_of((*image)->value));
}

Result<http::Response> delete_node_image_by_name(Services& services, const Call& call) {
  if (const auto port = need_netboot(services); !port) return forward(port);
  const auto caller = caller_of(call);
  if (!caller) return forward(caller);
  const auto accepted = reconcile::delete_node_image(services.commander, *caller, call.parameters[0]);
  if (!accepted) return forward(accepted);
  return accepted_answer(*caller, "node_image", view_of(accepted->object), accepted->operation);
}

Result<http::Response> post_node_image_rollout(Services& services, const Call& call) {
  const auto port = need_netboot(services);
  if (!port) return forward(port);
  const auto request = read_rollout(call.body);
  if (!request) return forward(request);
  if (auto available = (*port)->available(); !available) return forward(available);
  const auto caller = caller_of(call);
  if (!caller) return forward(caller);
  const auto accepted = reconcile::rollout_node_image(services.commander, *caller, call.parameters[0], *request);
  if (!accepted) return forward(accepted);
  return accepted_answer(*caller, "node_image", view_of(accepted->object), accepted->operation);
}

Result<http::Response> diff_node_images(Services& services, const Call& call) {
  const auto port = need_netboot(services);
  if (!port) return forward(port);
  const auto wanted = call.request().query("from");
  if (!wanted) return fail(ErrorCode::invalid_argument, "from: is needed, the node image to compare with");
  const auto from = ready_node_image(services, *wanted);
  if (!from) return forward(from);
  const auto to = ready_node_image(services, call.parameters[0]);
  if (!to) return forward(to);
  const auto diff = (*port)->diff(*from, *to);
  if (!diff) return forward(diff);
  return json_answer(
      200,
      nlohmann::json{{"from", from->name}, {"to", to->name}, {"packages", diff->packages}, {"files", diff->files}});
}

}  // namespace bridgehead::control_api
