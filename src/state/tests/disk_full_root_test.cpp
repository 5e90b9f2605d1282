// A file system that is really full, which only root can have made: a small tmpfs in a mount namespace of our own.
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>

#include "base/file.h"
#include "state/sqlite_store.h"
#include "state/testing/store_helpers.h"

namespace bridgehead::state {
namespace {

using testing::must_put;
using testing::value_of;

TEST(DiskFull, ChangesNothingAndStaysUsable) {
  ASSERT_EQ(::geteuid(), 0u) << "this test needs root";
  ASSERT_EQ(::unshare(CLONE_NEWNS), 0) << std::strerror(errno);
  ASSERT_EQ(::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0) << std::strerror(errno);
  const auto directory = TemporaryDirectory::create("state-full").value();
  const auto mounted = directory.path() / "small";
  ASSERT_TRUE(make_directories(mounted));
  ASSERT_EQ(::mount("tmpfs", mounted.c_str(), "tmpfs", 0, "size=2m"), 0) << std::strerror(errno);
  {
    auto store = open_sqlite_store(mounted / "state.db").value();
    must_put(*store, "small", "before");
    int kept = 0;
    Result<Revision> committed = Revision{0};
    while ((committed = store->commit(Transaction().put(fmt::format("fill/{}", kept), std::string(20000, 'y'))))) {
      ASSERT_LT(++kept, 1000);
    }
    EXPECT_EQ(committed.error().code, ErrorCode::resource_exhausted) << committed.error().describe();
    EXPECT_EQ(store->write_error().value().describe(), committed.error().describe());
    EXPECT_EQ(store->list("fill/")->size(), static_cast<std::size_t>(kept));
    EXPECT_EQ(store->revision(), static_cast<Revision>(kept) + 1);
    EXPECT_EQ(value_of(*store, "small"), "before");

    // Another store can't start here, says why, and leaves this one alone.
    { std::ignore = write_file_atomic(mounted / "rest", std::string(1 << 20, 'r')); }
    const auto other = open_sqlite_store(mounted / "other.db");
    ASSERT_FALSE(other);
    EXPECT_EQ(other.error().code, ErrorCode::resource_exhausted) << other.error().describe();

    // More room, and it goes on without being opened again.
    ASSERT_EQ(::mount("tmpfs", mounted.c_str(), "tmpfs", MS_REMOUNT, "size=16m"), 0) << std::strerror(errno);
    must_put(*store, "fill/again", std::string(20000, 'z'));
    EXPECT_FALSE(store->write_error());
    EXPECT_EQ(store->list("fill/")->size(), static_cast<std::size_t>(kept + 1));
  }
  EXPECT_EQ(value_of(*open_sqlite_store(mounted / "state.db").value(), "small"), "before");
  EXPECT_EQ(::umount(mounted.c_str()), 0) << std::strerror(errno);
}

}  // namespace
}  // namespace bridgehead::state
