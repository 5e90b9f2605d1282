// What the manager tells an agent to do, and what the agent reports. Values; carried by api/agent.proto, kept by nobody
// but the operation's journal on the manager and the agent's own journal.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "base/progress.h"
#include "base/result.h"
#include "model/image.h"
#include "model/lease.h"
#include "model/network.h"
#include "model/node.h"
#include "model/operation.h"
#include "model/pool.h"
#include "model/vm.h"

namespace bridgehead::model {

// Everything a node needs to bring a VM to its spec: the VM and the records it names. Doing it twice changes nothing.
// Covers create, every change of spec, and power (spec.power). A shutdown asks the guest by ACPI first.
struct EnsureVm {
  Vm vm;
  std::vector<Image> images;  // its disks and their golden parents
  std::vector<Pool> pools;
  std::vector<Network> networks;
  bool force_stop = false;                // with spec.power == stopped: don't ask the guest first
  std::uint32_t stop_grace_seconds = 60;  // how long it may take to shut down before it is forced; 0 = fail instead
  bool operator==(const EnsureVm&) const = default;
};

// Removes the domain, the seed, the lease stamp and the disks. Missing parts are success.
struct RemoveVm {
  Vm vm;
  std::vector<Image> disks;
  std::vector<Pool> pools;
  bool unless_running = false;  // an old copy, as far as is known: one that runs isn't
  bool operator==(const RemoveVm&) const = default;
};

struct RebootVm {
  VmId vm;
  std::uint64_t lease = 0;
  bool force = false;
  bool operator==(const RebootVm&) const = default;
};

enum class SnapshotAction { create, rollback, remove };

struct SnapshotVm {
  VmId vm;
  std::uint64_t lease = 0;
  SnapshotAction action = SnapshotAction::create;
  std::string name;
  bool operator==(const SnapshotVm&) const = default;
};

// The file that waits on the target for a disk that comes along with its guest.
struct WaitingDisk {
  std::string name;  // in the guest
  std::string path;
  ImageFormat format = ImageFormat::raw;
  Bytes size;
  bool direct_io = false;
  bool operator==(const WaitingDisk&) const = default;
};

// Where a migrating guest's source comes in: one of the target's addresses, a port that is open for this guest alone.
struct MigrationGate {
  std::vector<std::string> addresses;
  std::uint16_t port = 0;
  std::vector<WaitingDisk> disks;
  bool operator==(const MigrationGate&) const = default;
};

// A disk that comes along with its guest: one of guest.images, which says already where it will be.
struct ComingDisk {
  ImageId image;
  Bytes room;  // what it may take there
  bool operator==(const ComingDisk&) const = default;
};

// The target's part of a live migration: what the guest needs there is made ready and checked, then the gate is open
// for its source. guest.vm.lease is the token under which it will run there; it is stamped now, so that from here on
// nobody starts the guest under an older one.
struct AcceptVm {
  EnsureVm guest;
  NodeId source;
  std::vector<ComingDisk> disks;
  std::uint64_t source_lease = 0;
  bool operator==(const AcceptVm&) const = default;
};

// The source's part: moves the running guest through the gate. Ends well when the guest is gone here. When it fails,
// the guest is here as before (the report's guest_is_here), or nobody knows yet.
// Of a guest whose disks go along (gate.disks) the source alone decides, since no lock keeps the two copies apart: the
// target's goes on only when the source has given its own up. It ends well when the target has taken the guest over;
// `unavailable` leaves open where it is; with any other error the guest is here, or was given up, and then the target
// is asked.
struct MigrateVm {
  VmId vm;
  std::uint64_t lease = 0;
  NodeId target;
  MigrationGate gate;
  bool post_copy = false;     // once its memory was copied, go on there and fetch the rest as it is needed
  std::uint64_t token = 0;    // the target's lease
  std::vector<Pool> leaving;  // where the disks lie that go along: that token is stamped there, too
  std::optional<PastLeases> past;
  bool operator==(const MigrateVm&) const = default;
};

// After a migration that failed, on the target: is the guest there all the same? If not, what was made ready goes (but
// for its disks: ClearDisk). If it is, the disks that came along are the guest's from then on. One that came with disks
// is there when it was taken over; if it only has come in, when the source has given it up.
struct SettleVm {
  VmId vm;
  std::vector<Image> disks;
  std::vector<Pool> pools;
  bool given_up = false;
  bool operator==(const SettleVm&) const = default;
};

// Removes a file that is not the guest's disk any more, or never became it. The guest is elsewhere (what there may be
// of it here goes, too, unless it runs: then it fails) or, with `guest_is_here`, has that disk in another pool of this
// node.
struct ClearDisk {
  VmId vm;
  std::uint64_t lease = 0;  // a stamp of this one, or an older one, goes
  Image image;
  Pool pool;
  bool guest_is_here = false;
  std::vector<std::string> disks;  // guest_is_here: the names of its disks, none of which is this file
  bool others_stay = false;        // it has further disks in that pool: the stamp stays
  bool operator==(const ClearDisk&) const = default;
};

// Brings a disk into another pool, while its guest runs or not. Ends with the disk in `to` and nowhere else, or where
// it was. An error `unavailable` alone leaves open which.
struct MoveDisk {
  VmId vm;  // its guest; empty = a detached disk
  std::uint64_t lease = 0;
  std::string disk;  // its name in the guest
  Image image;
  Pool from;
  Pool to;
  bool others_stay = false;   // the guest has further disks in `from`
  bool others_there = false;  // ... or in `to`
  std::optional<PastLeases> past;
  bool operator==(const MoveDisk&) const = default;
};

// Makes a disk independent of its golden image, in its place, while its guest runs or not.
struct FlattenDisk {
  VmId vm;
  std::uint64_t lease = 0;
  std::string disk;
  Image image;
  Pool pool;
  std::optional<PastLeases> past;
  bool operator==(const FlattenDisk&) const = default;
};

struct ImportImage {
  Image image;
  Pool pool;
  ImageSource source;
  Image source_image;  // source.kind == image
  Pool source_pool;
  std::vector<NodeId> helpers;  // who get a help_import of the same operation
  bool operator==(const ImportImage&) const = default;
};

// Beside another node's import_image of the same operation, from one shared pool to another: copies parts of the image
// until none is left. What becomes of it decides nothing: the leader does what its helpers don't.
struct HelpImport {
  Image image;
  Pool pool;
  Image source_image;
  Pool source_pool;
  NodeId leader;
  bool operator==(const HelpImport&) const = default;
};

struct RemoveImage {
  Image image;
  Pool pool;
  bool operator==(const RemoveImage&) const = default;
};

struct EnsurePool {
  Pool pool;
  bool operator==(const EnsurePool&) const = default;
};
struct RemovePool {
  Pool pool;
  bool operator==(const RemovePool&) const = default;
};
struct EnsureNetwork {
  Network network;
  bool operator==(const EnsureNetwork&) const = default;
};
struct RemoveNetwork {
  Network network;
  bool operator==(const RemoveNetwork&) const = default;
};

using AssignmentBody =
    std::variant<EnsureVm, RemoveVm, RebootVm, SnapshotVm, AcceptVm, MigrateVm, SettleVm, MoveDisk, FlattenDisk,
                 ClearDisk, ImportImage, HelpImport, RemoveImage, EnsurePool, RemovePool, EnsureNetwork, RemoveNetwork>;

struct Assignment {
  OperationId operation;  // an agent does each operation at most once to its end and remembers how it ended
  AssignmentBody body;
  bool operator==(const Assignment&) const = default;
};

// "ensure_vm", "remove_vm", ...
std::string_view kind_of(const AssignmentBody& body);

enum class AssignmentState { running, succeeded, failed, cancelled };

struct AssignmentReport {
  OperationId operation;
  AssignmentState state = AssignmentState::running;
  Progress progress;
  std::optional<Error> error;
  std::vector<Image> images;          // as they are in the pool now: size, allocation, format, checksum
  std::optional<MigrationGate> gate;  // of accept_vm
  // Of settle_vm, and of migrate_vm where it failed: the guest is on this node and nowhere else.
  bool guest_is_here = false;
  // Where it failed by it: what is stamped beside the guest's disks, of a lease of which the assignment says nothing.
  std::optional<LeaseStamp> stamp;
  bool operator==(const AssignmentReport&) const = default;
};

// A guest as its node sees it.
struct ObservedVm {
  VmId vm;
  std::uint64_t generation = 0;  // of the spec last applied in full
  std::uint64_t lease = 0;
  VmStatus status;
  bool operator==(const ObservedVm&) const = default;
};

// The secret files that this node's agent has written.
struct SecretsOnNode {
  std::string digest;   // as it came with them; "" = none
  std::string message;  // why the newest aren't there
  bool operator==(const SecretsOnNode&) const = default;
};

// First message on a stream, and again whenever facts change: everything, so that the manager can adopt the truth.
struct NodeReport {
  NodeFacts facts;
  NodeLoad load;
  std::vector<ObservedVm> vms;  // all Bridgehead guests on this node
  std::map<PoolId, PoolOnNode> pools;
  std::vector<AssignmentReport> assignments;  // running, and finished ones not acknowledged yet
  SecretsOnNode secrets;
  bool answers_pings = false;  // agents of before that don't
  bool helps_imports = false;  // likewise: it knows help_import
  bool operator==(const NodeReport&) const = default;
};

}  // namespace bridgehead::model
