#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>

#include <nlohmann/json.hpp>

#include "base/file.h"
#include "storage/image_pool.h"
#include "storage/qcow2_overlay.h"
#include "storage/testing/fake_pool.h"
#include "storage/testing/holding_qemu.h"
#include "storage/testing/pool_marks_conformance.h"

namespace bridgehead::storage::testing {
namespace {

INSTANTIATE_TEST_SUITE_P(Local, PoolConformance, ::testing::Values(PoolUnderTest{}));

class LocalPoolTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto made = TemporaryDirectory::create("bridgehead-local");
    ASSERT_TRUE(made);
    directory_.emplace(std::move(*made));
    record_ = {.id = make_id<model::PoolId>(random_), .name = "p", .path = (directory_->path() / "pool").native()};
    auto pool = open_pool(record_);
    ASSERT_TRUE(pool);
    pool_ = std::move(*pool);
    ASSERT_TRUE(pool_->attach().ready);
  }
  ImportRequest request(const std::filesystem::path& path) { return import_of_path(random_, path); }
  std::filesystem::path file(const std::string& name) const { return directory_->path() / name; }
  std::filesystem::path tmp() const { return std::filesystem::path(record_.path) / "tmp"; }

  SeededRandom random_{11};
  std::optional<TemporaryDirectory> directory_;
  model::Pool record_;
  std::unique_ptr<ImagePool> pool_;
};

TEST_F(LocalPoolTest, ADirectoryWithForeignFilesIsRefusedUntouched) {
  const auto home = file("home");
  std::filesystem::create_directory(home);
  write_content(home / "thesis.tex", "years");
  record_.path = home.native();
  const auto state = (*open_pool(record_))->attach();
  EXPECT_FALSE(state.ready);
  EXPECT_NE(state.message.find("thesis.tex"), std::string::npos) << state.message;
  EXPECT_EQ(files_in(home), std::vector<std::string>{"thesis.tex"});
}

TEST_F(LocalPoolTest, ARelativePathIsRefused) {
  record_.path = "relative/pool";
  EXPECT_FALSE((*open_pool(record_))->attach().ready);
  EXPECT_FALSE(std::filesystem::exists("relative"));
}

TEST_F(LocalPoolTest, OurOverlayIsWhatQemuWouldHaveMade) {
  const auto golden = request(make_varied_raw(file("a.raw")));
  ASSERT_TRUE(pool_->import_golden(golden, {}, {}));
  const model::Image disk{.id = make_id<model::ImageId>(random_), .role = model::ImageRole::disk};
  const auto stored = pool_->create_disk(disk, &golden.image, 5_TiB);
  ASSERT_TRUE(stored) << stored.error().describe();
  if (stored->format == model::ImageFormat::raw) GTEST_SKIP() << "this file system has reflinks: no overlay is made";
  run_tool("qemu-img", {"check", "-f", "qcow2", stored->path.native()});
  const auto info =
      nlohmann::json::parse(run_tool("qemu-img", {"info", "-f", "qcow2", "--output=json", stored->path.native()}));
  EXPECT_EQ(info["virtual-size"], (5_TiB).count());
  EXPECT_EQ(info["backing-filename"], "../golden/" + golden.image.id.str() + ".raw");
  EXPECT_EQ(info["backing-filename-format"], "raw");
  EXPECT_EQ(info["cluster-size"], 65536);
  EXPECT_EQ(info["format-specific"]["data"]["compat"], "1.1");
  EXPECT_EQ(info["format-specific"]["data"]["lazy-refcounts"], false);
  // And it can be written, at its start and its end, and is still sound.
  run_tool("qemu-io", {"-f", "qcow2", "-c", "write -P 7 0 64k", "-c", "write -P 8 5497558073344 64k", "-c",
                       "read -P 7 0 64k", stored->path.native()});
  run_tool("qemu-img", {"check", "-f", "qcow2", stored->path.native()});
}

// QEMU can write its disk's header; root's tools read it.
TEST_F(LocalPoolTest, ADiskThatNamesAnythingButAGoldenImageIsRefused) {
  const model::Image disk{.id = make_id<model::ImageId>(random_), .role = model::ImageRole::disk};
  const std::filesystem::path home = record_.path;
  const auto path = home / "disks" / (disk.id.str() + ".qcow2");
  const auto named = [&](const std::string& backing) {
    const auto bytes = qcow2_overlay(backing, 1_MiB);
    EXPECT_TRUE(bytes && write_file_atomic(path, *bytes));
    return pool_->inspect(disk);
  };
  const auto id = make_id<model::ImageId>(random_).str();
  EXPECT_TRUE(named(""));
  EXPECT_TRUE(named("../golden/" + id + ".raw"));
  EXPECT_TRUE(named((home / "golden" / (id + ".raw")).native())) << "as they were once made";
  for (const std::string hostile : {"/etc/shadow", "../golden/../../etc/shadow", "../disks/x.raw",
                                    "../golden/shadow.raw", "json:{\"driver\":\"raw\"}"}) {
    const auto refused = named(hostile);
    ASSERT_FALSE(refused) << hostile;
    EXPECT_EQ(refused.error().code, ErrorCode::permission_denied) << hostile;
  }
  EXPECT_FALSE(pool_->flatten_disk(disk, {}, {}));
}

