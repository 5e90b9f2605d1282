// FakeHypervisor: guests in memory, for unit tests of whoever uses a Hypervisor. Thread-safe. It behaves as the
// interface says (idempotent, absent is a state) and lets a test inject failures, guests that ignore ACPI, crashes and
// an absent libvirt. Records every call as "<operation> <guest or network id>".
#pragma once

#include <sys/socket.h>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <set>

#include "base/file.h"
#include "hypervisor/hypervisor.h"

namespace bridgehead::hypervisor::testing {

// Gives back what is written to it, as a terminal with a shell that only echoes would.
class EchoConsole final : public ConsoleStream {
 public:
  Result<std::string> read() override {
    std::unique_lock lock(mutex_);
    wake_.wait(lock, [this] { return closed_ || !bytes_.empty(); });
    return std::exchange(bytes_, {});
  }
  Status write(std::string_view bytes) override {
    const std::lock_guard lock(mutex_);
    if (closed_) return fail(ErrorCode::failed_precondition, "the console is closed");
    bytes_ += bytes;
    wake_.notify_all();
    return {};
  }
  void close() override {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    wake_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable wake_;
  std::string bytes_;
  bool closed_ = false;
};

class FakeHypervisor final : public Hypervisor {
 public:
  // --- what a test sets up and looks at
  // ------------------------------------------------------------------------------- The next `times` calls of
  // `operation` (the method's name) fail with `error` and change nothing.
  void fail_next(const std::string& operation, Error error, int times = 1) {
    const std::lock_guard lock(mutex_);
    for (int i = 0; i < times; ++i) failures_[operation].push_back(error);
  }
  // Every call fails with this until it is reset: libvirt is away.
  void set_unavailable(std::optional<Error> error) {
    const std::lock_guard lock(mutex_);
    unavailable_ = std::move(error);
  }
  void set_ignores_acpi(const model::VmId& id, bool on) {
    const std::lock_guard lock(mutex_);
    on ? (void)ignores_acpi_.insert(id) : (void)ignores_acpi_.erase(id);
  }
  // Changes of disks, NICs, CPUs and memory of a running guest wait for its next start.
  void set_live_changes(bool possible) {
    const std::lock_guard lock(mutex_);
    live_changes_ = possible;
  }
  void set_addresses(const model::VmId& id, std::vector<std::string> addresses, GuestAgent agent) {
    const std::lock_guard lock(mutex_);
    addresses_[id] = {std::move(addresses), agent};
  }
  // What the agent of each guest answers.
  void set_agent(std::function<Result<std::string>(const std::string&)> agent) {
    const std::lock_guard lock(mutex_);
    agent_ = std::move(agent);
  }
  // What happens inside a guest: it shuts itself down, crashes, ...
  void set_state(const model::VmId& id, GuestState state) { set_state(id, state, false); }
  // Its host was reset: the guest is off, and nothing tells why.
  void cut_power(const model::VmId& id) { set_state(id, GuestState::stopped, true); }
  void set_migrating(const model::VmId& id, bool on) {
    {
      const std::lock_guard lock(mutex_);
      if (const auto found = guests_.find(id); found != guests_.end()) found->second.info.migrating = on;
    }
    emit(id, GuestEventKind::state_changed);
  }
  void set_uncertain(const model::VmId& id, bool on) {
    {
      const std::lock_guard lock(mutex_);
      if (const auto found = guests_.find(id); found != guests_.end()) found->second.info.uncertain = on;
    }
    emit(id, GuestEventKind::state_changed);
  }
  std::vector<std::string> calls() const {
    const std::lock_guard lock(mutex_);
    return calls_;
  }
  std::size_t count_calls(std::string_view prefix) const {
    const std::lock_guard lock(mutex_);
    return static_cast<std::size_t>(
        std::count_if(calls_.begin(), calls_.end(), [&](const std::string& call) { return call.starts_with(prefix); }));
  }
  std::optional<GuestConfig> config(const model::VmId& id) const {
    const std::lock_guard lock(mutex_);
    const auto found = guests_.find(id);
    return found == guests_.end() ? std::nullopt : std::optional(found->second.config);
  }
  bool autostart(const model::VmId& id) const {
    const std::lock_guard lock(mutex_);
    const auto found = guests_.find(id);
    return found != guests_.end() && found->second.autostart;
  }
  // A copy (or a flattening) that has begun waits, while held, until it is cancelled or let go.
  void hold_disk_jobs(bool hold) {
    const std::lock_guard lock(mutex_);
    hold_jobs_ = hold;
    jobs_changed_.notify_all();
  }
  // The file that a copy of the disk is on its way to; "" = none.
  std::filesystem::path copying_to(const model::VmId& id, const std::string& disk) const {
    const std::lock_guard lock(mutex_);
    const auto found = copies_.find({id, disk});
    return found == copies_.end() ? std::filesystem::path() : found->second;
  }
  // Where guests go that migrate from here; there they stand still when their disks go along.
  void set_migration_target(FakeHypervisor* target) {
    const std::lock_guard lock(mutex_);
    migration_target_ = target;
  }
  void come_in(GuestConfig config, GuestState state) {
    const std::lock_guard lock(mutex_);
    GuestInfo info{.id = config.id, .state = state, .generation = config.generation, .lease = config.lease};
    const auto id = config.id;
    guests_.insert_or_assign(id, Guest{.config = std::move(config), .info = std::move(info)});
  }
  // The way that the last guest went.
  MigrationRoute route() const {
    const std::lock_guard lock(mutex_);
    return route_;
  }
  std::map<model::NetworkId, model::Network> networks() const {
    const std::lock_guard lock(mutex_);
    return networks_;
  }

