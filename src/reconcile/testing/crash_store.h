// CrashStore: a store whose process can be killed between any two commits: after `crash_after(n)` the n-th commit from
// then and all later ones fail, as far as that process is concerned; what was committed stays. One thread only.
#pragma once

#include <optional>

#include "state/state_store.h"

namespace bridgehead::reconcile::testing {

class CrashStore final : public state::StateStore {
 public:
  explicit CrashStore(state::StateStore& real) : real_(real) {}

  void crash_after(std::optional<std::size_t> commits) { left_ = commits; }
  bool crashed() const { return left_ && *left_ == 0; }

  Result<state::Entry> get(std::string_view key) const override { return real_.get(key); }
  Result<std::vector<state::Entry>> list(std::string_view prefix, std::size_t limit) const override {
    return real_.list(prefix, limit);
  }
  Result<state::Revision> commit(const state::Transaction& transaction) override {
    if (left_) {
      if (*left_ == 0) return fail(ErrorCode::io_error, "the process is dead");
      --*left_;
    }
    return real_.commit(transaction);
  }
  state::Revision revision() const override { return real_.revision(); }
  std::unique_ptr<Watch> watch(state::Watcher watcher) override { return real_.watch(std::move(watcher)); }

 private:
  state::StateStore& real_;
  std::optional<std::size_t> left_;
};

}  // namespace bridgehead::reconcile::testing
