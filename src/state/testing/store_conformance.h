// The conformance suite of StateStore: every backend inherits it, so that the code above can't tell them apart.
//   struct MyBackend { std::unique_ptr<StateStore> open(); };   // a fresh, empty store; the backend outlives it
//   INSTANTIATE_TYPED_TEST_SUITE_P(My, StoreConformance, MyBackend);
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <latch>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "state/testing/store_helpers.h"

namespace bridgehead::state::testing {

template <typename Backend>
class StoreConformance : public ::testing::Test {
 protected:
  Backend backend_;
  std::unique_ptr<StateStore> owned_ = backend_.open();
  StateStore& store() { return *owned_; }

  template <typename Work>
  static void in_threads(int count, Work work) {
    std::vector<std::jthread> threads;
    std::latch start(count);
    for (int i = 0; i < count; ++i) {
      threads.emplace_back([&, i] {
        start.arrive_and_wait();
        work(i);
      });
    }
  }
};

TYPED_TEST_SUITE_P(StoreConformance);

TYPED_TEST_P(StoreConformance, StartsEmpty) {
  auto& store = this->store();
  EXPECT_EQ(store.revision(), 0u);
  EXPECT_EQ(store.get("vm/1").error().code, ErrorCode::not_found);
  EXPECT_TRUE(store.list("")->empty());
}

TYPED_TEST_P(StoreConformance, PutsReadsAndErases) {
  auto& store = this->store();
  EXPECT_EQ(must_put(store, "a", "1"), 1u);
  EXPECT_EQ(must_commit(store, Transaction().put("b", "2").put("c", "3")), 2u);
  EXPECT_EQ(store.get("a").value(), (Entry{"a", "1", 1}));
  EXPECT_EQ(store.get("c").value(), (Entry{"c", "3", 2}));
  EXPECT_EQ(must_commit(store, Transaction().put("a", "new").erase("b")), 3u);
  EXPECT_EQ(store.get("a").value(), (Entry{"a", "new", 3}));
  EXPECT_FALSE(store.get("b"));
  EXPECT_EQ(must_commit(store, Transaction().erase("never there")), 4u);
  EXPECT_EQ(store.revision(), 4u);
}

TYPED_TEST_P(StoreConformance, KeepsAnyValue) {
  auto& store = this->store();
  std::string all_bytes;
  for (int i = 0; i < 256; ++i) all_bytes += static_cast<char>(i);
  const std::string large(3 << 20, 'x');
  must_commit(store, Transaction().put("empty", "").put("bytes", all_bytes).put("large", large));
  EXPECT_EQ(store.get("empty")->value, "");
  EXPECT_EQ(store.get("bytes")->value, all_bytes);
  EXPECT_EQ(store.get("large")->value, large);
}

TYPED_TEST_P(StoreConformance, ConditionsHoldOrNothingChanges) {
  auto& store = this->store();
  const auto first = must_put(store, "a", "1");
  const auto expect_conflict = [&](const Transaction& transaction, std::string_view key) {
    const auto before = store.revision();
    const auto committed = store.commit(transaction);
    ASSERT_FALSE(committed);
    EXPECT_EQ(committed.error().code, ErrorCode::conflict);
    EXPECT_NE(committed.error().message.find(key), std::string::npos) << committed.error().message;
    EXPECT_EQ(store.revision(), before);
    EXPECT_FALSE(store.get("other"));
  };
  expect_conflict(Transaction().put("other", "x").expect("a", 0).put("a", "2"), "'a'");
  expect_conflict(Transaction().put("other", "x").expect("a", first + 1).put("a", "2"), "'a'");
  expect_conflict(Transaction().put("other", "x").expect("none", first), "'none'");
  expect_conflict(Transaction().put("other", "x").expect_exists("none"), "'none'");
  expect_conflict(Transaction().put("other", "x").expect("a", first).expect("none", 7), "'none'");
  EXPECT_EQ(value_of(store, "a"), "1");

  must_commit(store, Transaction().expect("a", first).expect("b", 0).expect_exists("a").put("a", "2").put("b", "new"));
  EXPECT_EQ(value_of(store, "a"), "2");
  EXPECT_EQ(value_of(store, "b"), "new");
}

TYPED_TEST_P(StoreConformance, AConditionIsAboutTheStateBeforeTheTransaction) {
  auto& store = this->store();
  must_commit(store, Transaction().put("a", "1").expect("a", 0));
  EXPECT_EQ(store.commit(Transaction().erase("a").expect("a", 0)).error().code, ErrorCode::conflict);
}

TYPED_TEST_P(StoreConformance, ARecreatedKeyIsNotTheOldOne) {
  auto& store = this->store();
  const auto old = must_put(store, "a", "1");
  must_commit(store, Transaction().erase("a"));
  must_put(store, "a", "1");
  EXPECT_EQ(store.commit(Transaction().expect("a", old).put("a", "2")).error().code, ErrorCode::conflict);
}

TYPED_TEST_P(StoreConformance, TheLastChangeOfAKeyCounts) {
  auto& store = this->store();
  must_commit(store, Transaction().put("a", "1").put("a", "2").put("b", "1").erase("b").erase("c").put("c", "3"));
  EXPECT_EQ(value_of(store, "a"), "2");
  EXPECT_FALSE(store.get("b"));
  EXPECT_EQ(value_of(store, "c"), "3");
}

TYPED_TEST_P(StoreConformance, ATransactionWithoutChangesOnlyChecks) {
  auto& store = this->store();
  const auto revision = must_put(store, "a", "1");
  int told = 0;
  const auto watch = store.watch([&](const Commit&) { ++told; });
  EXPECT_EQ(must_commit(store, Transaction()), revision);
  EXPECT_EQ(must_commit(store, Transaction().expect("a", revision)), revision);
  EXPECT_EQ(store.commit(Transaction().expect("a", 0)).error().code, ErrorCode::conflict);
  EXPECT_EQ(store.revision(), revision);
  EXPECT_EQ(told, 0);
}

TYPED_TEST_P(StoreConformance, ListsByPrefixInByteOrder) {
  auto& store = this->store();
  const std::string nul("vm/\0x", 5);
  const std::vector<std::string> sorted = {
      "VM/upper", "vm",   "vm.",    nul,           "vm/%",    "vm/'; DROP TABLE entries; --",
      "vm/_",     "vm/a", "vm/a/b", "vm/\xc3\xa9", "vm/\xff", "vm/\xff\xff",
      "vm0",      "vn",   "\xff",   "\xff\xff\xff"};
  Transaction all;
  for (auto key = sorted.rbegin(); key != sorted.rend(); ++key) all.put(*key, *key);
  must_commit(store, all);
  using Keys = std::vector<std::string>;
  EXPECT_EQ(keys_of(store, ""), sorted);
  EXPECT_EQ(keys_of(store, "vm/"), Keys(sorted.begin() + 3, sorted.begin() + 12));
  EXPECT_EQ(keys_of(store, "vm/", 2), Keys(sorted.begin() + 3, sorted.begin() + 5));
  EXPECT_EQ(keys_of(store, "vm/a"), (Keys{"vm/a", "vm/a/b"}));
  EXPECT_EQ(keys_of(store, "vm/%"), (Keys{"vm/%"}));
  EXPECT_EQ(keys_of(store, "vm/_"), (Keys{"vm/_"}));
  EXPECT_EQ(keys_of(store, nul), (Keys{nul}));
  EXPECT_EQ(keys_of(store, "vm/\xff"), (Keys{"vm/\xff", "vm/\xff\xff"}));
  EXPECT_EQ(keys_of(store, "\xff"), (Keys{"\xff", "\xff\xff\xff"}));
  EXPECT_EQ(keys_of(store, "\xff\xff"), (Keys{"\xff\xff\xff"}));
  EXPECT_EQ(keys_of(store, "nothing"), Keys());
  for (const auto& key : sorted) EXPECT_EQ(value_of(store, key), key);
}

TYPED_TEST_P(StoreConformance, ConcurrentCompareAndSetLosesNothing) {
  auto& store = this->store();
  constexpr int kThreads = 8;
  constexpr int kEach = 40;
  must_put(store, "n", "0");
  this->in_threads(kThreads, [&](int) {
    for (int done = 0; done < kEach;) {
      const auto read = store.get("n");
      ASSERT_TRUE(read);
      Transaction next;
      next.expect("n", read->revision).put("n", std::to_string(std::stoi(read->value) + 1));
      const auto committed = store.commit(next);
      if (committed)
        ++done;
      else
        ASSERT_EQ(committed.error().code, ErrorCode::conflict) << committed.error().describe();
    }
  });
  EXPECT_EQ(value_of(store, "n"), std::to_string(kThreads * kEach));
  EXPECT_EQ(store.revision(), 1u + kThreads * kEach);
}

TYPED_TEST_P(StoreConformance, OnlyOneOfManyCreatesOneKey) {
  auto& store = this->store();
  std::atomic<int> winners = 0;
  this->in_threads(16, [&](int i) {
    const auto committed = store.commit(Transaction().expect("name/vm/web", 0).put("name/vm/web", std::to_string(i)));
    if (committed) ++winners;
  });
  EXPECT_EQ(winners, 1);
  EXPECT_EQ(store.revision(), 1u);
}

TYPED_TEST_P(StoreConformance, WatchersSeeEveryCommitOnceInOrderBeforeItsEnd) {
  auto& store = this->store();
  constexpr int kThreads = 8;
  constexpr int kEach = 30;
  std::mutex mutex;
  std::vector<Commit> seen;
  const auto watch = store.watch([&](const Commit& commit) {
    const std::lock_guard lock(mutex);
    seen.push_back(commit);
  });
  this->in_threads(kThreads, [&](int thread) {
    for (int i = 0; i < kEach; ++i) {
      const auto key = fmt::format("{}/{}", thread, i);
      const auto revision = must_commit(store, Transaction().put(key, "v").erase("x"));
      const std::lock_guard lock(mutex);
      ASSERT_GE(seen.size(), revision);
      ASSERT_EQ(seen[revision - 1].changes, (std::vector<Change>{{key, "v"}, {"x", std::nullopt}}));
    }
  });
  ASSERT_EQ(seen.size(), static_cast<std::size_t>(kThreads * kEach));
  for (std::size_t i = 0; i < seen.size(); ++i) EXPECT_EQ(seen[i].revision, i + 1);
}

TYPED_TEST_P(StoreConformance, AWatchEndsWithItsHandle) {
  auto& store = this->store();
  int first = 0;
  int second = 0;
  auto watch_first = store.watch([&](const Commit&) { ++first; });
  auto watch_second = store.watch([&](const Commit&) { ++second; });
  must_put(store, "a", "1");
  EXPECT_FALSE(store.commit(Transaction().expect("a", 0).put("a", "2")));
  watch_first.reset();
  must_put(store, "a", "2");
  EXPECT_EQ(first, 1);
  EXPECT_EQ(second, 2);
  this->owned_.reset();  // a handle may outlive its store
  watch_second.reset();
}

TYPED_TEST_P(StoreConformance, ReadersSeeWholeTransactions) {
  auto& store = this->store();
  must_commit(store, Transaction().put("pair/a", "0").put("pair/b", "0"));
  std::atomic<bool> done = false;
  std::jthread reader([&] {
    while (!done) {
      const auto pair = store.list("pair/");
      ASSERT_TRUE(pair);
      ASSERT_EQ(pair->size(), 2u);
      ASSERT_EQ((*pair)[0].value, (*pair)[1].value);
    }
  });
  for (int i = 1; i <= 100; ++i) {
    must_commit(store, Transaction().put("pair/a", std::to_string(i)).put("pair/b", std::to_string(i)));
  }
  done = true;
}

REGISTER_TYPED_TEST_SUITE_P(StoreConformance, StartsEmpty, PutsReadsAndErases, KeepsAnyValue,
                            ConditionsHoldOrNothingChanges, AConditionIsAboutTheStateBeforeTheTransaction,
                            ARecreatedKeyIsNotTheOldOne, TheLastChangeOfAKeyCounts,
                            ATransactionWithoutChangesOnlyChecks, ListsByPrefixInByteOrder,
                            ConcurrentCompareAndSetLosesNothing, OnlyOneOfManyCreatesOneKey,
                            WatchersSeeEveryCommitOnceInOrderBeforeItsEnd, AWatchEndsWithItsHandle,
                            ReadersSeeWholeTransactions);

}  // namespace bridgehead::state::testing