  // --- Hypervisor ---
  Result<HypervisorInfo> info() override {
    const std::lock_guard lock(mutex_);
    if (auto entered = enter("info", ""); !entered) return forward(entered);
    return HypervisorInfo{"9.0.0", "7.2.17", "pc-q35-7.2"};
  }

  Result<std::vector<GuestInfo>> list() override {
    const std::lock_guard lock(mutex_);
    if (auto entered = enter("list", ""); !entered) return forward(entered);
    std::vector<GuestInfo> all;
    for (const auto& [id, guest] : guests_) all.push_back(guest.info);
    return all;
  }

  // What counters() tells of it while it runs.
  void count(GuestCounters counters) {
    const std::lock_guard lock(mutex_);
    counted_[counters.id] = std::move(counters);
  }
  Result<std::vector<GuestCounters>> counters() override {
    const std::lock_guard lock(mutex_);
    std::vector<GuestCounters> all;
    for (const auto& [id, guest] : guests_) {
      if (!lives(guest.info.state)) continue;
      const auto found = counted_.find(id);
      all.push_back(found == counted_.end() ? GuestCounters{.id = id} : found->second);
    }
    return all;
  }

  Result<GuestInfo> get(const model::VmId& id) override {
    const std::lock_guard lock(mutex_);
    if (auto entered = enter("get", id.str()); !entered) return forward(entered);
    const auto found = guests_.find(id);
    return found == guests_.end() ? GuestInfo{.id = id} : found->second.info;
  }

  Result<GuestInfo> configure(const GuestConfig& config) override {
    const std::lock_guard lock(mutex_);
    if (auto entered = enter("configure", config.id.str()); !entered) return forward(entered);
    auto& guest = guests_[config.id];
    const bool alive = guest.info.state == GuestState::running || guest.info.state == GuestState::paused;
    auto same = config;  // apart from what never matters to a running guest
    same.generation = guest.config.generation;
    same.lease = guest.config.lease;
    same.name = guest.config.name;
    if (alive && !live_changes_ && same != guest.config) guest.info.restart_required = true;
    guest.config = config;
    guest.info.id = config.id;
    guest.info.generation = config.generation;
    guest.info.lease = config.lease;
    if (!alive || live_changes_) {
      guest.info.cpus = config.cpus;
      guest.info.memory = config.memory;
    }
    if (guest.info.state == GuestState::absent) guest.info.state = GuestState::stopped;
    return guest.info;
  }

  Status start(const model::VmId& id) override {
    return change("start", id, [](Guest& guest) -> Status {
      if (guest.info.state == GuestState::running || guest.info.state == GuestState::paused) return {};
      guest.info.state = GuestState::running;
      guest.info.restart_required = false;
      guest.info.cpus = guest.config.cpus;
      guest.info.memory = guest.config.memory;
      return {};
    });
  }

  Status request_shutdown(const model::VmId& id) override {
    return change("request_shutdown", id, [this, id](Guest& guest) -> Status {
      if (guest.info.state == GuestState::running && !ignores_acpi_.contains(id)) stop(guest);
      return {};
    });
  }

  Status power_off(const model::VmId& id) override {
    return change(
        "power_off", id,
        [](Guest& guest) -> Status {
          stop(guest);
          return {};
        },
        true);
  }

