// The seam between the API and what watches over leases and silent nodes (availability_desk): what it makes of each
// node and guest, and what persons tell it. Implementations are thread-safe.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "model/ids.h"

namespace bridgehead::reconcile {

struct NodeAvailability {
  model::NodeId node;
  std::string stage;                               // "well", "suspected", ...
  std::string text;                                // why
  std::optional<std::chrono::seconds> silent_for;  // none: not heard since the manager's start
  bool power_control = false;
  std::string no_watchdog;  // why its guests can't be stopped when it is alone; "" = they can
  bool distrusted = false;  // its power control said something untrue
  std::string question;     // what a person is asked; "" = nothing
};

struct GuestAvailability {
  model::VmId vm;
  bool restart = false;       // elsewhere, when its node is dead
  std::string terms;          // of its lease: "own", "keep", "stop"; "" = nobody may run it
  std::string waits_for;      // why it doesn't run yet; "" = nothing
  std::string not_protected;  // why it wouldn't start elsewhere now; "" = it would
  std::string not_stopped;    // why it runs on when its node is alone, though it should be stopped; "" = as wanted
  unsigned deaths = 0;        // hosts that died under it, one soon after the other
  bool given_up = false;
};

struct AvailabilityStatus {
  bool learning = false;       // the manager has just started
  std::string storm_question;  // "" = no storm
  std::vector<NodeAvailability> nodes;
  std::vector<GuestAvailability> guests;  // those that are to restart, or wait
};

class AvailabilityPort {
 public:
  virtual ~AvailabilityPort() = default;
  virtual AvailabilityStatus status() const = 0;
  // A person's word, kept when it returns. failed_precondition: nothing like that is asked.
  virtual Status confirm_off(const model::NodeId& node, const std::string& person) = 0;
  virtual Status go_on(const std::string& person) = 0;
  virtual Status trust(const model::NodeId& node, const std::string& person) = 0;
};

}  // namespace bridgehead::reconcile
