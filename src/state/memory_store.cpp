#include "state/memory_store.h"

#include <map>
#include <mutex>
#include <shared_mutex>

#include "state/callback_list.h"

namespace bridgehead::state {
namespace {

class MemoryStore final : public StateStore {
 public:
  Result<Entry> get(std::string_view key) const override {
    const std::shared_lock lock(mutex_);
    const auto found = entries_.find(key);
    if (found == entries_.end()) return fail(ErrorCode::not_found, "there is no '{}' in the store", key);
    return Entry{found->first, found->second.value, found->second.revision};
  }

  Result<std::vector<Entry>> list(std::string_view prefix, std::size_t limit) const override {
    const std::shared_lock lock(mutex_);
    std::vector<Entry> result;
    for (auto at = entries_.lower_bound(prefix); at != entries_.end() && at->first.starts_with(prefix); ++at) {
      if (limit != 0 && result.size() == limit) break;
      result.push_back({at->first, at->second.value, at->second.revision});
    }
    return result;
  }

  Result<Revision> commit(const Transaction& transaction) override {
    const std::lock_guard order(order_mutex_);
    Commit commit;
    {
      const std::unique_lock lock(mutex_);
      for (const auto& condition : transaction.conditions()) {
        const auto found = entries_.find(condition.key);
        if (!holds(condition, found == entries_.end() ? 0 : found->second.revision)) return conflict_at(condition);
      }
      if (transaction.empty()) return revision_;
      ++revision_;
      for (const auto& change : transaction.changes()) {
        if (change.value) {
          entries_.insert_or_assign(change.key, Value{*change.value, revision_});
        } else {
          entries_.erase(change.key);
        }
      }
      commit = {revision_, transaction.changes()};
    }
    watchers_.call(commit);
    return commit.revision;
  }

  Revision revision() const override {
    const std::shared_lock lock(mutex_);
    return revision_;
  }

  std::unique_ptr<Watch> watch(Watcher watcher) override { return watchers_.add(std::move(watcher)); }

 private:
  struct Value {
    std::string value;
    Revision revision = 0;
  };

  std::mutex order_mutex_;  // held over a commit and its watchers; taken before mutex_
  mutable std::shared_mutex mutex_;
  std::map<std::string, Value, std::less<>> entries_;
  Revision revision_ = 0;
  CallbackList<const Commit&> watchers_;
};

}  // namespace

std::unique_ptr<StateStore> make_memory_store() { return std::make_unique<MemoryStore>(); }

}  // namespace bridgehead::state