  Status reboot(const model::VmId& id, bool) override {
    return change("reboot", id, [](Guest& guest) -> Status {
      if (guest.info.state == GuestState::stopped)
        return fail(ErrorCode::failed_precondition, "the guest isn't running");
      guest.info.state = GuestState::running;
      return {};
    });
  }

  Status pause(const model::VmId& id) override {
    return change("pause", id, [](Guest& guest) -> Status {
      if (guest.info.state == GuestState::stopped)
        return fail(ErrorCode::failed_precondition, "the guest isn't running");
      guest.info.state = GuestState::paused;
      return {};
    });
  }

  Status resume(const model::VmId& id) override {
    return change("resume", id, [](Guest& guest) -> Status {
      if (guest.info.state == GuestState::stopped)
        return fail(ErrorCode::failed_precondition, "the guest isn't running");
      guest.info.state = GuestState::running;
      return {};
    });
  }

  Status set_autostart(const model::VmId& id, bool on) override {
    return change("set_autostart", id, [on](Guest& guest) -> Status {
      guest.autostart = on;
      return {};
    });
  }

  Status remove(const model::VmId& id) override {
    {
      const std::lock_guard lock(mutex_);
      if (auto entered = enter("remove", id.str()); !entered) return entered;
      if (guests_.erase(id) == 0) return {};
    }
    emit(id, GuestEventKind::removed);
    return {};
  }

  // The guest is gone here afterwards; whether it is anywhere else is the test's business.
  Status migrate(const model::VmId& id, const MigrationRoute& route, MigrationMode, const ProgressSink& progress,
                 std::stop_token stop) override {
    {
      const std::lock_guard lock(mutex_);
      if (auto entered = enter("migrate", id.str()); !entered) return entered;
      if (auto running = require_running(id); !running) return running;
      if (stop.stop_requested()) return fail(ErrorCode::cancelled, "cancelled");
      route_ = route;
      if (migration_target_ != nullptr) {
        migration_target_->come_in(guests_.at(id).config,
                                   route.copied.empty() ? GuestState::running : GuestState::paused);
      }
      guests_.erase(id);
      // "last word": it has moved, and nobody hears of it.
      if (auto answered = enter("last word", id.str()); !answered) return answered;
    }
    progress({.phase = "memory", .done = 1, .total = 1});
    emit(id, GuestEventKind::removed);
    return {};
  }

  Result<std::optional<DiskInUse>> disk_in_use(const model::VmId& id, const std::string& name) override {
    const std::lock_guard lock(mutex_);
    if (auto entered = enter("disk_in_use", id.str()); !entered) return forward(entered);
    const auto* disk = find_disk(id, name);
    if (disk == nullptr) return std::optional<DiskInUse>();
    const auto copy = copies_.find({id, name});
    const auto state = guests_.at(id).info.state;
    return std::optional(DiskInUse{.runs = state == GuestState::running || state == GuestState::paused,
                                   .disk = *disk,
                                   .copying_to = copy == copies_.end() ? std::filesystem::path() : copy->second});
  }

  // As QEMU does it: the copy outlives who began it; a failure named "pivot" comes after everything was ready for it.
  Status move_disk(const model::VmId& id, const GuestDisk& to, const std::function<Status()>& in_step,
                   const ProgressSink& progress, std::stop_token stop) override {
    {
      std::unique_lock lock(mutex_);
      if (auto entered = enter("move_disk", id.str()); !entered) return entered;
      if (auto running = require_running(id); !running) return running;
      if (find_disk(id, to.name) == nullptr) return fail(ErrorCode::not_found, "no disk '{}'", to.name);
      if (find_disk(id, to.name)->path == to.path) return {};
      copies_[{id, to.name}] = to.path;
      jobs_changed_.notify_all();
      jobs_changed_.wait(lock, stop, [this] { return !hold_jobs_; });
      if (stop.stop_requested()) return fail(ErrorCode::cancelled, "cancelled");
      if (auto copied = enter("copy", id.str()); !copied) {
        if (copied.error().code != ErrorCode::unavailable) copies_.erase({id, to.name});
        return copied;
      }
    }
    progress({.phase = "copy", .done = 1, .total = 1});
    if (auto agreed = in_step(); !agreed) return agreed;
    const std::lock_guard lock(mutex_);
    if (auto entered = enter("pivot", id.str()); !entered) return entered;
    auto& disk = *find_disk(id, to.name);
    const bool direct_io = disk.direct_io;  // as it was opened
    disk = to;
    disk.direct_io = direct_io;
    copies_.erase({id, to.name});
    // "answer": the guest has gone over, but nobody hears of it.
    return enter("answer", id.str());
  }

