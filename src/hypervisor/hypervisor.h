// Hypervisor: the guests of this node. Any call may block; runs on the agent's workers. Thread-safe; calls on different
// guests run in parallel, callers serialise calls on one guest. Idempotent: starting what runs, removing what isn't
// there and so on succeed and change nothing. The real one is hypervisor/libvirt; testing/fake_hypervisor.h is for unit
// tests.
//
// Only domains that carry our metadata (namespace urn:bridgehead:vm:1) are ever listed or touched.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/progress.h"
#include "base/result.h"
#include "model/image.h"
#include "model/network.h"
#include "model/node.h"
#include "model/vm.h"

namespace bridgehead::hypervisor {

struct GuestDisk {
  std::string name;  // DiskSpec::name: alias "ua-<name>" and serial
  std::filesystem::path path;
  model::ImageFormat format = model::ImageFormat::raw;
  Bytes size;
  bool direct_io = true;  // the pool honours O_DIRECT: cache=none and native AIO, otherwise writeback and threads
  std::filesystem::path backing;  // qcow2 overlay: its golden image, always raw; "" = what the overlay's header says

  bool operator==(const GuestDisk&) const = default;
};

struct GuestNic {
  std::string name;  // alias "ua-<name>"
  std::string mac;
  std::string bridge;                 // the bridge device to plug into ...
  std::optional<std::uint16_t> vlan;  // ... with this tag
  std::string network;                // ... or the id of a nat network that ensure_network made

  bool operator==(const GuestNic&) const = default;
};

// What a nat network is called in libvirt, for people who look there.
std::string nat_network_name(const model::NetworkId& id);

// Everything resolved: what libvirt needs and nothing else.
struct GuestConfig {
  model::VmId id;
  std::string name;  // domain title; the domain's name is "bh-<id>", so that renaming is free
  std::uint64_t generation = 0;
  std::uint64_t lease = 0;
  std::uint32_t cpus = 1;
  std::uint32_t max_cpus = 1;
  Bytes memory;
  Bytes max_memory;
  model::CpuModel cpu_model = model::CpuModel::host;
  model::Firmware firmware = model::Firmware::bios;
  model::Watchdog watchdog = model::Watchdog::off;  // what its watchdog device does
  bool kvm = false;                                 // as found by trial; otherwise TCG
  std::vector<GuestDisk> disks;
  std::vector<GuestNic> nics;
  std::filesystem::path seed;         // NoCloud ISO; "" = none
  std::filesystem::path console_log;  // what the serial console prints, kept for the boot log
  std::filesystem::path nvram;        // uefi: the guest's variables

  bool operator==(const GuestConfig&) const = default;
};

enum class GuestState { absent, stopped, running, paused, crashed };
inline bool lives(GuestState state) { return state == GuestState::running || state == GuestState::paused; }

struct GuestInfo {
  model::VmId id;
  GuestState state = GuestState::absent;
  std::uint64_t generation = 0;  // from the domain's metadata
  std::uint64_t lease = 0;
  std::uint32_t cpus = 0;  // now, in the running guest
  Bytes memory;
  bool restart_required = false;  // the stored definition differs from what runs
  // A half-arrived guest, or one that is just leaving: where it will go on isn't decided.
  bool migrating = false;
  // Just starting, just ending, or left paused by a migration that is over: it isn't certain that it goes on here.
  bool uncertain = false;
  bool has_ended = false;    // it is off after it has run here, not because it couldn't be started
  bool unexplained = false;  // off, and libvirt doesn't know why: it never ran here, or this host was reset under it
  std::vector<model::Snapshot> snapshots;
};

struct HypervisorInfo {
  std::string library_version;     // "9.0.0"
  std::string hypervisor_version;  // QEMU "7.2.17"
  std::string machine_type;        // what "q35" means on this node now: pinned into each new guest
};

// A byte stream to a guest's serial console. read() blocks until there is something; "" = the guest closed it.
class ConsoleStream {
 public:
  virtual ~ConsoleStream() = default;
  virtual Result<std::string> read() = 0;
  virtual Status write(std::string_view bytes) = 0;
  virtual void close() = 0;  // from any thread; read() then returns ""
};

// How a running guest gets to another host: libvirt's own peer-to-peer protocol over Unix sockets.
struct MigrationRoute {
  std::filesystem::path control;  // leads to the other host's libvirtd
  std::filesystem::path data;     // leads to a socket of the same path there
  std::filesystem::path disks;    // leads to a socket of the same path there, where disks are written
  // These disks go along, into files that are there, blank and of their size. The guest stays paused on the other host:
  // no lock would keep both copies from going on.
  std::vector<GuestDisk> copied;
};

// pre_copy: the guest goes on here until its memory is there. post_copy: once all of it was copied, the guest goes on
// there and fetches from here what it has changed meanwhile. That always comes to an end, but if a host or the network
// fails after the change-over the guest's memory is lost: it has crashed.
enum class MigrationMode { pre_copy, post_copy };

// What a guest has a disk in now: while it runs what QEMU writes to, otherwise what its definition says.
struct DiskInUse {
  bool runs = false;
  GuestDisk disk;                    // its size isn't told
  std::filesystem::path copying_to;  // where a copy of it is on its way; "" = nowhere
};

// What a running guest has used since it began to run here; numbers only grow, except memory.
struct GuestCounters {
  model::VmId id;
  std::chrono::nanoseconds cpu{0};
  Bytes memory;                           // resident
  std::uint64_t storage = 0;              // bytes read and written
  std::uint64_t disk_operations = 0;      // that have ended: reads, writes, flushes
  std::chrono::nanoseconds disk_time{0};  // that they took together
  std::uint64_t network = 0;              // bytes received and sent
};

// The QEMU of a guest that runs here.
struct GuestProcess {
  int id = 0;
  bool kvm = false;  // otherwise it is emulated
};

// Of the guest agent in a guest.
enum class GuestAgent {
  away,    // nothing in the guest has its channel open: it has none, boots, or ended it
  silent,  // its channel is open, and nothing answers
  answers,
};

enum class GuestEventKind { state_changed, removed, agent_changed };
struct GuestEvent {
  model::VmId id;
  GuestEventKind kind = GuestEventKind::state_changed;
};

class Hypervisor {
 public:
  virtual ~Hypervisor() = default;

