// StateStore: a small transactional key-value store with revisions; everything the manager keeps is in here.
// Keys are text like "vm/<id>"; values are what model/codec.h writes. Implementations are thread-safe and pass the
// conformance suite in testing/. Modelled on etcd's interface, so that etcd can stand behind it later.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"

namespace bridgehead::state {

// Grows by one with each committed transaction; 0 = never written.
using Revision = std::uint64_t;

// In a condition: the key exists, whatever it holds.
inline constexpr Revision kAnyRevision = ~Revision{0};

struct Entry {
  std::string key;
  std::string value;
  Revision revision = 0;  // of the transaction that wrote it last
  bool operator==(const Entry&) const = default;
};

struct Change {
  std::string key;
  std::optional<std::string> value;  // empty = deleted
  bool operator==(const Change&) const = default;
};

// All conditions hold, or nothing is changed. They are about the state before it. Of several changes of one key the
// last counts. Without changes it only checks: the revision doesn't grow. Plain value.
class Transaction {
 public:
  // Condition: `key` still is as it was read at `revision`; 0 = it doesn't exist.
  Transaction& expect(std::string key, Revision revision);
  Transaction& expect_exists(std::string key);
  Transaction& put(std::string key, std::string value);
  Transaction& erase(std::string key);

  struct Condition {
    std::string key;
    Revision revision;
  };
  const std::vector<Condition>& conditions() const { return conditions_; }
  const std::vector<Change>& changes() const { return changes_; }
  bool empty() const { return changes_.empty(); }

 private:
  std::vector<Condition> conditions_;
  std::vector<Change> changes_;
};

// For implementations: does the condition hold for a key found at this revision (0 = not found), and the error if not.
bool holds(const Transaction::Condition& condition, Revision found);
tl::unexpected<Error> conflict_at(const Transaction::Condition& condition);

struct Commit {
  Revision revision = 0;
  std::vector<Change> changes;
};

// Called after each commit, in order, from the committing thread while the store's order lock is held: must be quick
// and must not call the store.
using Watcher = std::function<void(const Commit&)>;

class StateStore {
 public:
  virtual ~StateStore() = default;

  // not_found when there is none.
  virtual Result<Entry> get(std::string_view key) const = 0;
  // All keys that begin with `prefix`, in key order; `limit` 0 = all.
  virtual Result<std::vector<Entry>> list(std::string_view prefix, std::size_t limit = 0) const = 0;
  // Durable when it returns. conflict when a condition doesn't hold (nothing was changed); resource_exhausted when the
  // disk is full (nothing was changed, the store stays usable).
  virtual Result<Revision> commit(const Transaction& transaction) = 0;
  virtual Revision revision() const = 0;
  // Why the newest commit could not be written; none once one was written again. Conflicts are none of it.
  virtual std::optional<Error> write_error() const { return {}; }

  // Until the returned handle is destroyed (which waits for a call that is running, so not inside the watcher itself).
  class Watch {
   public:
    virtual ~Watch() = default;
  };
  virtual std::unique_ptr<Watch> watch(Watcher watcher) = 0;
};

}  // namespace bridgehead::state