  Status flatten_disk(const model::VmId& id, const std::string& name, const ProgressSink& progress,
                      std::stop_token stop) override {
    std::unique_lock lock(mutex_);
    if (auto entered = enter("flatten_disk", id.str()); !entered) return entered;
    if (auto running = require_running(id); !running) return running;
    auto* disk = find_disk(id, name);
    if (disk == nullptr) return fail(ErrorCode::not_found, "no disk '{}'", name);
    jobs_changed_.wait(lock, stop, [this] { return !hold_jobs_; });
    if (stop.stop_requested()) return fail(ErrorCode::cancelled, "cancelled");
    progress({.phase = "flatten", .done = 1, .total = 1});
    disk->backing.clear();
    return {};
  }

  Status end_disk_job(const model::VmId& id, const std::string& name) override {
    const std::lock_guard lock(mutex_);
    if (auto entered = enter("end_disk_job", id.str()); !entered) return entered;
    copies_.erase({id, name});
    return {};
  }

  Status use_file(const model::VmId& id, const GuestDisk& disk) override {
    const std::lock_guard lock(mutex_);
    if (auto entered = enter("use_file", id.str()); !entered) return entered;
    auto* known = find_disk(id, disk.name);
    if (known == nullptr) return fail(ErrorCode::not_found, "no disk '{}'", disk.name);
    const auto state = guests_.at(id).info.state;
    if (state == GuestState::running || state == GuestState::paused) {
      return fail(ErrorCode::failed_precondition, "the guest runs");
    }
    *known = disk;
    return {};
  }

  Status create_snapshot(const model::VmId& id, const std::string& name) override {
    return change("create_snapshot", id, [&](Guest& guest) -> Status {
      if (find_snapshot(guest, name) != guest.info.snapshots.end()) return {};
      guest.info.snapshots.push_back({name, {}, guest.info.state != GuestState::stopped});
      return {};
    });
  }

  Status rollback_snapshot(const model::VmId& id, const std::string& name) override {
    return change("rollback_snapshot", id, [&](Guest& guest) -> Status {
      const auto found = find_snapshot(guest, name);
      if (found == guest.info.snapshots.end()) return fail(ErrorCode::not_found, "no snapshot named '{}'", name);
      guest.info.state = found->with_memory ? GuestState::running : GuestState::stopped;
      return {};
    });
  }

  Status remove_snapshot(const model::VmId& id, const std::string& name) override {
    return change(
        "remove_snapshot", id,
        [&](Guest& guest) -> Status {
          if (const auto found = find_snapshot(guest, name); found != guest.info.snapshots.end()) {
            guest.info.snapshots.erase(found);
          }
          return {};
        },
        true);
  }

  Result<std::unique_ptr<ConsoleStream>> open_console(const model::VmId& id, bool) override {
    const std::lock_guard lock(mutex_);
    if (auto entered = enter("open_console", id.str()); !entered) return forward(entered);
    if (auto running = require_running(id); !running) return forward(running);
    return std::make_unique<EchoConsole>();
  }

  Result<UniqueFd> open_vnc(const model::VmId& id) override {
    const std::lock_guard lock(mutex_);
    if (auto entered = enter("open_vnc", id.str()); !entered) return forward(entered);
    if (auto running = require_running(id); !running) return forward(running);
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) return fail_errno(errno, "socketpair");
    UniqueFd ours(ends[0]);
    if (auto written = write_all(ends[1], "RFB 003.008\n", "fake VNC"); !written) return forward(written);
    vnc_ends_.emplace_back(ends[1]);
    return ours;
  }

  Result<std::vector<std::string>> addresses(const model::VmId& id, GuestAgent& agent) override {
    const std::lock_guard lock(mutex_);
    agent = GuestAgent::away;
    if (auto entered = enter("addresses", id.str()); !entered) return forward(entered);
    const auto found = addresses_.find(id);
    if (found == addresses_.end()) return std::vector<std::string>{};
    agent = found->second.second;
    return found->second.first;
  }

  Result<std::string> ask_agent(const model::VmId& id, const std::string& command, std::chrono::seconds) override {
    std::function<Result<std::string>(const std::string&)> agent;
    {
      const std::lock_guard lock(mutex_);
      if (auto entered = enter("ask_agent", id.str()); !entered) return forward(entered);
      agent = agent_;
    }
    if (!agent) return fail(ErrorCode::unavailable, "no agent has its channel open");
    return agent(command);
  }
  Result<GuestProcess> process_of(const model::VmId& id) override {
    return fail(ErrorCode::not_found, "guest {} doesn't run here", id);
  }