TEST_F(LocalPoolTest, AnImportKilledInItsMiddleLeavesNothingVisibleAndItsRestIsCollected) {
  auto killed = request(file("unused"));
  killed.source.kind = model::ImageSourceKind::upload;
  int ready[2];
  ASSERT_EQ(::pipe(ready), 0);
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    // A stream that sends 4 MiB and then never ends.
    MemoryStream stream(random_bytes(8 << 20, 3));
    stream.before_each([&](std::size_t position) {
      if (position < (4 << 20)) return;
      if (::write(ready[1], "x", 1) != 1) ::_exit(1);
      for (;;) ::pause();
    });
    killed.upload = &stream;
    (void)pool_->import_golden(killed, {}, {});
    ::_exit(0);
  }
  char byte = 0;
  ASSERT_EQ(::read(ready[0], &byte, 1), 1);
  ASSERT_EQ(files_in(tmp()).size(), 1U);
  ::kill(child, SIGKILL);
  int status = 0;
  ::waitpid(child, &status, 0);
  ::close(ready[0]);
  ::close(ready[1]);
  EXPECT_EQ(pool_->inspect(killed.image).error().code, ErrorCode::not_found);
  EXPECT_EQ(files_in(tmp()).size(), 1U);

  // Resumed by the same operation it succeeds; given up it is collected.
  auto other = request(file("unused"));
  write_content(tmp() / (other.operation.str() + ".staged"), "half");
  MemoryStream whole(random_bytes(1 << 20, 3));
  killed.upload = &whole;
  ASSERT_TRUE(pool_->import_golden(killed, {}, {}));
  ASSERT_TRUE(pool_->collect_garbage([](const model::OperationId&) { return false; }));
  EXPECT_TRUE(files_in(tmp()).empty());
  EXPECT_TRUE(pool_->inspect(killed.image));
}

TEST_F(LocalPoolTest, GarbageCollectionLeavesARunningImportAlone) {
  auto running = request(file("unused"));
  running.source.kind = model::ImageSourceKind::upload;
  MemoryStream stream(random_bytes(3 << 20, 3));
  bool collected = false;
  stream.before_each([&](std::size_t position) {
    if (position < (1 << 20) || collected) return;
    collected = true;
    EXPECT_TRUE(pool_->collect_garbage([](const model::OperationId&) { return false; }));
  });
  running.upload = &stream;
  EXPECT_TRUE(pool_->import_golden(running, {}, {}));
  EXPECT_TRUE(collected);
}

TEST_F(LocalPoolTest, DisksInUseAreNeitherGrownNorExported) {
  for (const bool clone : {false, true}) {
    const auto golden = request(make_varied_raw(file("a.raw")));
    ASSERT_TRUE(pool_->import_golden(golden, {}, {}));
    const model::Image disk{.id = make_id<model::ImageId>(random_), .role = model::ImageRole::disk};
    const auto stored = pool_->create_disk(disk, clone ? &golden.image : nullptr, 64_MiB);
    ASSERT_TRUE(stored);
    HoldingQemu guest(*stored);
    EXPECT_EQ(pool_->grow_disk(disk, 128_MiB).error().code, ErrorCode::failed_precondition);
    const auto ignore = [](std::string_view) { return true; };
    EXPECT_EQ(pool_->export_image(disk, model::ImageFormat::raw, ignore, {}, {}).error().code,
              ErrorCode::failed_precondition);
    guest.end();
    EXPECT_TRUE(pool_->grow_disk(disk, 128_MiB));
    EXPECT_TRUE(pool_->export_image(disk, model::ImageFormat::raw, ignore, {}, {}));
  }
}

TEST(FakePoolTest, SteersAsItSays) {
  FakePool pool({.id = model::PoolId("p"), .name = "p", .path = "/fake"});
  EXPECT_FALSE(pool.status());
  EXPECT_TRUE(pool.attach().ready);
  const model::Image golden{.id = model::ImageId("g")};
  pool.fail_next("create_disk", {ErrorCode::resource_exhausted, "full", {}});
  EXPECT_EQ(pool.create_disk({.id = model::ImageId("d")}, nullptr, 1_GiB).error().code, ErrorCode::resource_exhausted);
  ImportRequest request;
  request.image = golden;
  EXPECT_TRUE(pool.import_golden(request, {}, {}));
  EXPECT_EQ(pool.create_disk({.id = model::ImageId("d")}, &golden, 1_GiB)->format, model::ImageFormat::qcow2);
  pool.hold_imports(true);
  std::stop_source stop;
  request.image.id = model::ImageId("h");
  std::thread cancels([&] { stop.request_stop(); });
  EXPECT_EQ(pool.import_golden(request, {}, stop.get_token()).error().code, ErrorCode::cancelled);
  cancels.join();
}

}  // namespace
}  // namespace bridgehead::storage::testing
