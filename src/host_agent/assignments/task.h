// What every assignment handler gets and gives. Handlers (one file per kind) are concrete classes with
// `Outcome run(const Kind&, const Task&)`: idempotent, blocking, on a worker. They may be run again after a crash at
// any point and then end in the same state.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "base/clock.h"
#include "host_agent/guest_events.h"
#include "host_agent/guest_files.h"
#include "host_agent/journal.h"
#include "host_agent/lease_guard.h"
#include "host_agent/memory_budget.h"
#include "host_agent/migration/gates.h"
#include "host_agent/pools.h"
#include "host_agent/upload_rendezvous.h"
#include "hypervisor/hypervisor.h"

namespace bridgehead::host_agent {

// One run of one assignment.
struct Task {
  model::OperationId operation;
  std::stop_token stop;   // cancelled by the user, or the agent stops
  ProgressSink progress;  // never empty
  bool resumed = false;   // an earlier run of the agent had begun it
  // The agent stops, nobody cancelled: what goes on without it, or was done so far, may be left so for its next run.
  // Outlives the executor.
  std::function<bool()> leaving = [] { return false; };
};

struct Outcome {
  std::optional<Error> error;        // nothing = succeeded
  std::vector<model::Image> images;  // as they are in the pool now
  std::optional<VmChange> change;    // for the journal, with the report
  std::optional<model::MigrationGate> gate;
  bool guest_is_here = false;
  std::optional<model::LeaseStamp> stamp;  // why it failed: see AssignmentReport
};

inline Outcome failed(Error error) { return {.error = std::move(error)}; }
inline Outcome outcome_of(const Status& status) { return status ? Outcome{} : failed(status.error()); }

// What the host can give to a guest now.
struct HostCapacity {
  std::uint32_t cpus = 0;
  Bytes memory_available;
  bool kvm = false;
};

struct TaskTimings {
  std::chrono::milliseconds shutdown_repeat{std::chrono::seconds(5)};  // a guest that boots misses the first ACPI event
  std::chrono::milliseconds default_grace{std::chrono::seconds(60)};
  std::chrono::milliseconds upload_wait{std::chrono::minutes(10)};
  std::chrono::milliseconds undo_patience{std::chrono::seconds(30)};  // for a libvirt that is being restarted
  std::chrono::milliseconds undo_repeat{std::chrono::seconds(1)};
  std::chrono::milliseconds settle{
      std::chrono::seconds(10)};  // for libvirt to drop a guest that was cut off on its way in
};

// The node's parts that handlers work with; all outlive them.
struct NodeServices {
  hypervisor::Hypervisor& hypervisor;
  PoolRegistry& pools;
  Journal& journal;
  GuestEvents& events;
  GuestFiles& files;
  UploadRendezvous& uploads;
  MemoryBudget& memory;
  MigrationGates& gates;
  const MigrationHost& migration;
  const Clock& clock;
  model::NodeId node;
  std::function<HostCapacity()> capacity;
  std::vector<std::filesystem::path> import_directories;
  TaskTimings timings;
  LeaseGuard* leases = nullptr;  // none: no lease ends by time
};

// libvirt (or a pool) went away in the middle of new work: a part of it may be done, and nobody could say which. So it
// is done once more as after a crash of the agent, which waits a while for libvirt to come back.
inline bool wants_another_run(const Error& error, const Task& task) {
  return error.code == ErrorCode::unavailable && !task.resumed && !task.stop.stop_requested();
}
// The same for one idempotent call: refused at once when libvirt isn't there, but waited for when it goes away
// meanwhile.
inline Status through_libvirt(const NodeServices& services, const Task& task, const std::function<Status()>& call) {
  if (!task.resumed) {
    if (const auto there = services.hypervisor.info(); !there) return forward(there);
  }
  const auto started = services.clock.monotonic();
  for (;;) {
    auto done = call();
    if (done || done.error().code != ErrorCode::unavailable || task.stop.stop_requested()) return done;
    if (services.clock.monotonic() - started >= services.timings.undo_patience) return done;
    services.events.wait({}, services.events.count({}), services.timings.undo_repeat, task.stop);
  }
}
inline Task resumed(Task task) {
  task.resumed = true;
  return task;
}

inline Error cancelled_error() { return {ErrorCode::cancelled, "cancelled", {}}; }

}  // namespace bridgehead::host_agent
