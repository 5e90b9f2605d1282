#include <fcntl.h>
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <set>
#include <thread>

#include "base/base64.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/ids.h"
#include "base/length.h"
#include "base/random.h"
#include "base/result.h"
#include "base/units.h"
#include "base/worker_pool.h"

namespace bridgehead {
namespace {

TEST(Error, DescribesWithHint) {
  EXPECT_EQ((Error{ErrorCode::not_found, "no VM named 'a'", "See: bh vm list"}.describe()),
            "no VM named 'a'. See: bh vm list");
  EXPECT_EQ((Error{ErrorCode::not_found, "gone", ""}.describe()), "gone");
}

TEST(Error, EveryCodeHasAName) {
  for (int i = 0; i <= static_cast<int>(ErrorCode::internal); ++i) {
    const auto code = static_cast<ErrorCode>(i);
    EXPECT_EQ(error_code_from_string(to_string(code)), code);
  }
  EXPECT_EQ(error_code_from_string("from_the_future"), ErrorCode::internal);
}

// RFC 4648, section 10.
TEST(Base64, IsTheStandards) {
  for (const auto& [bytes, text] : {std::pair{"", ""},
                                    {"f", "Zg=="},
                                    {"fo", "Zm8="},
                                    {"foo", "Zm9v"},
                                    {"foobar", "Zm9vYmFy"},
                                    {"\xfb\xff", "+/8="}}) {
    EXPECT_EQ(to_base64(bytes), text);
    EXPECT_EQ(from_base64(text), bytes);
  }
  for (const char* wrong : {"Z", "Zg", "Zg=", "Zg===", "Zh==", "Zm9=", "Zg==Zg==", "Zm 9", "-_8=", "====", "=Zg="}) {
    EXPECT_FALSE(from_base64(wrong)) << wrong;
  }
}

TEST(Bytes, ParsesWhatPeopleWrite) {
  EXPECT_EQ(parse_bytes("2GiB").value(), 2_GiB);
  EXPECT_EQ(parse_bytes("2G").value(), 2_GiB);
  EXPECT_EQ(parse_bytes("1.5 GiB").value(), 1536_MiB);
  EXPECT_EQ(parse_bytes("512m").value(), 512_MiB);
  EXPECT_EQ(parse_bytes("1000MB").value(), 1000000000_B);
  EXPECT_EQ(parse_bytes("4096").value(), 4_KiB);
  for (const char* wrong : {"", "GiB", "-1G", "1X", "1e400", "nan", "99999999999TiB", "1 G i B"}) {
    EXPECT_FALSE(parse_bytes(wrong)) << wrong;
  }
}

TEST(Bytes, ReadsWell) {
  EXPECT_EQ((512_MiB).human(), "512 MiB");
  EXPECT_EQ((1536_MiB).human(), "1.5 GiB");
  EXPECT_EQ((0_B).human(), "0 B");
}

TEST(Time, RoundTrips) {
  const auto time = parse_rfc3339("2026-02-28T23:59:59.123Z");
  ASSERT_TRUE(time);
  EXPECT_EQ(to_rfc3339(*time), "2026-02-28T23:59:59.123Z");
  EXPECT_EQ(to_rfc3339(parse_rfc3339("2026-02-28T23:59:59Z").value()), "2026-02-28T23:59:59.000Z");
  EXPECT_FALSE(parse_rfc3339("2026-02-30T00:00:00Z"));
  EXPECT_FALSE(parse_rfc3339("2026-02-28T25:00:00Z"));
  for (const char* wrong : {"2026-02-28T23:59:59Zx", "2026-02-28T23:59:59", "2026-02-28T23:59:59.5Z", "", "Z",
                            "2026-02-28T23:59: 5Z", "2026-02-28T23:59:-1Z", "2026-02-28 23:59:59Z"}) {
    EXPECT_FALSE(parse_rfc3339(wrong)) << wrong;
  }
}

TEST(Uuid, IsRandomAndWellFormed) {
  SystemRandom random;
  std::set<std::string> seen;
  for (int i = 0; i < 100; ++i) {
    const auto id = make_uuid(random);
    EXPECT_TRUE(is_uuid(id)) << id;
    EXPECT_TRUE(seen.insert(id).second);
  }
  SeededRandom one(7), two(7);
  EXPECT_EQ(make_uuid(one), make_uuid(two));
  EXPECT_FALSE(is_uuid("../../etc/passwd"));
}

TEST(File, AtomicWriteReplacesAndLimitsReads) {
  auto directory = TemporaryDirectory::create();
  ASSERT_TRUE(directory);
  const auto path = directory->path() / "a" / "b";
  ASSERT_TRUE(make_directories(path.parent_path()));
  ASSERT_TRUE(write_file_atomic(path, "one"));
  ASSERT_TRUE(write_file_atomic(path, "two"));
  EXPECT_EQ(read_file(path).value(), "two");
  EXPECT_EQ(read_file(path, 2_B).error().code, ErrorCode::resource_exhausted);
  EXPECT_EQ(read_file(directory->path() / "none").error().code, ErrorCode::not_found);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(path.parent_path()), {}), 1);
}

