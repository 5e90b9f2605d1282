// AlertDesk: looks every few seconds at what needs a person, keeps it as alerts, with events, and posts them to the
// webhook if there is one. Each is told at least once, in the order in which it happened, with pauses of up to five
// minutes where the receiver fails, for a day. Thread-safe. Errors end in the webhook's record and in the log.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

#include "alert_desk/alert_book.h"
#include "alert_desk/webhook_post.h"
#include "base/clock.h"
#include "pki/secret_box.h"
#include "state/inventory.h"

namespace bridgehead::alert_desk {

struct AlertDeskParts {
  state::Inventory& inventory;
  const Clock& clock;
  const pki::SecretBox& secrets;
  WebhookPoster& poster;
  std::function<std::vector<reconcile::Problem>()> problems;
};

struct AlertDeskOptions {
  std::string cluster;  // named to receivers
  AlertTimes times;
  std::chrono::milliseconds settle{
      30'000};  // before problems count: agents have to come back after the manager's start
  std::chrono::milliseconds every{5'000};
};

class AlertDesk {
 public:
  // `parts` outlive it. start: begins to look; without it `look` is the test's to call.
  AlertDesk(AlertDeskParts parts, AlertDeskOptions options);
  ~AlertDesk() { stop(); }
  void start();
  void stop();
  // One look, and what is to be told then. Blocks while something is posted. Not settled: it only tells.
  void look(bool settled, const std::stop_token& stop = {});

 private:
  Status keep_changes(Timestamp now);
  void tell(Timestamp now, const std::stop_token& stop);
  Status note(const model::Alert& alert, bool remove);
  Status note_webhook(const Status& told, Timestamp now);

  const AlertDeskParts parts_;
  const AlertDeskOptions options_;
  AlertBook book_;
  std::chrono::seconds pause_{0};  // after failures
  Timestamp not_before_{};
  Timestamp created_{};  // of the webhook that the pause is for

  std::mutex mutex_;
  std::condition_variable_any wake_;
  std::jthread thread_;
};

}  // namespace bridgehead::alert_desk
