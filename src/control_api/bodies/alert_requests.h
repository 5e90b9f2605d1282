// The bodies of requests about alerts. The rules of requests.h hold.
#pragma once

#include "control_api/bodies/requests.h"
#include "reconcile/commands/alerts.h"

namespace bridgehead::control_api {

struct WebhookRequest {
  reconcile::SetWebhook command;      // its secret is not set
  std::optional<std::string> secret;  // plain: to be sealed; it goes no further
};
Result<WebhookRequest> read_set_webhook(std::string_view body);

}  // namespace bridgehead::control_api
