// What a pool does with mounts that don't answer, die, vanish or lie behind a symbolic link: real mounts in this
// process's own mount namespace. Needs root.
#include <gtest/gtest.h>
#include <sched.h>

#include "base/random.h"
#include "storage/image_pool.h"
#include "storage/mount.h"
#include "storage/testing/fuse_mount.h"

namespace bridgehead::storage::testing {
namespace {

// Runs what it is told, records it all; "mount" is the test's own function.
class MountingRunner final : public CommandRunner {
 public:
  explicit MountingRunner(std::function<void()> mount) : mount_(std::move(mount)) {}
  Result<CommandOutput> run(const Command& command, std::stop_token stop) override {
    commands.push_back(command.describe());
    if (command.program != "mount") return system_.run(command, std::move(stop));
    mount_();
    return CommandOutput{};
  }

  std::vector<std::string> commands;

 private:
  const std::function<void()> mount_;
  SystemCommandRunner system_;
};

class MountRootTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    ASSERT_EQ(::unshare(CLONE_NEWNS), 0) << "needs root";
    ASSERT_EQ(::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0);
  }
  void SetUp() override {
    auto made = TemporaryDirectory::create("bridgehead-mount");
    ASSERT_TRUE(made);
    directory_.emplace(std::move(*made));
  }
  void TearDown() override {
    while (::umount2(point().c_str(), MNT_DETACH) == 0) {
    }
  }
  std::filesystem::path point() const { return directory_->path() / "pools" / "id"; }
  std::size_t mounts_at_point() const {
    const auto table = read_mount_table();
    return table ? static_cast<std::size_t>(std::count_if(table->begin(), table->end(),
                                                          [&](const auto& entry) { return entry.point == point(); }))
                 : 0;
  }
  static MountPlan plan(const std::string& file_system) {
    return {.ways = {{.command = {.program = "mount"}, .package = "none"}}, .file_system = file_system};
  }

  std::optional<TemporaryDirectory> directory_;
};

TEST_F(MountRootTest, OneThatDoesNotAnswerStaysAndOneThatIsDeadIsMountedAnew) {
  std::unique_ptr<FuseMount> served;
  const auto runner = std::make_shared<MountingRunner>([&] { served = std::make_unique<FuseMount>(point()); });
  Mount mount(plan("fuse"), point(), runner);
  ASSERT_TRUE(mount.ensure());
  ASSERT_EQ(runner->commands, std::vector<std::string>{"mount"});

  // A server that fails over, is away, is overloaded: guests on it wait, and must keep their disks.
  for (const int error : {EAGAIN, EIO, ETIMEDOUT, EINTR, ENODEV, EACCES, ESHUTDOWN}) {
    served->answer_statfs(error);
    EXPECT_FALSE(mount.ensure()) << error;
  }
  EXPECT_EQ(runner->commands.size(), 1U) << "it was unmounted under its guests";
  served->answer_statfs(0);
  EXPECT_TRUE(mount.ensure());
  EXPECT_EQ(runner->commands.size(), 1U);

  for (const int error : {ESTALE, 0}) {
    runner->commands.clear();
    if (error == 0) {
      served->die();
    } else {
      served->answer_statfs(error);
    }
    const auto renewed = mount.ensure();
    ASSERT_TRUE(renewed) << renewed.error().describe();
    EXPECT_EQ(runner->commands, (std::vector<std::string>{"umount -l " + point().native(), "mount"}));
    EXPECT_EQ(mounts_at_point(), 1U);
  }
  EXPECT_TRUE(mount.release());
  EXPECT_EQ(mounts_at_point(), 0U);
}

// An iterator of std::filesystem would throw then, and end the agent.
TEST_F(MountRootTest, AListingThatBreaksOffIsAnError) {
  std::filesystem::create_directories(point());
  const FuseMount served(point());
  const auto listed = list_directory(point());
  ASSERT_FALSE(listed);
  EXPECT_EQ(listed.error().code, ErrorCode::io_error) << listed.error().message;
}

