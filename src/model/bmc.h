// How a node's machine is switched on and off, and what is known of its power. One record a node; its id is the node's.
#pragma once

#include <map>
#include <string>

#include "base/clock.h"
#include "model/ids.h"

namespace bridgehead::model {

enum class MachinePower {
  on,
  off,       // most BMCs call a machine that sleeps off
  sleeping,  // where it is told from off
  unknown,   // in between, nobody can tell, or a change of it ended without proof
};

enum class MachinePowerAction { on, off, cycle, sleep };

// Who says that the machine is in its state.
enum class PowerEvidence {
  none,            // it was asked for, and nobody can tell
  bmc,             // its BMC alone
  others,          // its agent was heard, or no more, of a machine whose state can't be read
  bmc_and_others,  // both
};

// What the last change of its power led to.
struct PowerProof {
  MachinePower state = MachinePower::unknown;
  PowerEvidence evidence = PowerEvidence::none;
  Timestamp time{};
  bool operator==(const PowerProof&) const = default;
};

// Whether the machine sleeps (S3) and wakes with what it had in memory, as far as it was tried.
enum class SleepTrial { untried, works, fails };

struct Bmc {
  NodeId id;
  std::string driver;      // ipmi, redfish, wol, lab, or a fence agent: docs/power.md
  std::string address;     // none for wol and lab
  std::uint16_t port = 0;  // 0 = the driver's usual one
  std::string user;
  std::map<std::string, std::string> options;
  std::string password;  // as pki::SecretBox sealed it, under record_label("bmc", id, "password"); "" = none
  Timestamp created{};
  PowerProof power;
  Timestamp waking_since{};     // when it was asked to be on while it was off, until its agent is there
  std::chrono::seconds wake{};  // from then until it was ready, as last measured; 0 = never
  SleepTrial sleep = SleepTrial::untried;
  std::string sleep_message;          // why it fails
  Timestamp asleep_since{};           // until it is awake again; the epoch: it doesn't sleep
  std::chrono::seconds sleep_wake{};  // as `wake`, of waking from sleep
  bool operator==(const Bmc&) const = default;
};

}  // namespace bridgehead::model
