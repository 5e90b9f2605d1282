// Alerts, and the webhook that they are posted to.
#include "reconcile/commands/alerts.h"
#include "control_api/bodies/alert_requests.h"
#include "control_api/resources/answers.h"
#include "control_api/resources/handlers.h"
#include "model/enum_names.h"
#include "model/json.h"

namespace bridgehead::control_api {
namespace {

constexpr std::size_t kLongestSecret = 1024;

nlohmann::json time_or_null(Timestamp time) {
  return time == Timestamp{} ? nlohmann::json() : nlohmann::json(to_rfc3339(time));
}

nlohmann::json alert_view(const model::Alert& alert) {
  nlohmann::json json = alert;
  json["cleared"] = time_or_null(alert.cleared);
  return json;
}

nlohmann::json webhook_view(const model::Webhook& webhook) {
  return {{"url", webhook.url},
          {"secret", webhook.secret.empty() ? "" : "(set)"},
          {"severity", model::to_string(webhook.least)},
          {"created_by", webhook.created_by},
          {"created", to_rfc3339(webhook.created)},
          {"last_told", time_or_null(webhook.last_told)},
          {"failing_since", time_or_null(webhook.failing_since)},
          {"error", webhook.error}};
}

Result<http::Response> webhook_answer(const reconcile::Caller& caller, const Result<model::Webhook>& webhook) {
  if (!webhook) return forward(webhook);
  nlohmann::json body = {{"webhook", webhook_view(*webhook)}};
  if (caller.dry_run) body["dry_run"] = true;
  return json_answer(200, body);
}

}  // namespace

Result<http::Response> list_alerts(Services& services, const Call&) {
  const auto& inventory = services.inventory();
  const auto revision = inventory.revision();
  return list_answer(revision, inventory.all<model::Alert>(),
                     [](std::string& out, const state::Record<model::Alert>& record) {
                       out += dump(alert_view(record->value));
                       return true;
                     });
}

Result<http::Response> get_webhook(Services& services, const Call&) {
  const auto webhook = reconcile::webhook_of(services.inventory());
  if (!webhook) return forward(webhook);
  return json_answer(200, webhook_view((*webhook)->value));
}

Result<http::Response> put_webhook(Services& services, const Call& call) {
  auto request = read_set_webhook(call.body);
  if (!request) return forward(request);
  const auto caller = caller_of(call);
  if (!caller) return forward(caller);
  if (request->secret) {
    if (request->secret->size() > kLongestSecret) {
      return fail(ErrorCode::invalid_argument, "secret: must have at most {} bytes", kLongestSecret);
    }
    if (services.secrets == nullptr) {
      return fail(ErrorCode::failed_precondition, "this manager keeps no secrets");
    }
    const auto label = pki::record_label("webhook", model::kWebhookId, "secret");
    request->command.secret = request->secret->empty() ? "" : services.secrets->seal(*request->secret, label);
  }
  return webhook_answer(*caller, reconcile::set_webhook(services.commander, *caller, request->command));
}

Result<http::Response> delete_webhook(Services& services, const Call& call) {
  const auto caller = caller_of(call);
  if (!caller) return forward(caller);
  return webhook_answer(*caller, reconcile::remove_webhook(services.commander, *caller));
}

Result<http::Response> post_webhook_test(Services& services, const Call& call) {
  const auto caller = caller_of(call);
  if (!caller) return forward(caller);
  const auto alert = reconcile::test_webhook(services.commander, *caller);
  if (!alert) return forward(alert);
  return json_answer(202, nlohmann::json{{"alert", alert_view(*alert)}});
}

}  // namespace bridgehead::control_api
