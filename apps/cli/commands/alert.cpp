// alert: what needs a person, and whom the manager tells.
#include <thread>

#include "base/file.h"
#include "cli/commands/commands.h"
#include "cli/commands/noun.h"

namespace bridgehead::cli {
namespace {

constexpr std::chrono::seconds kTestPatience{40};

Status print_webhook(Context& context, const nlohmann::json& webhook) {
  return context.print_object(webhook, {column("URL", "/url"), column("SECRET", "/secret"), column("FROM", "/severity"),
                                        column("LAST-TOLD", "/last_told"), column("FAILING-SINCE", "/failing_since"),
                                        column("ERROR", "/error")});
}

struct NewWebhook {
  std::string url;
  std::string secret_file;
  bool no_secret = false;
  std::string severity = "warning";
};

void add_set(CLI::App& webhook, Context& context) {
  const auto wanted = std::make_shared<NewWebhook>();
  auto* set = webhook.add_subcommand("set", "Have alerts posted to a URL, as JSON");
  set->add_option("url", wanted->url, "https://... or http://...")->required();
  set->add_option("--secret-file", wanted->secret_file,
                  "File with the secret that posts are signed with (HMAC-SHA256); default: the one that is kept");
  set->add_flag("--no-secret", wanted->no_secret, "Don't sign them")->excludes("--secret-file");
  set->add_option("--severity", wanted->severity, "The least that is told: info, warning or critical")
      ->capture_default_str();
  on_chosen(*set, context, [&context, wanted](ApiClient& api) -> Status {
    nlohmann::json body = {{"url", wanted->url}, {"severity", wanted->severity}};
    if (wanted->no_secret) body["secret"] = "";
    if (!wanted->secret_file.empty()) {
      auto secret = read_file(wanted->secret_file, 64_KiB);
      if (!secret) return forward(secret);
      while (!secret->empty() && (secret->back() == '\n' || secret->back() == '\r')) secret->pop_back();
      if (secret->empty()) return fail(ErrorCode::invalid_argument, "{} is empty", wanted->secret_file);
      body["secret"] = *secret;
    }
    const auto answer = api.put("/alerts/webhook", body);
    if (!answer) return forward(answer);
    if (auto printed = print_webhook(context, answer->at("webhook")); !printed) return printed;
    context.say("See that it arrives: bh alert webhook test");
    return {};
  });
}

void add_test(CLI::App& webhook, Context& context) {
  auto* test = webhook.add_subcommand("test", "Post a test alert now and wait for the answer");
  on_chosen(*test, context, [&context](ApiClient& api) -> Status {
    const auto before = api.get("/alerts/webhook");
    if (!before) return forward(before);
    const auto begun = api.post("/alerts/webhook/test");
    if (!begun) return forward(begun);
    const auto deadline = std::chrono::steady_clock::now() + kTestPatience;
    while (std::chrono::steady_clock::now() < deadline) {
      std::this_thread::sleep_for(std::chrono::milliseconds(500));
      const auto now = api.get("/alerts/webhook");
      if (!now) return forward(now);
      if (now->at("last_told") != before->at("last_told")) {
        context.say("The receiver took it. Its end is posted in about 20 s.");
        return {};
      }
      if (!now->at("failing_since").is_null()) {
        return fail_with_hint(ErrorCode::unavailable, fmt::format("it can't be posted: {}", text(*now, "/error")),
                              "It is tried again and again; look at the receiver, or: bh alert webhook set");
      }
    }
    return fail_with_hint(ErrorCode::timeout, "nothing was posted yet",
                          "It is tried again and again; see: bh alert webhook show");
  });
}

}  // namespace

void add_alert_commands(CLI::App& root, Context& context) {
  auto& alert = add_noun(root, "alert", "What needs a person, and whom the manager tells");
  const Noun words{
      .singular = "alert",
      .collection = "/alerts",
      .columns = {column("SEVERITY", "/severity"), column("SINCE", "/since"), column("KIND", "/object_kind"),
                  column("NAME", "/object"), column("CONDITION", "/condition"), column("MESSAGE", "/message"),
                  column("ACTION", "/action")},
      .details = {}};
  add_list(alert, context, words);
  auto& webhook = add_noun(alert, "webhook", "Where alerts are posted to");
  auto* show = webhook.add_subcommand("show", "Where they are posted to, and whether that works");
  on_chosen(*show, context, [&context](ApiClient& api) -> Status {
    const auto answer = api.get("/alerts/webhook");
    if (!answer) return forward(answer);
    return print_webhook(context, *answer);
  });
  add_set(webhook, context);
  add_test(webhook, context);
  auto* remove = webhook.add_subcommand("remove", "Post them nowhere");
  on_chosen(*remove, context, [&context](ApiClient& api) -> Status {
    const auto answer = api.remove("/alerts/webhook");
    if (!answer) return forward(answer);
    context.say("Alerts are posted nowhere.");
    return {};
  });
}

}  // namespace bridgehead::cli
