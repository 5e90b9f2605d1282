// ActiveOwners: which operations and images this process works on now. Two calls for one owner come one after the
// other; garbage collection leaves the staged files of active owners alone. Thread-safe.
#pragma once

#include <condition_variable>
#include <mutex>
#include <set>
#include <string>

namespace bridgehead::storage {

class ActiveOwners {
 public:
  class Entry {
   public:
    Entry(ActiveOwners& owners, std::string owner) : owners_(owners), owner_(std::move(owner)) {
      std::unique_lock lock(owners_.mutex_);
      owners_.changed_.wait(lock, [this] { return !owners_.owners_.contains(owner_); });
      owners_.owners_.insert(owner_);
    }
    ~Entry() {
      const std::lock_guard lock(owners_.mutex_);
      owners_.owners_.erase(owner_);
      owners_.changed_.notify_all();
    }
    Entry(const Entry&) = delete;
    Entry& operator=(const Entry&) = delete;

   private:
    ActiveOwners& owners_;
    const std::string owner_;
  };

  // Runs `work` unless the owner is active; nobody becomes active meanwhile.
  template <typename Work>
  void unless_active(const std::string& owner, Work&& work) const {
    const std::lock_guard lock(mutex_);
    if (!owners_.contains(owner)) work();
  }

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::set<std::string> owners_;
};

}  // namespace bridgehead::storage
