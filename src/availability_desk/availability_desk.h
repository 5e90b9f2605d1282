// AvailabilityDesk: has src/availability watch over nodes and leases, each second, and carries out what that decides.
// What it decided is committed with the guests' records before anything is done; after a crash or a store that failed
// all is looked at anew. Thread-safe. Errors end in events, in `status` and in the log.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

#include "availability/availability.h"
#include "base/clock.h"
#include "base/random.h"
#include "reconcile/agent_port.h"
#include "reconcile/availability_port.h"
#include "reconcile/power_port.h"
#include "scheduler/scheduler.h"
#include "state/inventory.h"

namespace bridgehead::availability_desk {

struct DeskParts {
  state::Inventory& inventory;
  reconcile::AgentPort& agents;
  reconcile::TunnelBroker& tunnels;
  reconcile::PowerPort& power;
  const Clock& clock;
  RandomSource& random;
};

struct DeskOptions {
  availability::Timing timing;
  scheduler::Limits limits;
  std::chrono::milliseconds every{1'000};
  std::function<availability::BootTime()> time = availability::boot_time;
};

class AvailabilityDesk final : public reconcile::AvailabilityPort {
 public:
  // `parts` outlive it. start: begins to watch; without it `look` is the test's to call.
  AvailabilityDesk(DeskParts parts, DeskOptions options);
  ~AvailabilityDesk() override { stop(); }
  void start();
  void stop();
  // One look at everything, and what follows from it.
  void look();

  reconcile::AvailabilityStatus status() const override;
  Status confirm_off(const model::NodeId& node, const std::string& person) override;
  Status go_on(const std::string& person) override;
  Status trust(const model::NodeId& node, const std::string& person) override;

 private:
  using Told = std::function<void(availability::Availability&, availability::BootTime)>;
  struct Question {
    model::NodeId node;  // empty: about all
    std::string text;
  };
  struct Heard {
    Timestamp seen{};  // the node's record says so
    std::uint64_t sequence = 0;
    std::optional<availability::BootTime> at;
    // The newest renewal of its agent, and when; its heartbeats say nothing then.
    availability::Renewal spoken;
    std::optional<availability::BootTime> spoken_at;
  };

  void open();
  Status look_locked(std::vector<model::Event> said);
  void tell_facts(availability::BootTime now);
  void tell_renewals(availability::BootTime now, availability::Actions& actions);
  void tell_heartbeats(availability::BootTime now, availability::Actions& actions);
  Status number_tokens();
  Status keep(const availability::Actions& actions, std::vector<model::Event> events);
  void note_questions(const availability::Actions& actions);
  std::vector<model::Event> events_of(const availability::Actions& actions) const;
  void carry_out(const availability::Actions& actions);
  std::vector<model::NodeId> who_can_look(const model::NodeId& node, const model::Pool* pool) const;
  void free_locks(const availability::FreeLocks& locks);
  void write_claim(const availability::WriteClaim& claim);
  void remove_claim(const availability::RemoveClaim& claim);
  void ask_others(const model::NodeId& node, availability::RequestNumber request, bool by_pool);
  void tell_later(Told told);
  std::string name_of(const model::NodeId& node) const;

  const DeskParts parts_;
  const DeskOptions options_;
  mutable std::mutex mutex_;  // of all below but `told_`
  std::unique_ptr<availability::Availability> rules_;
  std::optional<availability::AvailabilityRecord> kept_;
  std::map<model::NodeId, Heard> heard_;
  std::set<model::VmId> guests_;  // that the rules know
  std::set<model::NodeId> nodes_;
  std::map<availability::RequestNumber, Question> questions_;
  std::uint64_t looks_ = 0;

  struct Inbox {  // outlives the desk with those who may still answer
    std::mutex mutex;
    std::vector<Told> told;
  };
  const std::shared_ptr<Inbox> inbox_ = std::make_shared<Inbox>();

  std::mutex stop_mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace bridgehead::availability_desk
