#include "control_api/bodies/power_requests.h"

#include "control_api/bodies/read_body.h"

namespace bridgehead::control_api {

Result<BmcRequest> read_set_bmc(std::string_view body) {
  return read_body<BmcRequest>(body, [](ObjectReader& reader, BmcRequest& request) {
    reader.text("driver", request.command.driver);
    reader.require("driver");
    reader.text("address", request.command.address);
    reader.number("port", request.command.port);
    reader.text("user", request.command.user);
    reader.labels("options", request.command.options);
    reader.text("password", request.password);
  });
}

Result<reconcile::SwitchNode> read_switch_node(std::string_view body) {
  return read_body<reconcile::SwitchNode>(body, [](ObjectReader& reader, reconcile::SwitchNode& request) {
    reader.choice("action", request.action);
    reader.require("action");
    reader.flag("force", request.force);
  });
}

Result<DrainRequest> read_drain(std::string_view body) {
  auto request = read_body<DrainRequest>(body, [](ObjectReader& reader, DrainRequest& drain) {
    reader.choice("then", drain.then);
    reader.number("boot_deadline_seconds", drain.boot_deadline_seconds);
  });
  if (request && request->boot_deadline_seconds && !request->then) {
    return fail(ErrorCode::invalid_argument, "boot_deadline_seconds: is for 'then' only");
  }
  return request;
}

Result<reconcile::RolloutNodeImage> read_rollout(std::string_view body) {
  return read_body<reconcile::RolloutNodeImage>(body, [](ObjectReader& reader, reconcile::RolloutNodeImage& request) {
    reader.texts("nodes", request.select.nodes);
    reader.require("nodes");
    reader.number("max_unavailable", request.max_unavailable);
    reader.number("canary", request.canary);
    reader.number("boot_deadline_seconds", request.boot_deadline_seconds);
  });
}

Result<reconcile::UpgradeNodes> read_upgrade(std::string_view body) {
  return read_body<reconcile::UpgradeNodes>(body, [](ObjectReader& reader, reconcile::UpgradeNodes& request) {
    reader.texts("nodes", request.nodes);
    reader.flag("all", request.all);
    reader.text("version", request.version);
    reader.number("max_unavailable", request.max_unavailable);
    reader.number("canary", request.canary);
    reader.flag("without_way_back", request.without_way_back);
  });
}

}  // namespace bridgehead::control_api
