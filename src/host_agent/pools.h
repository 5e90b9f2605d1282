// PoolRegistry: the pools that this node should have, opened and attached, and what is known about each.
// Every call into a pool goes through PoolHandle with a deadline, so that a hung pool costs a bounded number of threads
// and never blocks heartbeats, other pools or other guests. Thread-safe.
#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "host_agent/deadline_call.h"
#include "model/pool.h"
#include "storage/image_pool.h"

namespace bridgehead::host_agent {

struct PoolDeadlines {
  std::chrono::milliseconds attach{std::chrono::seconds(60)};
  std::chrono::milliseconds status{std::chrono::seconds(8)};
  std::chrono::milliseconds call{std::chrono::minutes(2)};     // create, grow, remove, lease
  std::chrono::milliseconds survey{std::chrono::seconds(30)};  // of layouts
  std::chrono::milliseconds cancel{std::chrono::seconds(30)};  // how long a cancelled import may take to give up
};

// An attached pool, shared: it stays usable for who holds it even when it is removed from the registry meanwhile.
class PoolHandle {
 public:
  PoolHandle(model::Pool pool, std::shared_ptr<storage::ImagePool> images, std::shared_ptr<CallLimit> limit,
             PoolDeadlines deadlines, model::PoolAbilities abilities)
      : pool_(std::move(pool)),
        images_(std::move(images)),
        limit_(std::move(limit)),
        deadlines_(deadlines),
        abilities_(std::move(abilities)) {}

  const model::Pool& pool() const { return pool_; }
  const model::PoolAbilities& abilities() const { return abilities_; }

  // begin(...) lets several calls run side by side.
  template <typename T>
  PendingCall<T> begin(std::function<Result<T>(storage::ImagePool&)> work) const {
    return PendingCall<T>(limit_, "pool " + pool_.name,
                          [images = images_, work = std::move(work)] { return work(*images); });
  }
  template <typename T>
  Result<T> call(std::function<Result<T>(storage::ImagePool&)> work) const {
    return begin<T>(std::move(work)).wait(deadlines_.call);
  }
  const PoolDeadlines& deadlines() const { return deadlines_; }

 private:
  model::Pool pool_;
  std::shared_ptr<storage::ImagePool> images_;
  std::shared_ptr<CallLimit> limit_;
  PoolDeadlines deadlines_;
  model::PoolAbilities abilities_;
};

class PoolRegistry {
 public:
  using Opener = std::function<Result<std::unique_ptr<storage::ImagePool>>(const model::Pool&)>;
  // Whether an operation is unfinished: what it has in a pool's tmp/ is no garbage.
  using Alive = std::function<bool(const model::OperationId&)>;

  PoolRegistry(Opener opener, Alive alive, PoolDeadlines deadlines = {});

  // Opens and attaches it unless it is attached already; waits for an attach that another caller has begun.
  // Errors: unavailable with the reason when it isn't ready, timeout when it hangs.
  Result<PoolHandle> ensure(const model::Pool& pool);
  // Forgets it at once and lets go of it: what was mounted is unmounted, which may be waited for. No image in it is
  // touched. Unknown is success.
  PendingCall<void> remove(const model::PoolId& id);
  // Attached; or not_found.
  Result<PoolHandle> find(const model::PoolId& id) const;

  // Looks at all that are ready: space, targets, whether they are still mounted and answer. Blocks for the status
  // deadline at most.
  void measure();
  // Tries those that aren't ready once more, which mounts again what was lost. Blocks for the attach deadline of each.
  void mend();
  bool any_broken() const;
  std::map<model::PoolId, model::PoolOnNode> statuses() const;
  const PoolDeadlines& deadlines() const { return deadlines_; }

 private:
  struct Entry {
    model::Pool pool;
    std::shared_ptr<storage::ImagePool> images;
    std::shared_ptr<CallLimit> limit = std::make_shared<CallLimit>();
    std::shared_ptr<CallLimit> looks = std::make_shared<CallLimit>();  // attach and status: an import is no hung call
    model::PoolOnNode status;
    bool attaching = false;
  };

  Result<PoolHandle> handle(const Entry& entry) const;
  Result<model::PoolOnNode> attach(const model::Pool& pool, std::shared_ptr<storage::ImagePool>& images,
                                   const std::shared_ptr<CallLimit>& looks) const;
  void note(Entry& entry, model::PoolOnNode status) const;
  static PendingCall<void> let_go(std::string name, std::shared_ptr<storage::ImagePool> images);

  const Opener opener_;
  const Alive alive_;
  const PoolDeadlines deadlines_;
  mutable std::mutex mutex_;
  std::condition_variable attached_;
  std::map<model::PoolId, Entry> entries_;
};

}  // namespace bridgehead::host_agent
