// Simulates `kill -9` of the agent at any step: the n-th journal write or side effect (counted before and after each)
// is the last one that happens. From then on every thread of that agent stands still at its next step; release() lets
// them run out without any effect, so that they can be joined. For tests. Thread-safe.
#pragma once

#include <algorithm>
#include <condition_variable>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "hypervisor/hypervisor.h"
#include "state/state_store.h"
#include "storage/image_pool.h"

namespace bridgehead::host_agent::testing {

class CrashPoint {
 public:
  explicit CrashPoint(int die_at) : die_at_(die_at) {}

  // False = this agent is dead: have no effect.
  bool step(const std::string& what) {
    std::unique_lock lock(mutex_);
    if (!dead_ && ++steps_ == die_at_) {
      dead_ = true;
      where_ = what;
      changed_.notify_all();
    }
    last_[std::this_thread::get_id()] = what;
    if (!dead_) return true;
    stand_still(lock, what);
    return false;
  }
  // The thread that carries out the assignment: it also writes files, which aren't counted as steps.
  void note_handler() {
    const std::lock_guard lock(mutex_);
    handler_ = std::this_thread::get_id();
  }
  // After death: waits until the handler stands still, so that it writes nothing more: at a step of its own, at a call
  // into a pool that it waits for, or (disks are made beside it) behind its last file.
  void wait_quiet() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] {
      if (!handler_ || standing_.contains(*handler_) || last_[*handler_] == "after ensure_network") return true;
      return std::any_of(standing_.begin(), standing_.end(),
                         [](const auto& thread) { return thread.second.find("create_disk") == std::string::npos; });
    });
  }
  bool is_dead() const {
    const std::lock_guard lock(mutex_);
    return dead_;
  }
  std::string where() const {
    const std::lock_guard lock(mutex_);
    return where_;
  }
  void release() {
    const std::lock_guard lock(mutex_);
    dead_ = released_ = true;
    changed_.notify_all();
  }

  // Around a call that returns a Status or Result.
  template <typename Call>
  auto around(const std::string& what, Call call) -> decltype(call()) {
    if (!step("before " + what)) return gone();
    auto result = call();
    if (!step("after " + what)) return gone();
    return result;
  }
  // A call without effect: only not after death.
  template <typename Call>
  auto look(Call call) -> decltype(call()) {
    {
      std::unique_lock lock(mutex_);
      if (dead_) {
        stand_still(lock, "a look");
        return gone();
      }
    }
    return call();
  }
  static tl::unexpected<Error> gone() { return fail(ErrorCode::internal, "this agent was killed"); }

 private:
  void stand_still(std::unique_lock<std::mutex>& lock, const std::string& where) {
    standing_[std::this_thread::get_id()] = where;
    changed_.notify_all();
    changed_.wait(lock, [this] { return released_; });
  }

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  const int die_at_;
  int steps_ = 0;
  std::optional<std::thread::id> handler_;
  std::map<std::thread::id, std::string> last_;
  std::map<std::thread::id, std::string> standing_;
  bool dead_ = false;
  bool released_ = false;
  std::string where_;
};

class CrashingStore final : public state::StateStore {
 public:
  CrashingStore(state::StateStore& inner, CrashPoint& point) : inner_(inner), point_(point) {}
  Result<state::Entry> get(std::string_view key) const override { return inner_.get(key); }
  Result<std::vector<state::Entry>> list(std::string_view prefix, std::size_t limit) const override {
    return inner_.list(prefix, limit);
  }
  Result<state::Revision> commit(const state::Transaction& transaction) override {
    return point_.around("commit", [&] { return inner_.commit(transaction); });
  }
  state::Revision revision() const override { return inner_.revision(); }
  std::unique_ptr<Watch> watch(state::Watcher watcher) override { return inner_.watch(std::move(watcher)); }

 private:
  state::StateStore& inner_;
  CrashPoint& point_;
};

class CrashingPool final : public storage::ImagePool {
 public:
  using StoredImage = storage::StoredImage;
  CrashingPool(std::shared_ptr<storage::ImagePool> inner, std::shared_ptr<CrashPoint> point)
      : inner_(std::move(inner)), point_(std::move(point)) {}

