#include "control_api/bodies/alert_requests.h"

#include "control_api/bodies/read_body.h"

namespace bridgehead::control_api {

Result<WebhookRequest> read_set_webhook(std::string_view body) {
  return read_body<WebhookRequest>(body, [](ObjectReader& reader, WebhookRequest& request) {
    reader.text("url", request.command.url);
    reader.require("url");
    reader.text("secret", request.secret);
    reader.choice("severity", request.command.least);
  });
}

}  // namespace bridgehead::control_api
