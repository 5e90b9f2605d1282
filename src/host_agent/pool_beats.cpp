#include "host_agent/pool_beats.h"

#include "model/pool.h"

namespace bridgehead::host_agent {

void PoolBeats::start(std::uint64_t count) {
  thread_ = std::thread([this, count] { run(count); });
}

void PoolBeats::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void PoolBeats::run(std::uint64_t count) {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    lock.unlock();
    beat(++count);
    lock.lock();
    wake_.wait_for(lock, every_, [this] { return stopping_; });
  }
}

void PoolBeats::beat(std::uint64_t count) {
  for (const auto& [id, status] : pools_.statuses()) {
    const auto pool = pools_.find(id);
    if (!pool || !model::is_shared(pool->pool().driver)) continue;
    auto& call = under_way_[id];
    if (call) {
      const auto ended = call->wait(std::chrono::milliseconds(0));
      if (!ended && ended.error().code == ErrorCode::timeout) continue;  // the last one hangs: no second thread for it
    }
    call.emplace(pool->begin<void>(
        [node = node_, count](storage::ImagePool& images) { return images.write_beat(node, count); }));
  }
}

}  // namespace bridgehead::host_agent
