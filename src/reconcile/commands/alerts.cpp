#include "reconcile/commands/alerts.h"

#include <algorithm>

#include "reconcile/commands/draft.h"
#include "reconcile/commands/validate.h"

namespace bridgehead::reconcile {
namespace {

constexpr std::size_t kLongestUrl = 2048;

Status check_webhook_url(const std::string& url) {
  const std::string_view text = url;
  const auto scheme = text.starts_with("https://") ? 8U : text.starts_with("http://") ? 7U : 0U;
  if (scheme == 0) return validate::wrong("url", "must begin with https:// or http://");
  if (url.size() > kLongestUrl) return validate::wrong("url", "must have at most {} bytes", kLongestUrl);
  if (!std::all_of(url.begin(), url.end(), [](char c) { return c > ' ' && c < 127; })) {
    return validate::wrong("url", "must be of printable ASCII characters, without spaces");
  }
  const auto host = text.substr(scheme, text.find_first_of("/?#", scheme) - scheme);
  if (host.empty()) return validate::wrong("url", "names no host");
  if (host.find('@') != host.npos) {
    return validate::wrong("url", "can't hold a user or a password; what is posted is signed with the secret instead");
  }
  return {};
}

}  // namespace

Result<state::Record<model::Webhook>> webhook_of(const state::Inventory& inventory) {
  if (auto found = inventory.find<model::Webhook>(model::WebhookId(model::kWebhookId))) return found;
  return fail_with_hint(ErrorCode::not_found, "alerts are posted nowhere", "bh alert webhook set https://...");
}

Result<model::Webhook> set_webhook(Commander& commander, const Caller& caller, const SetWebhook& request) {
  return run<model::Webhook>(commander, caller, [&](Draft& draft) -> Result<model::Webhook> {
    if (auto checked = check_webhook_url(request.url); !checked) return forward(checked);
    const auto kept = draft.inventory.find<model::Webhook>(model::WebhookId(model::kWebhookId));
    const bool stays = kept && kept->value.url == request.url;
    model::Webhook webhook{.id = model::WebhookId(model::kWebhookId),
                           .url = request.url,
                           .secret = request.secret.value_or(stays ? kept->value.secret : std::string()),
                           .least = request.least,
                           .created_by = draft.actor(),
                           .created = draft.now,
                           .error = {}};
    if (kept) {
      draft.edit.update(kept, webhook);
    } else {
      draft.edit.create(webhook);
    }
    draft.event("webhook.set", "cluster", "", "", fmt::format("{} has alerts posted to another place", draft.actor()));
    return webhook;
  });
}

Result<model::Webhook> remove_webhook(Commander& commander, const Caller& caller) {
  return run<model::Webhook>(commander, caller, [&](Draft& draft) -> Result<model::Webhook> {
    const auto kept = webhook_of(draft.inventory);
    if (!kept) return forward(kept);
    draft.edit.remove(*kept);
    draft.event("webhook.removed", "cluster", "", "", fmt::format("{} has alerts posted nowhere", draft.actor()));
    return (*kept)->value;
  });
}

Result<model::Alert> test_webhook(Commander& commander, const Caller& caller) {
  return run<model::Alert>(commander, caller, [&](Draft& draft) -> Result<model::Alert> {
    if (const auto kept = webhook_of(draft.inventory); !kept) return forward(kept);
    const model::Alert alert{.id = model::AlertId(fmt::format("{}:cluster:", model::kTestCondition)),
                             .condition = model::kTestCondition,
                             .severity = model::AlertSeverity::critical,
                             .object_kind = "cluster",
                             .object = {},
                             .message = fmt::format("A test that {} asked for.", draft.actor()),
                             .action = "Nothing: it ends by itself.",
                             .since = draft.now};
    if (const auto open = draft.inventory.find<model::Alert>(alert.id)) {
      draft.edit.update(open, alert);
    } else {
      draft.edit.create(alert);
    }
    return alert;
  });
}

}  // namespace bridgehead::reconcile