  model::PoolOnNode attach() override { return inner_->attach(); }
  Status detach() override { return inner_->detach(); }
  Result<model::PoolOnNode> status() const override { return inner_->status(); }
  Result<std::filesystem::path> directory() const override { return inner_->directory(); }
  Result<StoredImage> import_golden(const storage::ImportRequest& request, const ProgressSink& progress,
                                    std::stop_token stop) override {
    return point_->around("import", [&] { return inner_->import_golden(request, progress, stop); });
  }
  Status help_import(const storage::HelpRequest& request, const ProgressSink& progress, std::stop_token stop) override {
    return point_->around("help import", [&] { return inner_->help_import(request, progress, stop); });
  }
  Result<StoredImage> create_disk(const model::Image& disk, const model::Image* golden, Bytes size) override {
    return point_->around("create_disk", [&] { return inner_->create_disk(disk, golden, size); });
  }
  Result<StoredImage> grow_disk(const model::Image& disk, Bytes size) override {
    return point_->around("grow_disk", [&] { return inner_->grow_disk(disk, size); });
  }
  Result<StoredImage> copy_disk(const storage::DiskCopy& copy, const ProgressSink& progress,
                                std::stop_token stop) override {
    return point_->around("copy_disk", [&] { return inner_->copy_disk(copy, progress, stop); });
  }
  Result<StoredImage> begin_copy(const model::OperationId& operation, const model::Image& disk,
                                 model::ImageFormat format, Bytes size) override {
    return point_->around("begin_copy", [&] { return inner_->begin_copy(operation, disk, format, size); });
  }
  Status reopen_copy(const model::Image& disk) override {
    return point_->around("reopen_copy", [&] { return inner_->reopen_copy(disk); });
  }
  Result<std::optional<model::OperationId>> copied_by(const model::Image& disk) const override {
    return point_->look([&] { return inner_->copied_by(disk); });
  }
  Status end_copy(const model::Image& disk) override {
    return point_->around("end_copy", [&] { return inner_->end_copy(disk); });
  }
  Result<StoredImage> flatten_disk(const model::Image& disk, const ProgressSink& progress,
                                   std::stop_token stop) override {
    return point_->around("flatten_disk file", [&] { return inner_->flatten_disk(disk, progress, stop); });
  }
  Result<StoredImage> inspect(const model::Image& image) const override {
    return point_->look([&] { return inner_->inspect(image); });
  }
  Status remove(const model::Image& image) override {
    return point_->around("remove image", [&] { return inner_->remove(image); });
  }
  Status export_image(const model::Image& image, model::ImageFormat format,
                      const std::function<bool(std::string_view)>& sink, const ProgressSink& progress,
                      std::stop_token stop) const override {
    return point_->look([&] { return inner_->export_image(image, format, sink, progress, stop); });
  }
  Result<model::PoolSurvey> survey(const std::vector<model::Image>& images) const override {
    return point_->look([&] { return inner_->survey(images); });
  }
  Status write_beat(const model::NodeId& node, std::uint64_t count) override {
    return inner_->write_beat(node, count);  // no step of any work
  }
  Result<std::uint64_t> read_beat(const model::NodeId& node) const override { return inner_->read_beat(node); }
  Status write_claim(const model::NodeId& node, std::uint64_t claim) override {
    return inner_->write_claim(node, claim);
  }
  Status remove_claim(const model::NodeId& node, std::uint64_t claim) override {
    return inner_->remove_claim(node, claim);
  }
  Result<std::vector<std::uint64_t>> read_claims(const model::NodeId& node) const override {
    return inner_->read_claims(node);
  }
  Status stamp_lease(const model::LeaseClaim& claim) override {
    return point_->around("stamp_lease", [&] { return inner_->stamp_lease(claim); });
  }
  Status change_terms(const model::LeaseClaim& own) override {
    return point_->around("change_terms", [&] { return inner_->change_terms(own); });
  }
  Result<std::optional<model::LeaseStamp>> read_lease(const model::VmId& vm) const override {
    return point_->look([&] { return inner_->read_lease(vm); });
  }
  Status remove_lease(const model::VmId& vm) override {
    return point_->around("remove_lease", [&] { return inner_->remove_lease(vm); });
  }
  Status collect_garbage(const std::function<bool(const model::OperationId&)>& alive) override {
    return inner_->collect_garbage(alive);
  }

 private:
  std::shared_ptr<storage::ImagePool> inner_;
  std::shared_ptr<CrashPoint> point_;
};

class CrashingHypervisor final : public hypervisor::Hypervisor {
 public:
  CrashingHypervisor(hypervisor::Hypervisor& inner, CrashPoint& point) : inner_(inner), point_(point) {}

