// What happens when the pool's file system is full: in a small tmpfs of this process's own mount namespace. Needs root.
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/statvfs.h>

#include "storage/testing/test_images.h"

namespace bridgehead::storage::testing {
namespace {

class DiskFullTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    ASSERT_EQ(::unshare(CLONE_NEWNS), 0) << "needs root";
    ASSERT_EQ(::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0);
  }
  void SetUp() override {
    auto made = TemporaryDirectory::create("bridgehead-full");
    ASSERT_TRUE(made);
    directory_.emplace(std::move(*made));
    small_ = directory_->path() / "small";
    std::filesystem::create_directory(small_);
    ASSERT_EQ(::mount("tmpfs", small_.c_str(), "tmpfs", 0, "size=8m"), 0);
    record_ = {.id = make_id<model::PoolId>(random_), .name = "small", .path = (small_ / "pool").native()};
    pool_ = *open_pool(record_);
    ASSERT_TRUE(pool_->attach().ready);
    raw_ = make_raw(directory_->path() / "a.raw", 64 << 20, {{1 << 20, random_bytes(16 << 20, 1)}});
  }
  void TearDown() override { ::umount2(small_.c_str(), MNT_DETACH); }

  ImportRequest request(const std::filesystem::path& path) { return import_of_path(random_, path); }
  void expect_full(const Result<StoredImage>& result, const std::string& what) {
    ASSERT_FALSE(result) << what;
    EXPECT_EQ(result.error().code, ErrorCode::resource_exhausted) << what << ": " << result.error().describe();
    for (const std::string folder : {"tmp", "golden", "disks"}) {
      EXPECT_TRUE(files_in(small_ / "pool" / folder).empty()) << what << ", " << folder;
    }
  }
  // Leaves `bytes` free.
  void fill(std::uint64_t bytes) {
    struct statvfs status {};
    ASSERT_EQ(::statvfs(small_.c_str(), &status), 0);
    const std::uint64_t free = status.f_bavail * status.f_frsize;
    write_content(small_ / "ballast", std::string(free - std::min(free, bytes), 'b'));
  }

  SeededRandom random_{3};
  std::optional<TemporaryDirectory> directory_;
  std::filesystem::path small_;
  std::filesystem::path raw_;
  model::Pool record_;
  std::unique_ptr<ImagePool> pool_;
};

TEST_F(DiskFullTest, EveryWayOfImportEndsCleanly) {
  expect_full(pool_->import_golden(request(raw_), {}, {}), "raw");
  for (const std::string format : {"qcow2", "vmdk", "vdi", "vhdx"}) {
    const auto image = convert(raw_, directory_->path() / ("a." + format), format);
    expect_full(pool_->import_golden(request(image), {}, {}), format);
  }
  const auto compressed = convert(make_raw(directory_->path() / "x.raw", 64 << 20, {{0, std::string(32 << 20, 'x')}}),
                                  directory_->path() / "c.vmdk", "vmdk", {"-o", "subformat=streamOptimized"});
  ASSERT_LT(std::filesystem::file_size(compressed), 1U << 20);
  expect_full(pool_->import_golden(request(compressed), {}, {}), "a small vmdk that grows in qemu-img");
  run_tool("gzip", {"-k", raw_.native()});
  expect_full(pool_->import_golden(request(directory_->path() / "a.raw.gz"), {}, {}), "gzip");
  MemoryStream stream(content_of(raw_));
  auto upload = request("");
  upload.source.kind = model::ImageSourceKind::upload;
  upload.upload = &stream;
  expect_full(pool_->import_golden(upload, {}, {}), "upload");
}

TEST_F(DiskFullTest, SpaceThatVanishesInTheMiddleOfAnImportEndsItCleanly) {
  // The check before and the limit say that it fits; then somebody else takes the space.
  const auto small_raw = make_raw(directory_->path() / "s.raw", 6 << 20, {{0, random_bytes(6 << 20, 2)}});
  MemoryStream stream(content_of(small_raw));
  stream.before_each([&](std::size_t position) {
    if (position >= (2 << 20) && !std::filesystem::exists(small_ / "ballast")) fill(0);
  });
  auto upload = request("");
  upload.source.kind = model::ImageSourceKind::upload;
  upload.upload = &stream;
  expect_full(pool_->import_golden(upload, {}, {}), "upload");
}

TEST_F(DiskFullTest, CreatingADiskOnAFullFileSystemEndsCleanly) {
  const auto golden = request(make_raw(directory_->path() / "g.raw", 4 << 20, {{0, "boot"}}));
  ASSERT_TRUE(pool_->import_golden(golden, {}, {}));
  fill(0);
  const model::Image disk{.id = make_id<model::ImageId>(random_), .role = model::ImageRole::disk};
  const auto refused = pool_->create_disk(disk, &golden.image, 8_MiB);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::resource_exhausted) << refused.error().describe();
  EXPECT_TRUE(files_in(small_ / "pool" / "disks").empty());
  EXPECT_TRUE(files_in(small_ / "pool" / "tmp").empty());
  // With room again it works, as if nothing had been.
  std::filesystem::remove(small_ / "ballast");
  EXPECT_TRUE(pool_->create_disk(disk, &golden.image, 8_MiB));
}

}  // namespace
}  // namespace bridgehead::storage::testing
