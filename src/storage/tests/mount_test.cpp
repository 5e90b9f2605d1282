#include <gtest/gtest.h>

#include "base/file.h"
#include "base/testing/fake_command_runner.h"
#include "storage/mount.h"
#include "storage/shared_use.h"

namespace bridgehead::storage {
namespace {

using model::PoolDriver;

constexpr char kTable[] =
    "22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw\n"
    "30 22 0:40 / /mnt/scratch rw,noatime - lustre 10.0.0.5@tcp:/scratch rw,flock,user_xattr,lazystatfs\n"
    "31 22 0:41 / /mnt/a\\040b rw shared:7 master:2 - nfs4 10.0.0.5:/x rw,vers=4.2,hard\n"
    "32 30 0:42 / /mnt/scratch/inner rw - tmpfs none rw\n"
    "33 22 0:43 / /mnt/scratch rw - fuse mfs\\04310.77.0.10:9421 rw,user_id=0\n"
    "not a mount\n";

TEST(MountTable, IsReadAsProcTellsIt) {
  const auto table = parse_mount_table(kTable);
  ASSERT_EQ(table.size(), 5U);
  EXPECT_EQ(table[1], (MountEntry{"/mnt/scratch", "lustre", "10.0.0.5@tcp:/scratch",
                                  "rw,noatime,rw,flock,user_xattr,lazystatfs", "0:40", "/"}));
  auto elsewhere = table[1];
  elsewhere.options = "ro";
  EXPECT_TRUE(table[1].is_same(elsewhere));
  elsewhere.root = "/other";
  EXPECT_FALSE(table[1].is_same(elsewhere)) << "another directory was bound over it";
  elsewhere = table[1];
  elsewhere.device = "0:99";
  EXPECT_FALSE(table[1].is_same(elsewhere)) << "it was mounted anew";
  EXPECT_EQ(table[2].point, "/mnt/a b");
  EXPECT_TRUE(table[1].has("flock"));
  EXPECT_FALSE(table[1].has("lock"));
  EXPECT_EQ(mount_at(table, "/mnt/scratch")->file_system(), "moosefs");  // lies over the other
  EXPECT_FALSE(mount_at(table, "/mnt"));
  EXPECT_EQ(mount_of(table, "/mnt/scratch/inner/vm")->type, "tmpfs");
  EXPECT_EQ(mount_of(table, "/mnt/scratchpad")->type, "ext4");
  EXPECT_EQ(mount_of(table, "/mnt/a b/vm")->type, "nfs4");
  EXPECT_EQ(mount_of(table, "/mnt/a b/vm")->file_system(), "nfs");
}

std::string refusal(const std::string& type, const std::string& options) {
  const auto checked = check_shared_use({"/mnt/x", type, "source", options});
  return checked ? "" : checked.error().describe();
}

TEST(SharedUse, MountsWhoseLocksDontSpanHostsAreRefused) {
  EXPECT_EQ(refusal("lustre", "rw,flock,user_xattr"), "");
  EXPECT_NE(refusal("lustre", "rw,localflock").find("'localflock'"), std::string::npos);
  EXPECT_NE(refusal("lustre", "rw,noflock").find("option 'flock'"), std::string::npos);
  EXPECT_NE(refusal("lustre", "rw").find("option 'flock'"), std::string::npos);
  EXPECT_EQ(refusal("nfs4", "rw,vers=4.2,hard,local_lock=none"), "");
  EXPECT_NE(refusal("nfs", "rw,vers=3,hard,nolock,local_lock=all").find("'nolock'"), std::string::npos);
  EXPECT_NE(refusal("nfs", "rw,hard,local_lock=flock").find("local_lock=flock"), std::string::npos);
  EXPECT_NE(refusal("nfs4", "rw,soft").find("lost writes"), std::string::npos);
  EXPECT_NE(refusal("nfs4", "ro,hard").find("read-only"), std::string::npos);
  EXPECT_EQ(refusal("fuse", "rw"), "");
  EXPECT_EQ(refusal("ocfs2", "rw"), "");
  EXPECT_NE(refusal("ext4", "rw").find("this machine alone"), std::string::npos);
  EXPECT_NE(refusal("tmpfs", "rw").find("driver 'local'"), std::string::npos);
}

std::vector<std::string> commands(const model::Pool& pool) {
  const auto plan = plan_mount(pool, "/run/p");
  EXPECT_TRUE(plan) << (plan ? "" : plan.error().message);
  std::vector<std::string> all;
  if (!plan) return all;
  for (const auto& way : plan->ways) all.push_back(way.command.describe());
  return all;
}

TEST(MountPlan, EachFileSystemGetsTheOptionsThatAreRightForIt) {
  using Commands = std::vector<std::string>;
  EXPECT_EQ(
      commands(
          {.driver = PoolDriver::nfs, .source = "10.0.0.5:/vm", .options = {{"port", "12049"}, {"version", "4.1"}}}),
      Commands{"mount.nfs 10.0.0.5:/vm /run/p -o nosuid,nodev,vers=4.1,proto=tcp,hard,timeo=100,retrans=2,retry=0,"
               "lookupcache=positive,actimeo=3,noatime,nconnect=4,sec=sys,port=12049"});
  EXPECT_EQ(
      commands({.driver = PoolDriver::moosefs, .source = "10.77.0.10"}),
      Commands{"mfsmount /run/p -o nodev,nosuid,mfsmaster=10.77.0.10,mfsport=9421,mfssubfolder=/,mfsioretries=999"});
  EXPECT_EQ(
      commands({.driver = PoolDriver::moosefs, .source = "m:9500:/site", .options = {{"password_file", "/etc/k"}}}),
      Commands{"mfsmount /run/p -o nodev,nosuid,mfsmaster=m,mfsport=9500,mfssubfolder=/site,mfsioretries=999,"
               "mfspassfile=/etc/k"});
  EXPECT_EQ(
      commands({.driver = PoolDriver::cephfs,
                .source = "10.0.0.5,10.0.0.6:6790",
                .options = {{"secret_file", "/etc/ceph/s"}, {"keyring", "/etc/ceph/k"}}}),
      (Commands{"mount.ceph 10.0.0.5,10.0.0.6:6790:/ /run/p -o nosuid,nodev,noatime,name=admin,secretfile=/etc/ceph/s",
                "ceph-fuse /run/p -m 10.0.0.5,10.0.0.6:6790 --id admin -c /dev/null --client_oc=false "
                "--fuse_disable_pagecache=true -o nosuid,nodev -k /etc/ceph/k"}));
  EXPECT_EQ(commands({.driver = PoolDriver::cephfs,
                      .source = "h:/volumes/vm",
                      .options = {{"client", "fuse"}, {"file_system", "one"}, {"config", "/etc/ceph/c"}}}),
            Commands{"ceph-fuse /run/p -m h --id admin -c /etc/ceph/c --client_oc=false "
                     "--fuse_disable_pagecache=true -o nosuid,nodev -r /volumes/vm --client_fs one"});
  EXPECT_EQ(commands({.driver = PoolDriver::lustre, .source = "10.0.0.5@tcp:/scratch", .path = "vm"}),
            Commands{"mount.lustre 10.0.0.5@tcp:/scratch /run/p -o nosuid,nodev,flock,user_xattr,noatime"});
  EXPECT_EQ(
      plan_mount({.driver = PoolDriver::nfs, .source = "h:/x", .options = {{"port", "1,soft"}}}, "/run/p").error().code,
      ErrorCode::invalid_argument);
  EXPECT_EQ(plan_mount({.driver = PoolDriver::local, .path = "/var/p"}, "/run/p").error().code, ErrorCode::unsupported);
}

class MountTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto made = TemporaryDirectory::create("bridgehead-mount");
    ASSERT_TRUE(made);
    directory_.emplace(std::move(*made));
  }
  Mount mount(const model::Pool& pool) { return Mount(*plan_mount(pool, point()), point(), runner_); }
  std::filesystem::path point() const { return directory_->path() / "mounts" / "id"; }
  void answer(ErrorCode code, std::string message) { runner_->answers.push_back(fail(code, "{}", message)); }