TEST_F(MountRootTest, BehindASymbolicLinkItIsMountedOnce) {
  std::filesystem::create_directory_symlink(directory_->path(), directory_->path() / "link");
  const auto runner =
      std::make_shared<MountingRunner>([&] { ASSERT_EQ(::mount("none", point().c_str(), "tmpfs", 0, nullptr), 0); });
  Mount mount(plan("tmpfs"), directory_->path() / "link" / "pools" / "id", runner);
  EXPECT_EQ(mount.point(), point());
  for (int i = 0; i < 3; ++i) {
    const auto ensured = mount.ensure();
    ASSERT_TRUE(ensured) << ensured.error().describe();
    EXPECT_EQ(mounts_at_point(), 1U);
  }
  EXPECT_TRUE(mount.release());
}

TEST_F(MountRootTest, WhatIsOfAnotherKindThanPlannedDoesNotStay) {
  const auto runner =
      std::make_shared<MountingRunner>([&] { ASSERT_EQ(::mount("none", point().c_str(), "tmpfs", 0, nullptr), 0); });
  Mount mount(plan("moosefs"), point(), runner);
  for (int i = 0; i < 3; ++i) EXPECT_FALSE(mount.ensure());
  EXPECT_EQ(mounts_at_point(), 0U);
}

// What is under the mount point looks like an empty pool: everything in it would seem to be missing, or removed.
TEST_F(MountRootTest, APoolWhoseFileSystemIsUnmountedTellsThatInsteadOfMissingImages) {
  std::filesystem::create_directories(point());
  const auto mount_it = [&](const char* source) {
    ASSERT_EQ(::mount(source, point().c_str(), "tmpfs", 0, nullptr), 0);
  };
  mount_it("a");
  std::filesystem::create_directory_symlink(point(), directory_->path() / "link");
  SeededRandom random(1);
  const auto pool = *open_pool(
      {.id = make_id<model::PoolId>(random), .name = "p", .path = (directory_->path() / "link" / "pool").native()});
  ASSERT_TRUE(pool->attach().ready);
  const model::Image disk{.id = make_id<model::ImageId>(random), .role = model::ImageRole::disk};
  const model::LeaseClaim stamp{.vm = make_id<model::VmId>(random), .node = make_id<model::NodeId>(random), .token = 1};
  ASSERT_TRUE(pool->create_disk(disk, nullptr, 1_MiB));
  ASSERT_TRUE(pool->stamp_lease(stamp));

  const auto expect_unavailable = [&](const auto& result, const char* what) {
    ASSERT_FALSE(result) << what;
    EXPECT_EQ(result.error().code, ErrorCode::unavailable) << what << ": " << result.error().describe();
  };
  const auto expect_all_unavailable = [&] {
    expect_unavailable(pool->status(), "status");
    expect_unavailable(pool->inspect(disk), "inspect");
    expect_unavailable(pool->create_disk(disk, nullptr, 1_MiB), "create_disk");
    expect_unavailable(pool->grow_disk(disk, 2_MiB), "grow_disk");
    expect_unavailable(pool->remove(disk), "remove");
    expect_unavailable(pool->read_lease(stamp.vm), "read_lease");
    expect_unavailable(pool->stamp_lease(stamp), "stamp_lease");
    expect_unavailable(pool->remove_lease(stamp.vm), "remove_lease");
    expect_unavailable(pool->collect_garbage([](const auto&) { return false; }), "collect_garbage");
  };
  mount_it("another");  // lies over it
  std::filesystem::create_directories(point() / "pool" / "disks");
  expect_all_unavailable();
  ASSERT_EQ(::umount(point().c_str()), 0);
  EXPECT_TRUE(pool->inspect(disk));
  ASSERT_EQ(::umount2(point().c_str(), MNT_DETACH), 0);
  std::filesystem::create_directories(point() / "pool" / "disks");
  expect_all_unavailable();
}

TEST_F(MountRootTest, AllThatLieOverEachOtherAreReleased) {
  std::filesystem::create_directories(point());
  for (int i = 0; i < 3; ++i) ASSERT_EQ(::mount("none", point().c_str(), "tmpfs", 0, nullptr), 0);
  const auto runner = std::make_shared<MountingRunner>([] {});
  Mount mount(plan("tmpfs"), point(), runner);
  const auto released = mount.release();
  EXPECT_TRUE(released) << released.error().describe();
  EXPECT_EQ(mounts_at_point(), 0U);
  EXPECT_FALSE(std::filesystem::exists(point()));
}

}  // namespace
}  // namespace bridgehead::storage::testing
