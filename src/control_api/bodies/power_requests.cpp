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

}  // namespace bridgehead::control_api
