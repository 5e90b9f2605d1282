// A machine that guests run on: its identity, the facts its agent found, and its health.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/units.h"
#include "model/ids.h"
#include "model/netboot.h"

namespace bridgehead::model {

enum class NodeState { ready, not_ready, unreachable };

struct NumaCell {
  std::uint32_t id = 0;
  std::vector<std::uint32_t> cpus;
  Bytes memory;
  bool operator==(const NumaCell&) const = default;
};

struct NetworkInterface {
  std::string name;
  std::string mac;
  std::string kind;    // "ethernet", "bridge", "bond", "vlan", "tap", "loopback", "other"
  std::string bridge;  // the bridge it is a port of
  bool up = false;
  std::uint64_t speed_mbit = 0;  // 0 = unknown
  std::vector<std::string> addresses;
  bool operator==(const NetworkInterface&) const = default;
};

enum class Virtualization { kvm, tcg, none };

inline constexpr std::size_t kLongestMachine = 128;

// What a node is; changes seldom.
struct NodeFacts {
  std::string hostname;
  std::string machine_id;
  std::string machine;  // maker and model, as its firmware names them, at most kLongestMachine bytes; "" = unknown
  std::string os;       // PRETTY_NAME
  std::string kernel;
  std::string cpu_model;
  std::vector<std::string> cpu_flags;
  std::uint32_t cpus = 0;
  Bytes memory;
  std::vector<NumaCell> numa;
  std::vector<NetworkInterface> interfaces;
  Virtualization virtualization = Virtualization::none;  // found by trial
  std::string virtualization_message;                    // why not kvm
  std::string libvirt_version;                           // "" = no libvirt
  std::string hypervisor_version;
  std::string hypervisor_message;  // why guests can't run here; "" = they can
  std::string agent_version;
  bool watchdog = false;         // the host has one that its agent can use
  std::string watchdog_message;  // why not
  bool operator==(const NodeFacts&) const = default;
};

// Pressure stall information, "some avg10" in percent; 0 where the kernel has none.
struct Pressure {
  double cpu = 0;
  double memory = 0;
  double io = 0;
  bool operator==(const Pressure&) const = default;
};

// What a node is doing now; comes with every heartbeat, kept in memory only.
struct NodeLoad {
  double load1 = 0;
  Bytes memory_available;
  Pressure pressure;
  double guest_disk_ms = 0;  // a disk operation of the guest that waits longest, on average of late; 0 = unknown
  std::uint64_t uptime_seconds = 0;
  bool operator==(const NodeLoad&) const = default;
};

struct Node {
  NodeId id;
  std::string name;
  NodeFacts facts;
  bool schedulable = true;  // may get new guests
  bool draining = false;    // and is to be emptied of those that it has
  std::string rack;         // failure domains; "" = its own
  std::string power_feed;
  bool to_be_off = false;                   // a plan has emptied it to save power
  Timestamp power_since{};                  // when `to_be_off` was last set or taken back
  std::string certificate_serial;           // of the last certificate issued to it
  std::string previous_certificate_serial;  // still accepted: a lost answer to a renewal costs nothing
  Timestamp created{};
  std::optional<Netboot> netboot;  // where we boot it
  NodeState state = NodeState::unreachable;
  std::string message;
  Timestamp last_seen{};
  NodeLoad load;

  bool operator==(const Node&) const = default;
};

}  // namespace bridgehead::model