TEST(File, ADirectoryIsListedInOrder) {
  auto directory = TemporaryDirectory::create();
  ASSERT_TRUE(directory);
  for (const auto* name : {"b", "a", "c"}) ASSERT_TRUE(write_file_atomic(directory->path() / name, ""));
  using Paths = std::vector<std::filesystem::path>;
  EXPECT_EQ(list_directory(directory->path()).value(),
            (Paths{directory->path() / "a", directory->path() / "b", directory->path() / "c"}));
  EXPECT_EQ(list_directory(directory->path() / "none").error().code, ErrorCode::not_found);
  EXPECT_FALSE(list_directory(directory->path() / "a"));
}

TEST(File, AtomicWriteTakesOverWhatACrashLeft) {
  auto directory = TemporaryDirectory::create();
  ASSERT_TRUE(directory);
  const auto path = directory->path() / "file";
  const auto left = open_file(path.native() + ".new", O_WRONLY | O_CREAT, 0666);
  ASSERT_TRUE(left);
  ASSERT_TRUE(write_all(left->get(), "half of something longer", "left"));
  ASSERT_TRUE(write_file_atomic(path, "whole", 0600));
  EXPECT_EQ(read_file(path).value(), "whole");
  EXPECT_EQ(std::filesystem::status(path).permissions(),
            std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(directory->path()), {}), 1);
}

TEST(File, AtomicWritesOfManyThreadsNeverMix) {
  auto directory = TemporaryDirectory::create();
  ASSERT_TRUE(directory);
  const auto path = directory->path() / "file";
  std::vector<std::thread> writers;
  std::atomic<int> failures = 0;
  for (char letter = 'a'; letter < 'e'; ++letter) {
    writers.emplace_back([&, letter] {
      for (int i = 0; i < 25; ++i) {
        if (!write_file_atomic(path, std::string(5000, letter))) ++failures;
      }
    });
  }
  for (auto& writer : writers) writer.join();
  EXPECT_EQ(failures, 0);
  const auto content = read_file(path).value();
  EXPECT_EQ(content, std::string(5000, content.front()));
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(directory->path()), {}), 1);
}

TEST(WorkerPool, RunsAllAndStops) {
  WorkerPool pool(2);
  std::atomic<int> done = 0;
  std::promise<void> last;
  for (int i = 0; i < 50; ++i) {
    ASSERT_TRUE(pool.submit([&] {
      if (++done == 50) last.set_value();
    }));
  }
  ASSERT_EQ(last.get_future().wait_for(std::chrono::seconds(30)), std::future_status::ready);
  pool.stop();
  EXPECT_FALSE(pool.submit([] {}));
}

TEST(Length, ReadsWhatPeopleWrite) {
  EXPECT_EQ(parse_length("1h30m").value().count(), 5400);
  EXPECT_EQ(parse_length("0.5d").value().count(), 43200);
  for (const auto* text : {"", "5", "m", "-5m", "5x", "1e9d", "infs", "nans"}) EXPECT_FALSE(parse_length(text)) << text;
}

}  // namespace
}  // namespace bridgehead
