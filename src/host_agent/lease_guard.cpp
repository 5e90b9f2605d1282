#include "host_agent/lease_guard.h"

#include <unistd.h>

#include <algorithm>
#include <fstream>

#include "availability/lease_text.h"
#include "base/file.h"
#include "host_agent/messages.h"
#include "model/pool.h"

namespace bridgehead::host_agent {

using availability::BootTime;
using availability::Span;
using availability::Terms;
using model::VmId;
using std::chrono::milliseconds;

namespace {

constexpr char kLeases[] = "leases";  // in the journal
constexpr Span kCheckWatchdogEvery{30'000};
constexpr Span kTryWatchdogAgain{600'000};  // one that couldn't be armed
constexpr milliseconds kPoolPatience{3'000};

availability::KeeperRecord kept_record(const Journal& journal) {
  const auto text = journal.meta(kLeases);
  if (text.empty()) return {};
  auto record = availability::keeper_record_from(text);
  if (record) return std::move(*record);
  log::error(messages::leases_unreadable, "{}", record.error().describe());
  return {};
}

availability::BootRecord kept_ends(const LeaseGuard::Options& options) {
  const auto text = read_file(options.ends_file, 1_MiB);
  if (!text) return {};
  return availability::boot_record_from(*text, options.boot).value_or(availability::BootRecord{});
}

// Not synced: it has to outlive this process, not the boot.
void write_ends(const std::filesystem::path& path, const std::string& text) {
  const auto fresh = path.native() + ".new";
  {
    std::ofstream file(fresh, std::ios::trunc);
    file << text;
    if (!file.flush()) return;  // after this process its leases have ended sooner
  }
  std::error_code error;
  std::filesystem::rename(fresh, path, error);
}

std::set<VmId> guests_of(const availability::KeeperRecord& record) {
  std::set<VmId> guests;
  for (const auto& [vm, held] : record.held) guests.insert(vm);
  return guests;
}

}  // namespace

// All that is held counts as running until somebody has looked.
LeaseGuard::LeaseGuard(Parts parts, Options options, const model::NodeId& node, RandomSource& random)
    : parts_(std::move(parts)),
      node_(node),
      options_(std::move(options)),
      keeper_({.node = node, .instance = random.next_u64() | (std::uint64_t{1} << 63)}, options_.timing,
              kept_record(parts_.journal), kept_ends(options_), guests_of(kept_record(parts_.journal))),
      watchdog_(options_.watchdog, options_.host_root),
      running_(guests_of(keeper_.record())) {
  for (const auto& vm : running_) {
    if (!parts_.journal.meta(stopped_alone(vm)).empty()) stopped_alone_.insert(vm);
  }
}

LeaseGuard::~LeaseGuard() { stop(); }

void LeaseGuard::start() {
  thread_ = std::thread([this] { run(); });
  pool_thread_ = std::thread([this] { run_pools(); });
}

void LeaseGuard::run() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    lock.unlock();
    look();
    lock.lock();
    if (!stopping_) wake_.wait_for(lock, options_.every);
  }
}

void LeaseGuard::run_pools() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    lock.unlock();
    read_pools();
    lock.lock();
    wake_.wait_for(lock, options_.read_pools_every, [this] { return stopping_; });
  }
}

void LeaseGuard::stop() {
  if (!thread_.joinable()) return;
  {
    std::unique_lock lock(mutex_);
    leaving_ = true;
    keeper_.set_watchdog(false);
    wake_.notify_all();
    if (!wake_.wait_for(lock, options_.leave_patience, [this] { return !keeper_.needs_watchdog(); })) {
      log::warning(messages::watchdog_stays_armed, "the manager didn't answer");
    }
    stopping_ = true;
  }
  wake_.notify_all();
  thread_.join();
  pool_thread_.join();
  stampers_.stop();
  stoppers_.stop();
  if (!keeper_.needs_watchdog()) watchdog_.disarm();
}

void LeaseGuard::answered(const std::string& text) {
  const auto answer = availability::answer_from(text);
  if (!answer) return log::warning(messages::manager_message_refused, "{}", answer.error().describe());
  std::vector<VmId> start;
  {
    const std::lock_guard lock(mutex_);
    keeper_.answered(*answer, options_.time());
    keep();
    for (const auto& grant : answer->grants) {
      const bool waits = stopped_alone_.contains(grant.vm) && !running_.contains(grant.vm) &&
                         !starting_.contains(grant.vm) && !stopping_;
      if (waits && grant.may_start) start.push_back(grant.vm);
    }
  }
  wake_.notify_all();
  for (const auto& vm : start) parts_.start_again(vm);
}

// --- a round ---