  Result<hypervisor::HypervisorInfo> info() override { return inner_.info(); }
  Result<std::vector<hypervisor::GuestInfo>> list() override {
    return point_.look([&] { return inner_.list(); });
  }
  Result<std::vector<hypervisor::GuestCounters>> counters() override { return inner_.counters(); }
  Result<hypervisor::GuestInfo> get(const model::VmId& id) override {
    return point_.look([&] { return inner_.get(id); });
  }
  Result<hypervisor::GuestInfo> configure(const hypervisor::GuestConfig& config) override {
    return point_.around("configure", [&] { return inner_.configure(config); });
  }
  Status start(const model::VmId& id) override {
    return point_.around("start", [&] { return inner_.start(id); });
  }
  Status request_shutdown(const model::VmId& id) override {
    return point_.around("request_shutdown", [&] { return inner_.request_shutdown(id); });
  }
  Status power_off(const model::VmId& id) override {
    return point_.around("power_off", [&] { return inner_.power_off(id); });
  }
  Status migrate(const model::VmId& id, const hypervisor::MigrationRoute& route, hypervisor::MigrationMode mode,
                 const ProgressSink& progress, std::stop_token stop) override {
    return point_.around("migrate", [&] { return inner_.migrate(id, route, mode, progress, stop); });
  }
  Status reboot(const model::VmId& id, bool force) override {
    return point_.around("reboot", [&] { return inner_.reboot(id, force); });
  }
  Status pause(const model::VmId& id) override {
    return point_.around("pause", [&] { return inner_.pause(id); });
  }
  Status resume(const model::VmId& id) override {
    return point_.around("resume", [&] { return inner_.resume(id); });
  }
  Status set_autostart(const model::VmId& id, bool on) override {
    return point_.around("set_autostart", [&] { return inner_.set_autostart(id, on); });
  }
  Status remove(const model::VmId& id) override {
    return point_.around("remove domain", [&] { return inner_.remove(id); });
  }
  Result<std::optional<hypervisor::DiskInUse>> disk_in_use(const model::VmId& id, const std::string& name) override {
    return point_.look([&] { return inner_.disk_in_use(id, name); });
  }
  Status move_disk(const model::VmId& id, const hypervisor::GuestDisk& to, const std::function<Status()>& in_step,
                   const ProgressSink& progress, std::stop_token stop) override {
    return point_.around("move_disk", [&] { return inner_.move_disk(id, to, in_step, progress, stop); });
  }
  Status flatten_disk(const model::VmId& id, const std::string& name, const ProgressSink& progress,
                      std::stop_token stop) override {
    return point_.around("flatten_disk", [&] { return inner_.flatten_disk(id, name, progress, stop); });
  }
  Status end_disk_job(const model::VmId& id, const std::string& name) override {
    return point_.around("end_disk_job", [&] { return inner_.end_disk_job(id, name); });
  }
  Status use_file(const model::VmId& id, const hypervisor::GuestDisk& disk) override {
    return point_.around("use_file", [&] { return inner_.use_file(id, disk); });
  }
  Status create_snapshot(const model::VmId& id, const std::string& name) override {
    return point_.around("create_snapshot", [&] { return inner_.create_snapshot(id, name); });
  }
  Status rollback_snapshot(const model::VmId& id, const std::string& name) override {
    return point_.around("rollback_snapshot", [&] { return inner_.rollback_snapshot(id, name); });
  }
  Status remove_snapshot(const model::VmId& id, const std::string& name) override {
    return point_.around("remove_snapshot", [&] { return inner_.remove_snapshot(id, name); });
  }
  Result<std::unique_ptr<hypervisor::ConsoleStream>> open_console(const model::VmId& id, bool take_over) override {
    return inner_.open_console(id, take_over);
  }
  Result<UniqueFd> open_vnc(const model::VmId& id) override { return inner_.open_vnc(id); }
  Result<std::vector<std::string>> addresses(const model::VmId& id, hypervisor::GuestAgent& agent) override {
    return inner_.addresses(id, agent);
  }
  Result<std::string> ask_agent(const model::VmId& id, const std::string& command,
                                std::chrono::seconds patience) override {
    return inner_.ask_agent(id, command, patience);
  }
  Result<hypervisor::GuestProcess> process_of(const model::VmId& id) override { return inner_.process_of(id); }
  Status ensure_network(const model::Network& network) override {
    return point_.around("ensure_network", [&] { return inner_.ensure_network(network); });
  }
  Status remove_network(const model::NetworkId& id) override {
    return point_.around("remove_network", [&] { return inner_.remove_network(id); });
  }
  // Events of the dead agent's hypervisor connection go nowhere; the next one listens itself.
  void on_event(std::function<void(const hypervisor::GuestEvent&)> handler) override {
    if (!point_.is_dead()) inner_.on_event(std::move(handler));
  }

 private:
  hypervisor::Hypervisor& inner_;
  CrashPoint& point_;
};

}  // namespace bridgehead::host_agent::testing
