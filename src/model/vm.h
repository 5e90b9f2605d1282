// A KVM virtual machine: what is wanted (spec), where it runs (node, lease), what is seen (status).
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/units.h"
#include "model/ids.h"
#include "model/lease.h"

namespace bridgehead::model {

// What its owner says about moving and placing it.
struct PlanningWish {
  std::int32_t priority = 0;  // higher = placed and evacuated first, moved last for balance
  double move_cost = 1;       // in units of an idle guest's move
  bool may_move = true;       // false: the planner never moves it

  bool operator==(const PlanningWish&) const = default;
};

// What a user wants it to be.
enum class PowerState { running, stopped, paused };

// What it is seen to be.
enum class VmPhase { pending, creating, stopped, starting, running, paused, stopping, deleting, failed, unknown };

enum class Firmware { bios, uefi };

// Which CPU a guest sees. host: everything the node has, fastest; baseline: x86-64-v2 as QEMU's qemu64 with its flags
// named, the same on every node, so that it can move anywhere.
enum class CpuModel { host, baseline };

struct DiskSpec {
  std::string name;  // "disk0"; stable, its serial number in the guest
  ImageId image;     // the disk image; made with the VM
  Bytes size;        // what the guest should see; grows only

  bool operator==(const DiskSpec&) const = default;
};

struct NicSpec {
  std::string name;  // "nic0"
  NetworkId network;
  std::string mac;
  std::optional<std::uint16_t> vlan;  // overrides the network's

  bool operator==(const NicSpec&) const = default;
};

// NoCloud seed. user_data, when given, is passed on as it is and the other user fields are merged under it by
// cloud-init as vendor-data.
struct CloudInit {
  std::string hostname;       // "" = the VM's name
  std::string user;           // "" = the image's default user
  std::string password_hash;  // crypt(3) form; "" = password login locked
  std::vector<std::string> ssh_keys;
  std::string user_data;       // "#cloud-config..." or a script; at most 64 KiB
  std::string network_config;  // version 1 or 2; "" = DHCP on every NIC

  bool operator==(const CloudInit&) const = default;
};

// What becomes of a guest whose node has died. restart: it starts on another one, once nobody else can write its disks.
// In the order of PlanningWish::priority.
enum class HaMode { none, restart };

// What a node does with a guest (of HaMode::restart) when neither the manager nor the shared pool tells it that the
// guest is still its. keep: it runs on, and nobody else starts it before the node was verified off. stop: it is
// stopped, hard, or the host's watchdog resets the host; so time alone proves that it doesn't run there any more.
enum class WhenAlone { keep, stop };

// A watchdog device that a system in the guest may feed, and what happens once it has begun to and stops.
enum class Watchdog { off, reset };

struct VmSpec {
  std::uint32_t cpus = 1;
  std::uint32_t max_cpus = 0;  // hot-plug limit; 0 = chosen at creation
  Bytes memory;
  Bytes max_memory;  // hot-plug limit; 0 = chosen at creation
  CpuModel cpu_model = CpuModel::host;
  Firmware firmware = Firmware::bios;
  bool autostart = true;  // started again after the node's reboot
  HaMode ha = HaMode::none;
  WhenAlone when_alone = WhenAlone::keep;
  Watchdog watchdog = Watchdog::off;
  std::chrono::seconds restart_hung{0};  // reset when its guest agent has been silent for so long; 0 = never
  PowerState power = PowerState::running;
  std::vector<DiskSpec> disks;
  std::vector<NicSpec> nics;
  CloudInit cloud_init;

  bool operator==(const VmSpec&) const = default;
};

struct Snapshot {
  std::string name;
  Timestamp created{};
  bool with_memory = false;

  bool operator==(const Snapshot&) const = default;
};

struct VmStatus {
  VmPhase phase = VmPhase::pending;
  std::string message;                    // why, when failed or pending
  std::uint64_t observed_generation = 0;  // the spec generation that the node has applied
  bool restart_required = false;          // part of the spec waits for the guest's next start
  std::vector<std::string> ip_addresses;
  bool guest_agent = false;
  Timestamp agent_silent_since{};  // its guest agent is there, has answered before, and hasn't since; never = not so
  std::vector<Snapshot> snapshots;
  bool waits_for_manager = false;  // its node doesn't start it by itself, so it may be started elsewhere
  Timestamp since{};               // when the phase was entered
  std::uint64_t lease = 0;         // the newest under which its node was seen to have it, so that this was stamped

  bool operator==(const VmStatus&) const = default;
};

struct Vm {
  VmId id;
  std::string name;
  std::map<std::string, std::string> labels;
  PlanningWish planning;
  std::uint64_t generation = 1;  // grows with each change of name, spec or deleting
  VmSpec spec;
  NodeId node;              // empty = not placed yet
  std::uint64_t lease = 0;  // fencing token of the node's right to run it; only grows; 0 = nobody may run it
  std::optional<PastLeases> past_leases;  // none: a record of before, to whose lease each older one is over
  bool deleting = false;
  Timestamp created{};
  VmStatus status;

  bool operator==(const Vm&) const = default;
};

// Notes that a lease that was taken for the guest is over; see end_lease of PastLeases.
inline void note_ended(Vm& vm, const LeaseHolder& lease, bool stamped, LeaseEnd by = LeaseEnd::proof) {
  if (!vm.past_leases) {
    if (vm.lease == 0) return;  // a record of before: each older token is over already
    const bool by_time = by == LeaseEnd::time && lease.token == vm.lease;
    vm.past_leases = PastLeases{.over = vm.lease, .ended = {}, .by_time = by_time};
  }
  end_lease(*vm.past_leases, lease, stamped, by);
}

// Nobody may run it under its present lease any more.
inline void end_lease(Vm& vm, LeaseEnd by = LeaseEnd::proof) {
  if (vm.lease == 0) return;
  note_ended(vm, {vm.node, vm.lease}, vm.status.lease == vm.lease, by);
  vm.lease = 0;
}

}  // namespace bridgehead::model
