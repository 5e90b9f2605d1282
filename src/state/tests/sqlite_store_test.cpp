// What only the durable store has: a file that outlives processes, is damaged, locked, full, older or newer.
#include "state/sqlite_store.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <csignal>
#include <fstream>
#include <set>

#include "base/file.h"
#include "state/sqlite_schema.h"
#include "state/testing/store_helpers.h"

namespace bridgehead::state {
namespace {

using testing::must_commit;
using testing::must_put;
using testing::value_of;

class SqliteStoreTest : public ::testing::Test {
 protected:
  Result<std::unique_ptr<StateStore>> open(SqliteStoreOptions options = {}) {
    return open_sqlite_store(path_, options);
  }
  std::unique_ptr<StateStore> must_open() {
    auto store = open();
    EXPECT_TRUE(store) << store.error().describe();
    return store ? std::move(*store) : nullptr;
  }
  void expect_refused(ErrorCode code, std::string_view part) {
    const auto store = open();
    ASSERT_FALSE(store);
    EXPECT_EQ(store.error().code, code) << store.error().describe();
    EXPECT_NE(store.error().describe().find(part), std::string::npos) << store.error().describe();
    EXPECT_NE(store.error().message.find(path_.native()), std::string::npos) << store.error().describe();
  }

  TemporaryDirectory directory_ = TemporaryDirectory::create("state-test").value();
  std::filesystem::path path_ = directory_.path() / "state.db";
};

TEST_F(SqliteStoreTest, KeepsEverythingOverAReopen) {
  auto store = must_open();
  must_put(*store, "a", "1");
  must_commit(*store, Transaction().put("b", "2").put("c", "3"));
  must_commit(*store, Transaction().erase("c"));
  store.reset();
  store = must_open();
  EXPECT_EQ(store->revision(), 3u) << "the revision of an erased key must not be given again";
  EXPECT_EQ(store->get("b").value(), (Entry{"b", "2", 2}));
  EXPECT_FALSE(store->get("c"));
  EXPECT_EQ(must_put(*store, "d", "4"), 4u);
}

TEST_F(SqliteStoreTest, IsReadableForItsOwnerOnly) {
  const auto store = must_open();
  must_put(*store, "a", "1");
  for (const char* suffix : {"", "-wal", "-shm", ".lock"}) {
    struct stat status {};
    ASSERT_EQ(::stat((path_.native() + suffix).c_str(), &status), 0) << suffix;
    EXPECT_EQ(status.st_mode & 0777, 0600u) << suffix;
  }
}

TEST_F(SqliteStoreTest, HasOneProcessAtATime) {
  auto store = must_open();
  expect_refused(ErrorCode::failed_precondition, fmt::format("in use by another process, number {}", ::getpid()));
  must_put(*store, "still", "works");
  store.reset();
  EXPECT_TRUE(open());
}

TEST_F(SqliteStoreTest, NeedsItsDirectory) {
  const auto store = open_sqlite_store(directory_.path() / "none" / "state.db");
  ASSERT_FALSE(store);
  EXPECT_EQ(store.error().code, ErrorCode::not_found);
  EXPECT_NE(store.error().message.find("none"), std::string::npos);
}

TEST_F(SqliteStoreTest, AFullFileChangesNothingAndStaysUsable) {
  auto store = open({.max_pages = 64}).value();
  must_put(*store, "small", "before");
  const auto before = store->revision();
  Transaction large;
  large.put("small", "after").put("large", std::string(1 << 20, 'x'));
  const auto full = store->commit(large);
  ASSERT_FALSE(full);
  EXPECT_EQ(full.error().code, ErrorCode::resource_exhausted) << full.error().describe();
  EXPECT_FALSE(full.error().hint.empty());
  EXPECT_EQ(store->revision(), before);
  EXPECT_EQ(value_of(*store, "small"), "before");
  EXPECT_EQ(must_put(*store, "small", "usable"), before + 1);

  // Fill it up in small steps, free some, go on.
  int kept = 0;
  while (store->commit(Transaction().put(fmt::format("fill/{}", kept), std::string(8000, 'y'))))
    ASSERT_LT(++kept, 1000);
  ASSERT_GT(kept, 5);
  must_commit(*store, Transaction().erase("fill/0").erase("fill/1"));
  must_put(*store, "fill/again", std::string(8000, 'z'));
  store.reset();
  EXPECT_EQ(must_open()->list("fill/")->size(), static_cast<std::size_t>(kept - 1));
}

TEST_F(SqliteStoreTest, OneTooLargeCommitDoesNotFailItsNeighbours) {
  auto store = open({.max_pages = 128}).value();
  std::atomic<int> failed = 0;
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 12; ++i) {
      threads.emplace_back([&, i] {
        const bool large = i % 3 == 0;
        const auto committed =
            store->commit(Transaction().put(fmt::format("{}", i), std::string(large ? 1 << 20 : 10, 'x')));
        EXPECT_NE(committed.has_value(), large);
        if (!committed) ++failed;
      });
    }
  }
  EXPECT_EQ(failed, 4);
  EXPECT_EQ(store->list("")->size(), 8u);
  EXPECT_EQ(store->revision(), 8u);
}

TEST_F(SqliteStoreTest, RefusesWhatIsNoDatabase) {
  const std::string text = "This is a letter, not a database. " + std::string(5000, '.');
  std::ofstream(path_) << text;
  expect_refused(ErrorCode::data_corrupt, "not a database");
  EXPECT_EQ(read_file(path_).value(), text);
}

