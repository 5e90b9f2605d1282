// AlertBook: which alerts begin and end, from the problems seen at each look. What comes and goes within the times
// below is no alert. Pure: time is passed in. Not thread-safe.
#pragma once

#include <map>
#include <vector>

#include "model/alert.h"
#include "reconcile/problems.h"

namespace bridgehead::alert_desk {

struct AlertTimes {
  std::chrono::seconds raise_after{15};
  std::chrono::seconds clear_after{15};
};

struct AlertChanges {
  std::vector<model::Alert> raised;
  std::vector<model::Alert> changed;  // another message, or it is so again before its end was told
  std::vector<model::Alert> cleared;
};

// Several problems of one condition with one object are one alert.
model::AlertId alert_id(const reconcile::Problem& problem);

class AlertBook {
 public:
  explicit AlertBook(AlertTimes times = {}) : times_(times) {}

  // `known`: the alerts that are kept, those that have ended and aren't told yet too.
  AlertChanges look(const std::vector<model::Alert>& known, const std::vector<reconcile::Problem>& problems,
                    Timestamp now);

 private:
  const AlertTimes times_;
  std::map<model::AlertId, Timestamp> first_seen_;  // of those that are no alerts yet
  std::map<model::AlertId, Timestamp> last_seen_;   // of alerts
};

}  // namespace bridgehead::alert_desk
