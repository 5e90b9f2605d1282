// What in the cluster needs a person, as it was noticed and told, and whom it is told to.
#pragma once

#include <cstdint>
#include <string>

#include "base/clock.h"
#include "model/ids.h"

namespace bridgehead::model {

// critical: guests are down, or wait for an answer. warning: something doesn't work, or won't the next time.
// info: something waits to be looked at.
enum class AlertSeverity : std::uint8_t { info, warning, critical };

struct Alert {
  AlertId id;             // of condition and object: one record as long as it is so
  std::string condition;  // "node-unreachable": docs/alerts.md has them all
  AlertSeverity severity = AlertSeverity::warning;
  std::string object_kind;  // "node", "pool", ...
  std::string object;       // name
  std::string message;
  std::string action;  // what to do
  Timestamp since{};
  Timestamp cleared{};  // the epoch: it is so still
  bool told = false;    // to the webhook

  bool operator==(const Alert&) const = default;
};

inline constexpr char kWebhookId[] = "webhook";
inline constexpr char kTestCondition[] = "test";  // asked for by a person, to see that it is told

// Where alerts are posted to. One record, or none.
struct Webhook {
  WebhookId id;
  std::string url;
  std::string secret;  // sealed; "" = what is posted isn't signed
  AlertSeverity least = AlertSeverity::warning;
  std::string created_by;
  Timestamp created{};
  Timestamp last_told{};      // the epoch: never
  Timestamp failing_since{};  // the epoch: it works, as far as it was tried
  std::string error;          // of the last try

  bool operator==(const Webhook&) const = default;
};

}  // namespace bridgehead::model
