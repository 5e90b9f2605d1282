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
           x.total == y.total && moved.count() * 100 <= x.total.count();
  };
  return !std::equal(a.begin(), a.end(), b.begin(), b.end(), same);
}

Housekeeper::Housekeeper(PoolRegistry& pools, Duties duties, std::chrono::milliseconds interval)
    : pools_(pools), duties_(std::move(duties)), interval_(interval) {}

Housekeeper::~Housekeeper() { stop(); }

void Housekeeper::start() {
  thread_ = std::thread([this] { work(); });
}

void Housekeeper::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
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
    wake_.wait_for(lock, interval_, [this] { return stopping_ || poked_; });
    poked_ = false;
  }
}

void Housekeeper::round() {
  auto facts = duties_.collect_facts();
  bool changed = false;
  {
    const std::lock_guard lock(mutex_);
    changed = !have_facts_ || facts != facts_;
    facts_ = std::move(facts);
    have_facts_ = true;
    collected_.notify_all();
  }
  pools_.refresh();
  auto pools = pools_.statuses();
  if (changed || differs_notably(pools, told_pools_)) {
    told_pools_ = std::move(pools);
    duties_.changed();
  }
  duties_.leftovers();
  ::malloc_trim(0);
}

}  // namespace bridgehead::host_agent
