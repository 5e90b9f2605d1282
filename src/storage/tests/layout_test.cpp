#include <gtest/gtest.h>

#include "storage/cephfs/ceph_layouts.h"
#include "storage/moosefs/moosefs_tools.h"

namespace bridgehead::storage {
namespace {

TEST(CephLayout, IsReadAsTheAttributeTellsIt) {
  const auto layout = cephfs::parse_layout("stripe_unit=1048576 stripe_count=4 object_size=4194304 pool=cephfs_data");
  ASSERT_TRUE(layout) << layout.error().message;
  EXPECT_EQ(*layout, (FileLayout{.group = "cephfs_data", .parts = {{.stripes = 4, .stripe_size = 1_MiB}}}));
  for (const auto* text :
       {"", "stripe_unit=0 stripe_count=1", "stripe_unit=x stripe_count=1", "stripe_count=1 pool=a", "a b"}) {
    const auto refused = cephfs::parse_layout(text);
    ASSERT_FALSE(refused) << text;
    EXPECT_EQ(refused.error().code, ErrorCode::data_corrupt);
  }
}

TEST(MooseFsTools, AreCommandsWithWholePaths) {
  EXPECT_EQ(moosefs::snapshot_command("/m/golden/a.raw", "/m/tmp/b").describe(),
            "mfsmakesnapshot /m/golden/a.raw /m/tmp/b");
  EXPECT_EQ(moosefs::set_class_command("fast", "/m/a b").describe(), "mfssetsclass fast '/m/a b'");
  EXPECT_EQ(moosefs::parse_class("/m/a: b: fast\n"), "fast");
  EXPECT_EQ(moosefs::parse_class("/m/a: '2'\n"), "2");
  EXPECT_EQ(moosefs::parse_class("no such file"), "");
}

TEST(FileLayout, IsToldToPeople) {
  EXPECT_EQ(FileLayout{}.describe(), "as the file system likes");
  EXPECT_EQ((FileLayout{.group = "fast"}).describe(), "as the file system likes, in fast");
  EXPECT_EQ((FileLayout{.parts = {{.end = 64 << 20, .stripes = 1, .stripe_size = 1_MiB},
                                  {.stripes = kAllTargets, .stripe_size = 4_MiB}}})
                .describe(),
            "up to 64 MiB 1 stripe of 1 MiB; then a stripe on each target of 4 MiB");
}

}  // namespace
}  // namespace bridgehead::storage