  Status ensure_network(const model::Network& network) override {
    const std::lock_guard lock(mutex_);
    if (auto entered = enter("ensure_network", network.id.str()); !entered) return entered;
    networks_[network.id] = network;
    return {};
  }

  Status remove_network(const model::NetworkId& id) override {
    const std::lock_guard lock(mutex_);
    if (auto entered = enter("remove_network", id.str()); !entered) return entered;
    networks_.erase(id);
    return {};
  }

  void on_event(std::function<void(const GuestEvent&)> handler) override {
    const std::lock_guard lock(mutex_);
    handler_ = std::move(handler);
  }

 private:
  void set_state(const model::VmId& id, GuestState state, bool unexplained) {
    {
      const std::lock_guard lock(mutex_);
      if (const auto found = guests_.find(id); found != guests_.end()) {
        auto& info = found->second.info;
        info.state = state;
        info.has_ended = state == GuestState::stopped;
        info.unexplained = unexplained;
      }
    }
    emit(id, GuestEventKind::state_changed);
  }
  struct Guest {
    GuestConfig config;
    GuestInfo info;
    bool autostart = false;
  };

  static void stop(Guest& guest) {
    guest.info.state = GuestState::stopped;
    guest.info.restart_required = false;
  }

  // With mutex_ held.
  GuestDisk* find_disk(const model::VmId& id, const std::string& name) {
    const auto guest = guests_.find(id);
    if (guest == guests_.end()) return nullptr;
    auto& disks = guest->second.config.disks;
    const auto found = std::find_if(disks.begin(), disks.end(), [&](const auto& disk) { return disk.name == name; });
    return found == disks.end() ? nullptr : &*found;
  }

  static std::vector<model::Snapshot>::iterator find_snapshot(Guest& guest, const std::string& name) {
    return std::find_if(guest.info.snapshots.begin(), guest.info.snapshots.end(),
                        [&](const model::Snapshot& snapshot) { return snapshot.name == name; });
  }

  Status enter(const std::string& operation, const std::string& id) {
    calls_.push_back(operation + " " + id);
    if (unavailable_) return fail(*unavailable_);
    auto& failures = failures_[operation];
    if (failures.empty()) return {};
    auto error = failures.front();
    failures.pop_front();
    return fail(std::move(error));
  }

  Status require_running(const model::VmId& id) const {
    const auto found = guests_.find(id);
    if (found == guests_.end() || found->second.info.state == GuestState::stopped) {
      return fail(ErrorCode::failed_precondition, "the guest isn't running");
    }
    return {};
  }

  template <typename Action>
  Status change(const std::string& operation, const model::VmId& id, Action action, bool absent_is_fine = false) {
    bool changed = false;
    {
      const std::lock_guard lock(mutex_);
      if (auto entered = enter(operation, id.str()); !entered) return entered;
      const auto found = guests_.find(id);
      if (found == guests_.end()) {
        if (absent_is_fine) return {};
        return fail(ErrorCode::not_found, "this node has no guest {}", id);
      }
      const auto before = found->second.info.state;
      if (auto done = action(found->second); !done) return done;
      changed = found->second.info.state != before;
    }
    if (changed) emit(id, GuestEventKind::state_changed);
    return {};
  }

  void emit(const model::VmId& id, GuestEventKind kind) {
    std::function<void(const GuestEvent&)> handler;
    {
      const std::lock_guard lock(mutex_);
      handler = handler_;
    }
    if (handler) handler({id, kind});
  }

  mutable std::mutex mutex_;
  std::map<model::VmId, GuestCounters> counted_;
  std::map<model::VmId, Guest> guests_;
  std::map<model::NetworkId, model::Network> networks_;
  std::map<model::VmId, std::pair<std::vector<std::string>, GuestAgent>> addresses_;
  std::function<Result<std::string>(const std::string&)> agent_;
  std::set<model::VmId> ignores_acpi_;
  std::map<std::string, std::deque<Error>> failures_;
  std::optional<Error> unavailable_;
  bool live_changes_ = true;
  bool hold_jobs_ = false;
  std::condition_variable_any jobs_changed_;
  std::map<std::pair<model::VmId, std::string>, std::filesystem::path> copies_;
  FakeHypervisor* migration_target_ = nullptr;
  MigrationRoute route_;
  std::vector<std::string> calls_;
  std::vector<UniqueFd> vnc_ends_;
  std::function<void(const GuestEvent&)> handler_;
};

}  // namespace bridgehead::hypervisor::testing