void LeaseGuard::look() {
  std::string renewal;
  bool watchdog_changed = false;
  {
    const std::lock_guard lock(mutex_);
    const auto now = options_.time();
    const auto before = no_watchdog_;
    see_guests();
    look_after_watchdog(now);
    auto duties = keeper_.tick(now, true);
    for (const auto& vm : duties.stop) {
      if (!being_stopped_.insert(vm).second) continue;
      note_stopped(vm, true);
      stoppers_.submit([this, vm] { stop_guest(vm); });
    }
    keep();
    if (kept_) {
      for (const auto& wanted : duties.restamp) begin_restamp(wanted);
    }
    if (duties.renew && kept_) renewal = availability::text_of(*duties.renew);
    watchdog_changed = no_watchdog_ != before;
  }
  if (!renewal.empty() && takes_) parts_.send(std::move(renewal));
  if (watchdog_changed) parts_.watchdog_changed();
}

void LeaseGuard::see_guests() {
  const auto running = parts_.running();
  if (!running) return;
  const auto held = guests_of(keeper_.record());
  for (const auto& vm : held) {
    if (starting_.contains(vm)) continue;
    if (running->contains(vm)) {
      if (running_.insert(vm).second) {
        keeper_.started(vm);
        if (!being_stopped_.contains(vm)) note_stopped(vm, false);
      }
    } else if (running_.erase(vm) > 0) {
      keeper_.stopped(vm);
    }
  }
  std::erase_if(running_, [&](const VmId& vm) { return !held.contains(vm); });
  for (const auto& vm : std::set(stopped_alone_)) {
    if (!held.contains(vm)) note_stopped(vm, false);
  }
}

void LeaseGuard::set_watchdog(std::string why_not) {
  if (no_watchdog_ != why_not && !why_not.empty()) log::info(messages::no_watchdog, "{}", why_not);
  no_watchdog_ = std::move(why_not);
  keeper_.set_watchdog(no_watchdog_.empty() && !leaving_);
}

void LeaseGuard::look_after_watchdog(BootTime now) {
  if (!watchdog_.armed() && now >= check_watchdog_at_) {
    check_watchdog_at_ = now + kCheckWatchdogEvery;
    const auto usable = watchdog_.check();
    set_watchdog(usable ? std::string() : usable.error().describe());
  }
  if (!keeper_.needs_watchdog()) return watchdog_.disarm();
  if (!watchdog_.armed() && no_watchdog_.empty()) {
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(options_.timing.watchdog);
    if (const auto armed = watchdog_.arm(seconds); !armed) {
      check_watchdog_at_ = now + kTryWatchdogAgain;
      set_watchdog(armed.error().describe());
    } else {
      log::info(messages::watchdog_armed, "{} s", seconds.count());
    }
  }
  if (!watchdog_.armed() || !keeper_.may_feed_watchdog(now)) return;
  if (const auto fed = watchdog_.feed(); !fed) set_watchdog(fed.error().describe());
}

// What is told must be known after a crash.
void LeaseGuard::keep() {
  const auto dirty = keeper_.take_changes();
  if (dirty.record || !kept_) {
    const auto kept = parts_.journal.set_meta(kLeases, availability::text_of(keeper_.record()));
    if (!kept) log::warning(messages::journal_failed, "{}", kept.error().describe());
    kept_ = kept.has_value();
  }
  if (dirty.boot) write_ends(options_.ends_file, availability::text_of(keeper_.boot(), options_.boot));
}

// Before it is: whoever sees it stopped must not take that for its owner's wish.
void LeaseGuard::note_stopped(const VmId& vm, bool stopped) {
  if (stopped ? !stopped_alone_.insert(vm).second : stopped_alone_.erase(vm) == 0) return;
  if (const auto kept = parts_.journal.set_meta(stopped_alone(vm), stopped ? "1" : ""); !kept) {
    log::warning(messages::journal_failed, "{}", kept.error().describe());
  }
}

void LeaseGuard::stop_guest(const VmId& vm) {
  log::warning(messages::guest_stopped_alone, "VM {}", vm);
  if (const auto stopped = parts_.hypervisor.power_off(vm); !stopped) {
    log::error(messages::guest_not_stopped, "VM {}: {}", vm, stopped.error().describe());
  }
  parts_.look(vm);
  const std::lock_guard lock(mutex_);
  being_stopped_.erase(vm);  // if it still runs it is stopped again
}

// --- stamps ---

void LeaseGuard::begin_restamp(const availability::Restamp& wanted) {
  {
    const std::lock_guard lock(restamping_->mutex);
    if (!restamping_->guests.insert(wanted.vm).second) return;
  }
  // Goes with the last call into a pool: what was given up on may still write, and must not do it over a newer one.
  std::shared_ptr<void> busy(nullptr, [all = restamping_, vm = wanted.vm](void*) {
    const std::lock_guard lock(all->mutex);
    all->guests.erase(vm);
  });
  stampers_.submit([this, wanted, busy = std::move(busy)] { restamp(wanted, busy); });
}

