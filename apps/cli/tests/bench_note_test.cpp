#include "cli/commands/bench_note.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <optional>

#include "base/file.h"

namespace bridgehead::cli {
namespace {

TEST(BenchNote, IsFoundOnceItsRunIsGone) {
  const auto home = TemporaryDirectory::create("notes").value();
  ::setenv("XDG_STATE_HOME", home.path().c_str(), 1);
  EXPECT_TRUE(BenchNote::forsaken().empty());
  std::optional<BenchNote> run =
      BenchNote::make("b-1", {{"host1", "host2"}, "ssh {}", "bh", {"/mnt/fast/bridgehead-bench-b-1"}}).value();
  EXPECT_TRUE(BenchNote::forsaken().empty()) << "it runs";
  run.reset();
  {
    auto notes = BenchNote::forsaken();
    ASSERT_EQ(notes.size(), 1U);
    EXPECT_EQ(notes[0].rest().hosts, (std::vector<std::string>{"host1", "host2"}));
    EXPECT_EQ(notes[0].rest().via, "ssh {}");
    EXPECT_EQ(notes[0].rest().directories.at(0), "/mnt/fast/bridgehead-bench-b-1");
    EXPECT_TRUE(BenchNote::forsaken().empty()) << "somebody sees to it";
    EXPECT_TRUE(notes[0].forget());
  }
  EXPECT_TRUE(BenchNote::forsaken().empty());
  ASSERT_TRUE(write_file_atomic(home.path() / "bridgehead/bench/b-2.json", "{\"hosts\": 3}"));
  ASSERT_TRUE(write_file_atomic(home.path() / "bridgehead/bench/b-3.json", ""));
  EXPECT_TRUE(BenchNote::forsaken().empty()) << "what nobody can read names nothing to remove";
}

}  // namespace
}  // namespace bridgehead::cli
