#include "host_agent/housekeeper.h"

#include <malloc.h>

namespace bridgehead::host_agent {

bool differs_notably(const std::map<model::PoolId, model::PoolOnNode>& a,
                     const std::map<model::PoolId, model::PoolOnNode>& b) {
  const auto same = [](const auto& left, const auto& right) {
    const auto& [id, x] = left;
    const auto& [other, y] = right;
    const auto moved = std::max(x.available, y.available) - std::min(x.available, y.available);
    return id == other && x.ready == y.ready && x.message == y.message && x.abilities == y.abilities &&
           x.mounted == y.mounted && x.targets == y.targets && x.targets_down == y.targets_down && x.total == y.total &&
           moved.count() * 100 <= x.total.count();
  };
  return !std::equal(a.begin(), a.end(), b.begin(), b.end(), same);
}

Housekeeper::Housekeeper(PoolRegistry& pools, Duties duties, Intervals intervals)
    : pools_(pools), duties_(std::move(duties)), intervals_(intervals) {}

Housekeeper::~Housekeeper() { stop(); }

void Housekeeper::start() {
  thread_ = std::thread([this] { work(); });
  pool_watch_ = std::thread([this] { watch_pools(); });
}

void Housekeeper::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
  if (pool_watch_.joinable()) pool_watch_.join();
}

void Housekeeper::poke() {
  const std::lock_guard lock(mutex_);
  poked_ = true;
  wake_.notify_all();
}

bool Housekeeper::wait_for_facts(std::chrono::milliseconds timeout) {
  std::unique_lock lock(mutex_);
  return collected_.wait_for(lock, timeout, [this] { return have_facts_; });
}

bool Housekeeper::wait_for_all_facts(std::chrono::milliseconds timeout) {
  std::unique_lock lock(mutex_);
  return collected_.wait_for(lock, timeout, [this] { return have_all_facts_; });
}

model::NodeFacts Housekeeper::facts() const {
  const std::lock_guard lock(mutex_);
  return facts_;
}

void Housekeeper::work() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    lock.unlock();
    round();
    lock.lock();
    last_round_ = std::chrono::steady_clock::now();
    wake_.wait_for(lock, intervals_.round, [this] { return stopping_ || poked_; });
    poked_ = false;
  }
}

void Housekeeper::round() {
  auto [facts, all] = duties_.collect_facts();
  bool changed = false;
  {
    const std::lock_guard lock(mutex_);
    changed = !have_facts_ || facts != facts_;
    facts_ = std::move(facts);
    have_facts_ = true;
    have_all_facts_ = have_all_facts_ || all;
    collected_.notify_all();
  }
  pools_.mend();
  pools_.measure();
  tell_if_changed(changed);
  duties_.leftovers();
  ::malloc_trim(0);
}

void Housekeeper::watch_pools() {
  std::unique_lock lock(mutex_);
  while (!wake_.wait_for(lock, intervals_.look, [this] { return stopping_; })) {
    lock.unlock();
    pools_.measure();
    tell_if_changed(false);
    const bool broken = pools_.any_broken();
    lock.lock();
    if (broken && std::chrono::steady_clock::now() - last_round_ >= intervals_.mend) {
      poked_ = true;
      wake_.notify_all();
    }
  }
}

void Housekeeper::tell_if_changed(bool facts_changed) {
  auto pools = pools_.statuses();
  {
    const std::lock_guard lock(mutex_);
    if (!facts_changed && !differs_notably(pools, told_pools_)) return;
    told_pools_ = std::move(pools);
    if (!have_facts_) return;  // the first report brings them
  }
  duties_.changed();
}

}  // namespace bridgehead::host_agent