  std::optional<TemporaryDirectory> directory_;
  std::shared_ptr<bridgehead::testing::FakeCommandRunner> runner_ =
      std::make_shared<bridgehead::testing::FakeCommandRunner>();
  const model::Pool cephfs_{.driver = PoolDriver::cephfs, .source = "h"};
  const model::Pool nfs_{.driver = PoolDriver::nfs, .source = "h:/x"};
};

TEST_F(MountTest, AMissingClientIsToldWithItsPackage) {
  answer(ErrorCode::not_found, "no mount.nfs");
  const auto failed = mount(nfs_).ensure();
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code, ErrorCode::unsupported);
  EXPECT_EQ(failed.error().message, "this node has no mount.nfs");
  EXPECT_NE(failed.error().hint.find("nfs-common"), std::string::npos);
}

TEST_F(MountTest, WhereTheKernelsClientIsMissingTheOtherIsTried) {
  answer(ErrorCode::io_error, "mount.ceph ended with code 19: mount error 19 = No such device");
  answer(ErrorCode::not_found, "no ceph-fuse");
  const auto failed = mount(cephfs_).ensure();
  ASSERT_FALSE(failed);
  ASSERT_EQ(runner_->commands.size(), 2U);
  EXPECT_NE(failed.error().message.find("kernel can't mount it"), std::string::npos) << failed.error().message;
  EXPECT_NE(failed.error().message.find("no ceph-fuse"), std::string::npos) << failed.error().message;
}

TEST_F(MountTest, AServerThatRefusesIsNotAskedAgainByAnotherClient) {
  answer(ErrorCode::io_error, "mount error 13 = Permission denied");
  const auto failed = mount(cephfs_).ensure();
  ASSERT_FALSE(failed);
  EXPECT_EQ(runner_->commands.size(), 1U);
  answer(ErrorCode::timeout, "took longer than 30 s");
  const auto silent = mount(nfs_).ensure();
  ASSERT_FALSE(silent);
  EXPECT_EQ(silent.error().code, ErrorCode::timeout);
  EXPECT_NE(silent.error().message.find("no answer"), std::string::npos);
}

TEST_F(MountTest, AMountThatOnlySeemsMadeIsNoMount) {
  const auto failed = mount(nfs_).ensure();  // the program says success, the kernel knows nothing
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code, ErrorCode::unavailable);
  // If it did mount something, then not where the next try would lay one more over it.
  ASSERT_EQ(runner_->commands.size(), 2U);
  EXPECT_EQ(runner_->commands[1].describe(), "umount -l " + point().native());
}

TEST_F(MountTest, ReleasingWhatIsNotMountedRemovesTheMountPointAndRunsNothing) {
  std::filesystem::create_directories(point());
  EXPECT_TRUE(mount(nfs_).release());
  EXPECT_FALSE(std::filesystem::exists(point()));
  EXPECT_TRUE(mount(nfs_).release());
  EXPECT_TRUE(runner_->commands.empty());
}

}  // namespace
}  // namespace bridgehead::storage
