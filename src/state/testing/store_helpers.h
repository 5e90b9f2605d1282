// Short forms for tests that use a StateStore and don't expect it to fail.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "state/state_store.h"

namespace bridgehead::state::testing {

inline Revision must_commit(StateStore& store, const Transaction& transaction) {
  const auto committed = store.commit(transaction);
  EXPECT_TRUE(committed) << committed.error().describe();
  return committed.value_or(0);
}

inline Revision must_put(StateStore& store, std::string key, std::string value) {
  return must_commit(store, Transaction().put(std::move(key), std::move(value)));
}

// "" when there is none.
inline std::string value_of(const StateStore& store, std::string_view key) {
  const auto entry = store.get(key);
  return entry ? entry->value : std::string();
}

inline std::vector<std::string> keys_of(const StateStore& store, std::string_view prefix, std::size_t limit = 0) {
  std::vector<std::string> keys;
  const auto entries = store.list(prefix, limit);
  EXPECT_TRUE(entries) << entries.error().describe();
  if (entries) {
    for (const auto& entry : *entries) keys.push_back(entry.key);
  }
  return keys;
}

}  // namespace bridgehead::state::testing
