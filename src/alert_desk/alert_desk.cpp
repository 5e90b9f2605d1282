#include "alert_desk/alert_desk.h"

#include <algorithm>

#include "alert_desk/messages.h"
#include "model/enum_names.h"

namespace bridgehead::alert_desk {
namespace {

constexpr std::chrono::seconds kFirstPause{5};
constexpr std::chrono::seconds kLongestPause{300};
constexpr std::chrono::hours kKeptUntold{24};

const model::WebhookId kWebhook{model::kWebhookId};

std::string about(const model::Alert& alert) {
  if (alert.object.empty()) return alert.message;
  return fmt::format("{} '{}': {}", alert.object_kind, alert.object, alert.message);
}

template <typename T>
std::string id_of(const state::Inventory& inventory, const std::string& name) {
  const auto record = inventory.find_by_name<T>(name);
  return record ? record->value.id.str() : "";
}

// Of what has records with ids of their own; "" for the cluster, and for what is gone meanwhile.
std::string object_id(const state::Inventory& inventory, const model::Alert& alert) {
  if (alert.object_kind == "node") return id_of<model::Node>(inventory, alert.object);
  if (alert.object_kind == "vm") return id_of<model::Vm>(inventory, alert.object);
  if (alert.object_kind == "pool") return id_of<model::Pool>(inventory, alert.object);
  if (alert.object_kind == "image") return id_of<model::Image>(inventory, alert.object);
  return {};
}

model::Event event_of(const state::Inventory& inventory, const model::Alert& alert) {
  const bool over = alert.cleared != Timestamp{};
  return {.kind = over ? "alert.cleared" : "alert.raised",
          .object_kind = alert.object_kind,
          .object = object_id(inventory, alert),
          .object_name = alert.object,
          .message = over ? fmt::format("Over: {}", about(alert))
                          : fmt::format("{}: {}", model::to_string(alert.severity), about(alert)),
          .actor = "manager"};
}

// When what is to be told of it happened.
Timestamp moment_of(const model::Alert& alert) { return alert.cleared != Timestamp{} ? alert.cleared : alert.since; }

}  // namespace

AlertDesk::AlertDesk(AlertDeskParts parts, AlertDeskOptions options)
    : parts_(std::move(parts)), options_(std::move(options)), book_(options_.times) {}

void AlertDesk::start() {
  thread_ = std::jthread([this](const std::stop_token& stop) {
    const auto settled = std::chrono::steady_clock::now() + options_.settle;
    std::unique_lock lock(mutex_);
    while (!wake_.wait_for(lock, stop, options_.every, [&] { return stop.stop_requested(); })) {
      look(std::chrono::steady_clock::now() >= settled, stop);
    }
  });
}

void AlertDesk::stop() {
  thread_.request_stop();
  if (thread_.joinable()) thread_.join();
}

void AlertDesk::look(bool settled, const std::stop_token& stop) {
  const auto now = parts_.clock.now();
  if (const auto kept = settled ? keep_changes(now) : Status(); !kept) {
    log::warning(alerts_not_kept, "{}", kept.error().describe());
    return;
  }
  tell(now, stop);
}

Status AlertDesk::keep_changes(Timestamp now) {
  std::vector<model::Alert> known;
  for (const auto& record : parts_.inventory.all<model::Alert>()) known.push_back(record->value);
  const auto changes = book_.look(known, parts_.problems(), now);
  if (changes.raised.empty() && changes.changed.empty() && changes.cleared.empty()) return {};
  const auto committed = state::change(parts_.inventory, [&](state::Edit& edit) -> Status {
    for (const auto& alert : changes.raised) {
      edit.create(alert);
      edit.event(event_of(parts_.inventory, alert));
    }
    for (const auto* some : {&changes.changed, &changes.cleared}) {
      for (const auto& alert : *some) {
        const auto record = parts_.inventory.find<model::Alert>(alert.id);
        if (record) edit.update(record, alert);
      }
    }
    for (const auto& alert : changes.cleared) edit.event(event_of(parts_.inventory, alert));
    return {};
  });
  if (!committed) return forward(committed);
  for (const auto& alert : changes.raised) log::warning(alert_raised, "{}", about(alert));
  for (const auto& alert : changes.cleared) log::info(alert_cleared, "{}", about(alert));
  return {};
}

void AlertDesk::tell(Timestamp now, const std::stop_token& stop) {
  const auto webhook = parts_.inventory.find<model::Webhook>(kWebhook);
  if (webhook && webhook->value.created != created_) {
    created_ = webhook->value.created;
    not_before_ = {};
    pause_ = {};
  }
  auto secret = Result<std::string>("");
  if (webhook && !webhook->value.secret.empty()) {
    secret = parts_.secrets.unseal(webhook->value.secret, pki::record_label("webhook", model::kWebhookId, "secret"));
  }
  std::vector<model::Alert> alerts;
  for (const auto& record : parts_.inventory.all<model::Alert>()) alerts.push_back(record->value);
  std::sort(alerts.begin(), alerts.end(),
            [](const auto& one, const auto& other) { return moment_of(one) < moment_of(other); });
  const auto wait = [&] {
    pause_ = std::clamp(pause_ * 2, kFirstPause, kLongestPause);
    not_before_ = now + pause_;
    return false;
  };
  // Told and noted. What was told and can't be noted is told again, so that waits, too.
  const auto post = [&](const model::Alert& alert, bool remove) {
    if (now < not_before_) return false;
    const auto told = secret
                          ? parts_.poster.post(webhook_post(webhook->value.url, alert, options_.cluster, *secret), stop)
                          : Status(forward(secret));
    if (!told && told.error().code == ErrorCode::cancelled) return false;
    if (!told) log::warning(webhook_failed, "{}", told.error().describe());
    if (!note_webhook(told, now) || !told || !note(alert, remove)) return wait();
    pause_ = {};
    return true;
  };
  for (const auto& alert : alerts) {
    if (stop.stop_requested()) return;
    const bool over = alert.cleared != Timestamp{};
    const bool wanted =
        webhook && alert.severity >= webhook->value.least && !(over && now - alert.cleared > kKeptUntold);
    if (wanted && !alert.told) {
      auto begun = alert;
      begun.cleared = {};
      begun.told = true;
      if (!post(begun, false)) return;
    }
    if (!over) continue;
    if (wanted ? !post(alert, true) : !note(alert, true)) return;
  }
}

// What it became meanwhile stands.
Status AlertDesk::note(const model::Alert& alert, bool remove) {
  const auto noted = state::change(parts_.inventory, [&](state::Edit& edit) -> Status {
    const auto record = parts_.inventory.find<model::Alert>(alert.id);
    if (!record) return {};
    if (remove) {
      edit.remove(record);
    } else {
      auto value = record->value;
      value.told = alert.told;
      edit.update(record, value);
    }
    return {};
  });
  if (noted) return {};
  log::warning(alerts_not_kept, "{}", noted.error().describe());
  return forward(noted);
}

Status AlertDesk::note_webhook(const Status& told, Timestamp now) {
  const auto noted = state::change(parts_.inventory, [&](state::Edit& edit) -> Status {
    const auto record = parts_.inventory.find<model::Webhook>(kWebhook);
    if (!record) return {};
    auto value = record->value;
    if (told) {
      value.last_told = now;
      value.failing_since = {};
      value.error.clear();
    } else {
      if (value.failing_since == Timestamp{}) value.failing_since = now;
      value.error = told.error().message;
    }
    edit.update(record, value);
    return {};
  });
  if (noted) return {};
  log::warning(alerts_not_kept, "{}", noted.error().describe());
  return forward(noted);
}

}  // namespace bridgehead::alert_desk
