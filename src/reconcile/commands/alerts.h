// Commands about whom alerts are told to. The rules of commands.h hold.
#pragma once

#include <optional>
#include <string>

#include "model/alert.h"
#include "reconcile/commands/commands.h"

namespace bridgehead::reconcile {

// All of it: what isn't given is as it is without.
struct SetWebhook {
  std::string url;                    // http or https, without a user or a password
  std::optional<std::string> secret;  // sealed already; "" = none; omitted: the one that is kept, for the same URL
  model::AlertSeverity least = model::AlertSeverity::warning;
};

// not_found where there is none.
Result<state::Record<model::Webhook>> webhook_of(const state::Inventory& inventory);
Result<model::Webhook> set_webhook(Commander& commander, const Caller& caller, const SetWebhook& request);
Result<model::Webhook> remove_webhook(Commander& commander, const Caller& caller);
// An alert that begins and ends, to see that it arrives. not_found where there is no webhook.
Result<model::Alert> test_webhook(Commander& commander, const Caller& caller);

}  // namespace bridgehead::reconcile
