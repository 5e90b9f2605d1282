#include "host_agent/pools.h"

#include <algorithm>

#include "host_agent/messages.h"

namespace bridgehead::host_agent {

PoolRegistry::PoolRegistry(Opener opener, Alive alive, PoolDeadlines deadlines)
    : opener_(std::move(opener)), alive_(std::move(alive)), deadlines_(deadlines) {}

Result<PoolHandle> PoolRegistry::handle(const Entry& entry) const {
  if (!entry.status.ready || !entry.images) {
    return fail_with_hint(ErrorCode::unavailable,
                          fmt::format("pool {} is not ready on this node: {}", entry.pool.name,
                                      entry.status.message.empty() ? "not attached" : entry.status.message),
                          "Put that right. A pool that was there before is tried again by the agent itself.");
  }
  return PoolHandle(entry.pool, entry.images, entry.limit, deadlines_, entry.status.abilities);
}

Result<PoolHandle> PoolRegistry::ensure(const model::Pool& pool) {
  std::unique_lock lock(mutex_);
  {
    auto& entry = entries_[pool.id];
    if (entry.status.ready) return handle(entry);
    if (entry.attaching) {
      if (!attached_.wait_for(lock, deadlines_.attach, [&] {
            const auto found = entries_.find(pool.id);
            return found == entries_.end() || !found->second.attaching;
          })) {
        return fail(ErrorCode::timeout, "pool {} is still being attached", pool.name);
      }
      const auto found = entries_.find(pool.id);
      if (found == entries_.end()) return fail(ErrorCode::not_found, "pool {} was removed meanwhile", pool.name);
      return handle(found->second);
    }
    entry.pool = pool;  // a pool's record never changes where it is or how it is mounted
    entry.pool.nodes.clear();
    entry.attaching = true;
    if (entry.status.message.empty()) entry.status.message = "it is being attached";
  }
  auto images = entries_[pool.id].images;
  const auto looks = entries_[pool.id].looks;
  lock.unlock();
  auto status = attach(pool, images, looks);
  lock.lock();
  attached_.notify_all();
  const auto found = entries_.find(pool.id);
  if (found == entries_.end()) {
    // Who removed it had nothing to let go of yet.
    [[maybe_unused]] const auto begun = let_go(pool.name, std::move(images));
    return fail(ErrorCode::not_found, "pool {} was removed meanwhile", pool.name);
  }
  auto& entry = found->second;
  entry.attaching = false;
  entry.images = std::move(images);
  if (!status) {
    note(entry, {.ready = false, .message = status.error().describe()});
    return forward(status);
  }
  note(entry, std::move(*status));
  return handle(entry);
}

Result<model::PoolOnNode> PoolRegistry::attach(const model::Pool& pool, std::shared_ptr<storage::ImagePool>& images,
                                               const std::shared_ptr<CallLimit>& looks) const {
  if (!images) {
    auto opened = opener_(pool);
    if (!opened) return forward(opened);
    images = std::move(*opened);
  }
  PendingCall<model::PoolOnNode> call(
      looks, "pool " + pool.name, [images, alive = alive_]() -> Result<model::PoolOnNode> {
        auto status = images->attach();
        if (!status.ready) return status;
        // What a killed import left behind; not a reason to do without the pool.
        if (auto collected = images->collect_garbage(alive); !collected) {
          log::warning(messages::cleanup_incomplete, "{}", collected.error().describe());
        }
        return status;
      });
  return call.wait(deadlines_.attach);
}

void PoolRegistry::note(Entry& entry, model::PoolOnNode status) const {
  if (status.ready && !entry.status.ready) {
    log::info(messages::pool_ready, "pool {} at {}{}: {} of {} available", entry.pool.name, entry.pool.source,
              entry.pool.path, status.available.human(), status.total.human());
  } else if (!status.ready && status.message != entry.status.message) {
    log::warning(messages::pool_not_ready, "pool {} at {}{}: {}", entry.pool.name, entry.pool.source, entry.pool.path,
                 status.message);
  }
  entry.status = std::move(status);
}

PendingCall<void> PoolRegistry::remove(const model::PoolId& id) {
  Entry removed;
  {
    const std::lock_guard lock(mutex_);
    if (auto entry = entries_.extract(id)) removed = std::move(entry.mapped());
    attached_.notify_all();
  }
  return let_go(removed.pool.name, std::move(removed.images));
}

// Not under the pool's limit: letting go is what ends calls that hang in it.
PendingCall<void> PoolRegistry::let_go(std::string name, std::shared_ptr<storage::ImagePool> images) {
  return PendingCall<void>(
      std::make_shared<CallLimit>(), "pool " + name, [images = std::move(images), name]() -> Status {
        if (!images) return {};
        auto detached = images->detach();
        if (!detached) log::warning(messages::cleanup_incomplete, "pool {}: {}", name, detached.error().describe());
        return detached;
      });
}

Result<PoolHandle> PoolRegistry::find(const model::PoolId& id) const {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(id);
  if (found == entries_.end()) return fail(ErrorCode::not_found, "this node has no pool {}", id);
  return handle(found->second);
}

void PoolRegistry::measure() {
  std::vector<std::pair<model::Pool, PendingCall<model::PoolOnNode>>> measured;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [id, entry] : entries_) {
      if (entry.attaching || !entry.status.ready) continue;
      measured.emplace_back(entry.pool,
                            PendingCall<model::PoolOnNode>(entry.looks, "pool " + entry.pool.name,
                                                           [images = entry.images] { return images->status(); }));
    }
  }
  const auto until = std::chrono::steady_clock::now() + deadlines_.status;
  for (auto& [pool, call] : measured) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
    auto status = call.wait(std::max(left, std::chrono::milliseconds(0)));
    const std::lock_guard lock(mutex_);
    const auto found = entries_.find(pool.id);
    if (found == entries_.end() || found->second.attaching) continue;
    note(found->second,
         status ? std::move(*status) : model::PoolOnNode{.ready = false, .message = status.error().describe()});
  }
}

void PoolRegistry::mend() {
  std::vector<model::Pool> broken;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [id, entry] : entries_) {
      // While an earlier look hangs in it, one more thread would only hang beside it.
      if (!entry.attaching && !entry.status.ready && entry.looks->open() == 0) broken.push_back(entry.pool);
    }
  }
  for (const auto& pool : broken) {
    // Noted in its status; whoever needs the pool gets the reason.
    [[maybe_unused]] const auto tried = ensure(pool);
  }
}

bool PoolRegistry::any_broken() const {
  const std::lock_guard lock(mutex_);
  return std::any_of(entries_.begin(), entries_.end(), [](const auto& each) { return !each.second.status.ready; });
}

std::map<model::PoolId, model::PoolOnNode> PoolRegistry::statuses() const {
  const std::lock_guard lock(mutex_);
  std::map<model::PoolId, model::PoolOnNode> all;
  for (const auto& [id, entry] : entries_) all.emplace(id, entry.status);
  return all;
}

}  // namespace bridgehead::host_agent
