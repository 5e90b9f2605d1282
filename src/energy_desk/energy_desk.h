// EnergyDesk: looks every few seconds at what each node takes, adds that up in the ledger, for guests too, and asks
// BMCs for watts. What it has counted is kept every five minutes: that much is lost when the manager is killed, and
// nothing is counted twice. Thread-safe. Errors end in the log; what couldn't be kept is kept with the next look.
#pragma once

#include <condition_variable>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <thread>

#include "energy_desk/energy_book.h"
#include "reconcile/energy_port.h"
#include "reconcile/power_port.h"
#include "state/inventory.h"

namespace bridgehead::energy_desk {

struct EnergyDeskParts {
  const state::Inventory& inventory;
  state::StateStore& store;
  const reconcile::UseHistory& use;
  reconcile::PowerPort& power;
  const Clock& clock;
};

struct EnergyDeskOptions {
  std::chrono::seconds every{15};    // as agents measure
  std::chrono::seconds longest{60};  // between two looks; a longer time is one in which nobody counted
  std::chrono::seconds keep{300};
  std::chrono::seconds ask{60};          // each BMC
  std::chrono::minutes ask_refused{30};  // one that measures nothing, or doesn't answer
  std::size_t asked_at_once = 2;
};

class EnergyDesk final : public reconcile::EnergyPort {
 public:
  // `parts` outlive it. start: begins to look; without it `look` is the test's to call.
  EnergyDesk(EnergyDeskParts parts, EnergyDeskOptions options = {});
  ~EnergyDesk() override { stop(); }
  void start();
  // Keeps what was counted.
  void stop();
  void look();

  Result<reconcile::EnergyReport> report(Timestamp from) const override;
  std::optional<double> watts_by_bmc(const model::NodeId& node) const override;

 private:
  struct Asked {
    std::optional<double> watts;
    Monotonic answered{};
    Monotonic next{};  // not before
    bool open = false;
  };
  struct Answers {  // outlives the desk with BMCs that may still answer
    std::mutex mutex;
    std::map<model::NodeId, Asked> nodes;
    std::deque<model::NodeId> due;  // to be asked next
    std::size_t open = 0;
  };

  Status look_locked();
  Status begin(Timestamp now);
  Status go_over(Timestamp now);
  Status keep(Monotonic now);
  Seen seen(const model::Node& node, double promised, Timestamp now) const;
  void add_guests(const model::Node& node, Timestamp now, Seen& seen) const;
  void ask_bmcs(Monotonic now);
  static void ask_next(const std::shared_ptr<Answers>& answers, reconcile::PowerPort& power, const Clock& clock,
                       const EnergyDeskOptions& options);

  const EnergyDeskParts parts_;
  const EnergyDeskOptions options_;
  mutable std::mutex mutex_;
  EnergyBook book_;
  std::optional<model::EnergyPeriod> period_;  // what is being added to
  Timestamp looked_at_{};
  Monotonic looked_{};
  Monotonic kept_{};
  const std::shared_ptr<Answers> answers_ = std::make_shared<Answers>();

  std::mutex stop_mutex_;
  std::condition_variable_any wake_;
  std::jthread thread_;
};

}  // namespace bridgehead::energy_desk