void LeaseGuard::restamp(const availability::Restamp& wanted, const std::shared_ptr<void>& busy) {
  auto pools = write_terms(wanted, busy);
  if (!pools) return log::info(messages::terms_not_stamped, "VM {}: {}", wanted.vm, pools.error().describe());
  {
    const std::lock_guard lock(mutex_);
    stamped_in_[wanted.vm] = std::move(*pools);
    keeper_.restamped(wanted);
    keep();
  }
  wake_.notify_all();
}

// The pools in which the guest's stamps say so now.
Result<std::set<model::PoolId>> LeaseGuard::write_terms(const availability::Restamp& wanted,
                                                        const std::shared_ptr<void>& busy) const {
  const auto applied = parts_.journal.applied(wanted.vm);
  if (!applied) return fail(ErrorCode::not_found, "where its disks are isn't known");
  std::vector<PendingCall<void>> calls;
  for (const auto& id : applied->pools) {
    const auto pool = parts_.pools.find(id);
    if (!pool) return forward(pool);
    const model::LeaseClaim own{
        .vm = wanted.vm, .node = node_, .token = wanted.token, .past = {}, .source = {}, .terms = wanted.terms};
    calls.push_back(pool->begin<void>([own, busy](storage::ImagePool& images) { return images.change_terms(own); }));
  }
  Status done;
  for (auto& call : calls) {
    auto changed = call.wait(kPoolPatience);
    // Where nothing is stamped by this lease, nothing says `stop` of it.
    const bool none = !changed && changed.error().code == ErrorCode::not_found;
    if (!changed && !(none && wanted.terms == model::LeaseTerms::keep)) done = std::move(changed);
  }
  if (!done) return forward(done);
  return std::set(applied->pools.begin(), applied->pools.end());
}

// --- the pools ---

void LeaseGuard::read_pools() {
  std::set<model::PoolId> ids;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& vm : running_) {
      if (!ends_by_time(vm)) continue;
      const auto applied = parts_.journal.applied(vm);
      if (!applied) return;  // where it should be read isn't known
      // A disk was moved, or this process doesn't know yet what is stamped.
      if (stamped_in_[vm] != std::set(applied->pools.begin(), applied->pools.end())) keeper_.pools_changed(vm);
      ids.insert(applied->pools.begin(), applied->pools.end());
    }
  }
  if (ids.empty()) return;
  const auto began = options_.time();
  using Claims = std::vector<std::uint64_t>;
  std::vector<PendingCall<Claims>> calls;
  for (const auto& id : ids) {
    const auto pool = parts_.pools.find(id);
    if (!pool) return;
    calls.push_back(pool->begin<Claims>(
        [node = node_](storage::ImagePool& images) -> Result<Claims> { return images.read_claims(node); }));
  }
  Claims claims;
  for (auto& call : calls) {
    const auto read = call.wait(kPoolPatience);
    if (!read) return;
    claims.insert(claims.end(), read->begin(), read->end());
  }
  const std::lock_guard lock(mutex_);
  keeper_.pool_read(std::move(claims), began, options_.time());
  keep();
}

// --- starts ---

bool LeaseGuard::ends_by_time(const VmId& vm) const {
  const auto held = keeper_.record().held.find(vm);
  return held != keeper_.record().held.end() && held->second.grant.terms == Terms::stop;
}

Status LeaseGuard::begin_start(const VmId& vm, std::stop_token stop) {
  std::unique_lock lock(mutex_);
  const auto deadline = options_.time() + options_.start_patience;
  for (;;) {
    if (!ends_by_time(vm)) return {};
    const auto now = options_.time();
    Status begun;
    if (const auto entry = keeper_.begin_start(vm, now); !entry) {
      begun = forward(entry);
    } else {
      starting_.insert(vm);
      keeper_.stamped(vm);  // that was before
      look_after_watchdog(now);
      keep();
      if (keeper_.may_run_now(vm, now) && watchdog_.armed()) return {};
      starting_.erase(vm);
      keeper_.not_started(vm);
      begun = fail(ErrorCode::failed_precondition, "the manager has not confirmed lately that the guest may run here");
    }
    if (now >= deadline || stop.stop_requested() || stopping_) return begun;
    wake_.wait_for(lock, options_.every);
  }
}

void LeaseGuard::end_start(const VmId& vm, bool started) {
  const std::lock_guard lock(mutex_);
  if (starting_.erase(vm) == 0) return;
  if (started) {
    running_.insert(vm);
    keeper_.started(vm);
    note_stopped(vm, false);
  } else {
    keeper_.not_started(vm);
  }
  keep();
}

std::string LeaseGuard::no_watchdog() const {
  const std::lock_guard lock(mutex_);
  return no_watchdog_;
}

}  // namespace bridgehead::host_agent