  // unavailable, with what to install or start, when guests can't run here.
  virtual Result<HypervisorInfo> info() = 0;
  virtual Result<std::vector<GuestInfo>> list() = 0;
  virtual Result<std::vector<GuestCounters>> counters() = 0;  // of those that run
  virtual Result<GuestInfo> get(const model::VmId& id) = 0;   // absent is a state, not an error

  // Defines the guest, or brings an existing one to `config`: live where the guest allows (CPUs and memory within the
  // limits, disks, NICs, disk growth), otherwise in its stored definition with GuestInfo::restart_required.
  // failed_precondition when a running guest doesn't let a disk go: its file may be deleted next, so that can't wait.
  virtual Result<GuestInfo> configure(const GuestConfig& config) = 0;
  virtual Status start(const model::VmId& id) = 0;
  virtual Status request_shutdown(const model::VmId& id) = 0;  // ACPI (and guest agent if it answers); returns at once
  virtual Status power_off(const model::VmId& id) = 0;         // at once
  virtual Status reboot(const model::VmId& id, bool force) = 0;
  virtual Status pause(const model::VmId& id) = 0;
  virtual Status resume(const model::VmId& id) = 0;
  virtual Status set_autostart(const model::VmId& id, bool on) = 0;
  virtual Status remove(const model::VmId& id) = 0;  // powers off, removes snapshots' metadata, NVRAM, console log

  // Moves a running (or paused) guest live: its disks must be on storage that both hosts share and find under the same
  // paths, which the caller has made sure of, or be copied along. Succeeds when the guest is on the other host and gone
  // here; whatever fails leaves it running here, or, where the other host's last word was lost, paused: QEMU's image
  // locks let only one of the two go on, or the other one is paused in any case (MigrationRoute::copied). Done of total
  // in bytes of memory and copied disks. cancelled: `stop` was asked for. An emulated guest stands still while its
  // memory is copied; unsupported for it: post_copy.
  virtual Status migrate(const model::VmId& id, const MigrationRoute& route, MigrationMode mode,
                         const ProgressSink& progress, std::stop_token stop) = 0;

  // Nothing: the guest, or that disk of it, isn't here.
  virtual Result<std::optional<DiskInUse>> disk_in_use(const model::VmId& id, const std::string& name) = 0;
  // Copies a running (or paused) guest's disk into `to`, a file that is there, of the disk's size and blank, and lets
  // the guest go on in it. Once both have the same content, and every write reaches both, `in_step` is called; only if
  // it succeeds the guest goes over. Goes on with a copy to the same file that is on its way already. Any failure
  // leaves the guest in one of the two files: ask disk_in_use. cancelled: `stop` was asked for; the copy goes on by
  // itself, to be taken up again or ended.
  virtual Status move_disk(const model::VmId& id, const GuestDisk& to, const std::function<Status()>& in_step,
                           const ProgressSink& progress, std::stop_token stop) = 0;
  // Brings all of its golden image into a running guest's overlay, which then needs it no longer. Goes on with one that
  // is on its way; cancelled as in move_disk.
  virtual Status flatten_disk(const model::VmId& id, const std::string& name, const ProgressSink& progress,
                              std::stop_token stop) = 0;
  // Ends whatever move_disk or flatten_disk has left on its way; the disk stays where it is.
  virtual Status end_disk_job(const model::VmId& id, const std::string& name) = 0;
  // The definition of a guest that doesn't run names another file for that disk.
  virtual Status use_file(const model::VmId& id, const GuestDisk& disk) = 0;

  virtual Status create_snapshot(const model::VmId& id, const std::string& name) = 0;  // with memory if it runs
  virtual Status rollback_snapshot(const model::VmId& id, const std::string& name) = 0;
  virtual Status remove_snapshot(const model::VmId& id, const std::string& name) = 0;

  virtual Result<std::unique_ptr<ConsoleStream>> open_console(const model::VmId& id, bool take_over) = 0;
  virtual Result<UniqueFd> open_vnc(const model::VmId& id) = 0;  // a connected socket speaking RFB
  // IP addresses by guest agent, otherwise from DHCP leases of our nat networks; and what the agent is at.
  virtual Result<std::vector<std::string>> addresses(const model::VmId& id, GuestAgent& agent) = 0;

  // One command of the guest agent's protocol, as JSON, and its answer; hostile like all that a guest says.
  // unavailable: no agent has its channel open, or it doesn't answer; timeout; io_error with what it said.
  virtual Result<std::string> ask_agent(const model::VmId& id, const std::string& command,
                                        std::chrono::seconds patience) = 0;
  // not_found: it doesn't run here.
  virtual Result<GuestProcess> process_of(const model::VmId& id) = 0;

  // A nat network with DHCP on this node; bridges are only checked to exist.
  virtual Status ensure_network(const model::Network& network) = 0;
  virtual Status remove_network(const model::NetworkId& id) = 0;

  // From a thread of the hypervisor's; must be quick. Also called with state_changed for every guest after a reconnect.
  virtual void on_event(std::function<void(const GuestEvent&)> handler) = 0;
};

}  // namespace bridgehead::hypervisor
