// NodeWatch: what the manager makes of one node's silence: suspected, checked by other ways, switched off and that
// verified (or its leases ended by time), its locks freed, down. Decides nothing about guests and grants nothing. No
// I/O, no clock. Not thread-safe. Never fails.
//
//   well -> suspected -> fencing -> verifying -> freeing -> down -> well
//                  \________\___________\-> lapsing -> down
//                                        \-> asking -> freeing (a person says that it is off)
#pragma once

#include <map>
#include <optional>

#include "availability/actions.h"
#include "availability/timing.h"

namespace bridgehead::availability {

// Persisted before the actions of the same call are carried out.
struct NodeRecord {
  bool fencing = false;     // an order to switch it off may be under way
  bool down = false;        // it was off, or its leases have ended by time; locks freed
  bool distrusted = false;  // its power control said something untrue
  std::string finding;      // why it was to be switched off
  RequestNumber claim = 0;  // in the pool, or on its way there
  bool dead = false;        // nothing of it lived when that was decided
  bool operator==(const NodeRecord&) const = default;
};

enum class Stage { well, suspected, fencing, verifying, lapsing, asking, freeing, down };
enum class PowerReading { on, off, unknown };
std::string_view to_string(Stage stage);

class NodeWatch {
 public:
  // What the node's watch doesn't know by itself.
  struct Surroundings {
    BootTime listening_from;  // the earliest time from which silence counts
    bool left_alone = false;  // maintenance, or a storm: nothing begins
    bool others_have_storage = false;
    bool power_control = false;
    std::vector<model::PoolId> locks;              // where it may hold some that others can free
    bool worth_fencing = false;                    // guests wait for it that should run elsewhere
    bool ends_by_time = false;                     // some of its leases do
    bool needs_proof = false;                      // some of its leases end only when it is off
    BootTime lapses;                               // given the claim
    std::vector<model::PoolId> locks_when_lapsed;  // those of `locks` that no guest of it which may run on still uses
  };
  // What has become certain in a tick; the caller ends leases accordingly.
  enum class Verdict { none, off, lapsed };

  NodeWatch(model::NodeId node, const Timing& timing, NodeRecord record, RequestNumber first_request, BootTime now);

  void heard(bool storage_well, BootTime now, Actions& actions);
  Verdict tick(const Surroundings& around, BootTime now, Actions& actions);

  void peers_answered(RequestNumber request, bool seen);
  void heartbeat_read(RequestNumber request, std::uint64_t count);
  void power_ordered(RequestNumber request);  // carried out, or failed: it is read now in either case
  void power_read(RequestNumber request, PowerReading reading, BootTime now);
  void claim_written(RequestNumber request, BootTime now);
  void locks_freed(RequestNumber request);
  void person_says_off(RequestNumber question);
  void trust_power_control() { record_.distrusted = false; }

  Stage stage() const { return stage_; }
  BootTime since() const { return since_; }
  std::optional<BootTime> claimed() const { return claimed_; }
  // Nothing may be answered to it: what it then did would be after it was switched off, perhaps.
  bool withholds() const { return stage_ == Stage::fencing || stage_ == Stage::verifying || stage_ == Stage::freeing; }
  // Suspected, for nothing: its leases aren't known to be over.
  void doubt(BootTime now) { enter(Stage::suspected, now); }
  bool storage_well() const { return !storage_lost_; }
  const NodeRecord& record() const { return record_; }
  const std::string& state_text() const { return text_; }  // for people, with the reason

 private:
  struct Looks {
    std::map<RequestNumber, BootTime> heartbeat_asked;
    std::map<RequestNumber, BootTime> peers_asked;
    std::optional<BootTime> first, last;  // when those that counted the same began
    std::uint64_t count = 0;
    bool moved = false;
    bool peers_looked = false;
    bool peers_see = false;
    BootTime next;
  };
  void enter(Stage stage, BootTime now);
  void remove_claim(Actions& actions);
  void look(BootTime now, Actions& actions);
  void return_to_well(const char* why, BootTime now, Actions& actions);
  void tick_well(const Surroundings& around, BootTime now, Actions& actions);
  void tick_suspected(const Surroundings& around, BootTime now, Actions& actions);
  void tick_power(const Surroundings& around, BootTime now, Actions& actions);
  Verdict tick_off_read(const Surroundings& around, BootTime now, Actions& actions);
  void begin_fencing(std::string finding, bool dead, const Surroundings& around, BootTime now, Actions& actions);
  void power_failed(const Surroundings& around, std::string what, BootTime now, Actions& actions);
  void without_power(const Surroundings& around, std::string why, BootTime now, Actions& actions);
  void ask(std::string text, BootTime now, Actions& actions);
  void begin_freeing(const std::vector<model::PoolId>& locks, BootTime now, Actions& actions);
  void tick_freeing(BootTime now, Actions& actions);
  void tick_down(const Surroundings& around, BootTime now, Actions& actions);
  void ask_for_locks(Span every, BootTime now, Actions& actions);
  Verdict tick_lapsing(const Surroundings& around, BootTime now, Actions& actions);
  Verdict tick_asking(const Surroundings& around, BootTime now, Actions& actions);
  void say(Actions& actions, std::string text);

  model::NodeId node_;
  Timing timing_;
  NodeRecord record_;
  RequestNumber next_request_;
  Stage stage_ = Stage::well;
  BootTime since_;
  std::string text_;
  std::optional<BootTime> last_heard_;
  std::optional<BootTime> storage_lost_;
  std::optional<BootTime> came_back_;
  int flaps_ = 0;
  Looks looks_;
  // Power.
  int attempts_ = 0;
  RequestNumber power_request_ = 0;
  BootTime power_asked_;
  bool ordered_ = false;
  std::optional<std::string> power_fault_;
  std::optional<BootTime> off_read_;
  // Others.
  std::optional<BootTime> claimed_;
  std::optional<BootTime> claim_asked_;
  std::map<RequestNumber, model::PoolId> locks_;
  bool locks_late_ = false;  // down, and still asked for
  BootTime locks_asked_;
  RequestNumber question_ = 0;
  bool said_off_ = false;
  bool said_cut_off_ = false;
};

}  // namespace bridgehead::availability
