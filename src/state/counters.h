// Counters: numbers that are never given twice, whatever crashes. Thread-safe.
// Blocks are reserved in the store, numbers given from memory: so concurrent edits never conflict over a counter, and
// few cost a commit. The rest of a block is lost at a restart, which leaves gaps.
#pragma once

#include <map>
#include <mutex>
#include <string>

#include "state/state_store.h"

namespace bridgehead::state {

class Counters {
 public:
  explicit Counters(StateStore& store) : store_(store) {}
  // Large enough that a burst of creates needs one write, small enough that restarts waste little of 2^24 MAC
  // addresses.
  static constexpr std::uint64_t kAhead = 63;

  // The first of `count` numbers in a row; 1 at the very first. `ahead`: how many more are reserved when it has to be,
  // so the largest gap that a restart leaves. Errors: the store's.
  Result<std::uint64_t> take(std::string_view name, std::uint64_t count, std::uint64_t ahead = kAhead);

 private:
  struct Counter {
    std::uint64_t next = 1;
    std::uint64_t reserved = 0;  // the last number that the store knows to be taken
    Revision revision = 0;
  };
  Status load(const std::string& key, Counter& counter) const;
  Status reserve(const std::string& key, Counter& counter, std::uint64_t last, std::uint64_t ahead);

  StateStore& store_;
  std::mutex mutex_;
  std::map<std::string, Counter, std::less<>> counters_;
};

}  // namespace bridgehead::state