TEST_F(SqliteStoreTest, RefusesADamagedFile) {
  {
    auto store = must_open();
    for (int i = 0; i < 200; ++i) must_put(*store, fmt::format("vm/{}", i), std::string(500, 'v'));
  }
  std::string bytes = read_file(path_).value();
  ASSERT_GT(bytes.size(), 60000u);
  for (std::size_t at = 8192; at < 8192 + 20000; ++at) bytes[at] = static_cast<char>(at * 7);
  std::ofstream(path_, std::ios::binary | std::ios::trunc) << bytes;
  expect_refused(ErrorCode::data_corrupt, "restore it from a backup");
  EXPECT_EQ(read_file(path_).value(), bytes);
}

TEST_F(SqliteStoreTest, RefusesATruncatedFile) {
  {
    auto store = must_open();
    for (int i = 0; i < 200; ++i) must_put(*store, fmt::format("vm/{}", i), std::string(500, 'v'));
  }
  std::filesystem::resize_file(path_, 20000);
  expect_refused(ErrorCode::data_corrupt, "restore it from a backup");
}

TEST_F(SqliteStoreTest, RefusesSomebodyElsesDatabase) {
  std::ofstream{path_};
  {
    auto other = Database::open(path_).value();
    ASSERT_TRUE(other->execute("CREATE TABLE songs(title TEXT)"));
  }
  expect_refused(ErrorCode::data_corrupt, "not one of Bridgehead");
}

TEST_F(SqliteStoreTest, RefusesANewerSchema) {
  must_open();
  {
    auto database = Database::open(path_).value();
    ASSERT_TRUE(database->execute("INSERT INTO schema_version VALUES(99)"));
  }
  expect_refused(ErrorCode::unsupported, "schema version 99");
}

TEST_F(SqliteStoreTest, MigratesAnOldSchemaStepByStep) {
  must_put(*must_open(), "vm/1", "kept");
  auto database = Database::open(path_).value();
  const std::string later =
      store_migrations().back().version == 1 ? "" : "the list below must start after the real ones";
  ASSERT_EQ(later, "");
  std::vector<Migration> migrations(store_migrations().begin(), store_migrations().end());
  migrations.push_back({2, "ALTER TABLE entries ADD COLUMN note TEXT; UPDATE entries SET note = 'from 2'"});
  migrations.push_back({3, "UPDATE entries SET note = note || ' to 3'"});
  ASSERT_TRUE(migrate(*database, migrations));
  EXPECT_EQ(database->query_text("SELECT note FROM entries WHERE key = CAST('vm/1' AS BLOB)").value(), "from 2 to 3");
  ASSERT_TRUE(migrate(*database, migrations)) << "nothing is done twice";
  EXPECT_EQ(database->query_text("SELECT note FROM entries").value(), "from 2 to 3");

  migrations.push_back({4, "UPDATE entries SET note = 'broken'; INSERT INTO no_such_table VALUES(1)"});
  EXPECT_FALSE(migrate(*database, migrations));
  EXPECT_EQ(database->query_text("SELECT max(version) FROM schema_version").value(), "3");
  EXPECT_EQ(database->query_text("SELECT note FROM entries").value(), "from 2 to 3")
      << "a failed step leaves nothing behind";
  database.reset();
  expect_refused(ErrorCode::unsupported, "schema version 3");
}

// A child commits from four threads and prints each key once its commit has returned; it is killed in the middle.
TEST_F(SqliteStoreTest, WhatWasCommittedSurvivesKill9) {
  constexpr int kRounds = 6;
  std::set<std::string> printed;
  for (int round = 0; round < kRounds; ++round) {
    int ends[2];
    ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    UniqueFd output(ends[0]);
    UniqueFd input(ends[1]);
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      auto store = open_sqlite_store(path_);
      if (!store) ::_exit(1);
      std::vector<std::thread> threads;
      for (int thread = 0; thread < 4; ++thread) {
        threads.emplace_back([&, thread] {
          for (int i = 0;; ++i) {
            const auto key = fmt::format("{}/{}/{}", round, thread, i);
            if (!(*store)->commit(Transaction().put(key, std::string(2000, 'v')).put("last", key))) ::_exit(2);
            const auto line = key + "\n";
            if (::write(input.get(), line.data(), line.size()) < 0) ::_exit(3);
          }
        });
      }
      for (auto& thread : threads) thread.join();
      ::_exit(0);
    }
    input.reset();
    std::string text;
    char buffer[4096];
    bool killed = false;
    for (;;) {
      const ssize_t got = ::read(output.get(), buffer, sizeof buffer);
      if (got <= 0) break;
      text.append(buffer, static_cast<std::size_t>(got));
      if (!killed && std::count(text.begin(), text.end(), '\n') >= 40 + 13 * round) {
        ASSERT_EQ(::kill(child, SIGKILL), 0);
        killed = true;
      }
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) << status;
    for (std::size_t from = 0, to = 0; (to = text.find('\n', from)) != std::string::npos; from = to + 1) {
      printed.insert(text.substr(from, to - from));
    }
    const auto store = must_open();  // the dead process's lock is gone with it
    for (const auto& key : printed) ASSERT_TRUE(store->get(key)) << key << " was committed and is lost";
    EXPECT_TRUE(store->get(value_of(*store, "last"))) << "a transaction is whole";
  }
  EXPECT_GE(printed.size(), static_cast<std::size_t>(kRounds * 40));
}

}  // namespace
}  // namespace bridgehead::state
