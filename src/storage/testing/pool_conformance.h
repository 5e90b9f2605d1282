// What every pool driver must do, whatever is under it (what it does with marks beside the
// images is in pool_marks_conformance.h, what shared ones do besides in shared_pool_conformance.h). A test instantiates
// it:
//
//   INSTANTIATE_TEST_SUITE_P(Local, PoolConformance, ::testing::Values(PoolUnderTest{}));
//
// Each case gets a fresh directory: in the pool's source where agents mount it, else below the record's path (local
// without one: the temporary directory).
#pragma once

#include <gtest/gtest.h>

#include <latch>
#include <sstream>
#include <thread>

#include "storage/pool_check.h"
#include "storage/pool_layout.h"
#include "storage/testing/holding_qemu.h"
#include "storage/testing/test_images.h"

namespace bridgehead::storage::testing {

struct PoolUnderTest {
  model::Pool record;  // driver, source, options; path as above
};

class PoolConformance : public ::testing::TestWithParam<PoolUnderTest> {
 protected:
  void SetUp() override {
    auto made = TemporaryDirectory::create("bridgehead-pool");
    ASSERT_TRUE(made) << made.error().message;
    directory_.emplace(std::move(*made));
    host_ = {.mounts = directory_->path() / "mounts", .node = make_uuid(random_)};
    record_ = GetParam().record;
    record_.id = make_id<model::PoolId>(random_);
    record_.name = "pool";
    const auto fresh = "bridgehead-" + make_uuid(system_random_);
    if (model::is_mounted_by_agents(record_.driver)) {
      root_ = host_.mounts / record_.id.str() / fresh;
      record_.path = fresh;
    } else {
      root_ = record_.path.empty() ? directory_->path() / "pool" : std::filesystem::path(record_.path) / fresh;
      record_.path = root_.native();
    }
    pool_ = open();
    state_ = pool_->attach();
    ASSERT_TRUE(state_.ready) << state_.message;
  }
  void TearDown() override {
    std::error_code failed;
    std::filesystem::remove_all(root_, failed);
    if (!pool_) return;
    const auto detached = pool_->detach();
    EXPECT_TRUE(detached) << detached.error().describe();
    EXPECT_FALSE(std::filesystem::exists(host_.mounts / record_.id.str()));
  }

  std::unique_ptr<ImagePool> open() {
    auto pool = open_pool(record_, host_);
    require(pool.has_value(), "the driver can't be opened");
    return std::move(*pool);
  }

  model::Image image(model::ImageRole role) {
    return {.id = make_id<model::ImageId>(random_), .name = "image", .role = role, .pool = record_.id};
  }
  ImportRequest request(const model::Image& golden, std::filesystem::path path) {
    ImportRequest request;
    request.operation = make_id<model::OperationId>(random_);
    request.image = golden;
    request.source = {.kind = model::ImageSourceKind::path, .location = path.native()};
    request.source_path = std::move(path);
    return request;
  }
  model::Image imported_golden() {
    const auto golden = image(model::ImageRole::golden);
    const auto stored = pool_->import_golden(request(golden, raw_source()), {}, {});
    EXPECT_TRUE(stored) << (stored ? "" : stored.error().describe());
    return golden;
  }
  std::filesystem::path raw_source() {
    const auto path = directory_->path() / "source.raw";
    return std::filesystem::exists(path) ? path : make_varied_raw(path);
  }
  std::filesystem::path root() const { return root_; }
  std::filesystem::path tmp() const {
    return PoolLayout(root_, model::is_shared(record_.driver) ? host_.node : "").tmp();
  }
  // Only file systems that tell holes from data tell what a file takes, too; MooseFS and CephFS tell its size.
  void expect_at_most(Bytes allocated, Bytes most) const {
    if (state_.abilities.seek_holes) {
      EXPECT_LT(allocated, most);
    }
  }
  std::string disk_as_raw(const StoredImage& disk) {
    const auto flat = directory_->path() / "flat.raw";
    run_tool("qemu-img", {"convert", "-f", disk.format == model::ImageFormat::raw ? "raw" : "qcow2", "-O", "raw",
                          disk.path.native(), flat.native()});
    return content_of(flat);
  }

  // The file and all that are under it, as QEMU sees them.
  static std::vector<std::string> chain_of(const std::filesystem::path& path) {
    SystemCommandRunner runner;
    const auto told = runner.run({.program = "qemu-img", .arguments = {"info", "--backing-chain", path.native()}});
    EXPECT_TRUE(told) << (told ? "" : told.error().describe());
    std::vector<std::string> chain;
    std::istringstream lines(told ? told->out : "");
    for (std::string line; std::getline(lines, line);) {
      if (line.starts_with("image: ")) chain.push_back(line.substr(7));
    }
    return chain;
  }

  SeededRandom random_{7};
  SystemRandom system_random_;  // what is left behind by a killed run must not be met by the next
  PoolHost host_;
  std::filesystem::path root_;
  model::PoolOnNode state_;
  std::optional<TemporaryDirectory> directory_;
  model::Pool record_;
  std::unique_ptr<ImagePool> pool_;
};

TEST_P(PoolConformance, AttachIsRepeatableAndRefusesAnotherPoolsDirectory) {
  EXPECT_TRUE(pool_->attach().ready);
  const auto state = pool_->status();
  ASSERT_TRUE(state);
  EXPECT_GT(state->total.count(), 0U);
  EXPECT_GT(state->available.count(), 0U);

  const auto own = std::exchange(record_.id, make_id<model::PoolId>(random_));
  const auto other = open();
  const auto refused = other->attach();
  EXPECT_FALSE(refused.ready);
  EXPECT_NE(refused.message.find("another"), std::string::npos) << refused.message;
  EXPECT_TRUE(other->detach());
  record_.id = own;
  EXPECT_TRUE(pool_->attach().ready);
}

TEST_P(PoolConformance, PassesWhatIsCheckedForAdministrators) {
  auto other = open();
  ASSERT_TRUE(other->attach().ready);
  PoolUnderCheck checked{*pool_, *other, root(), directory_->path()};
  for (const auto& check : pool_checks()) {
    const auto result = check.run(checked);
    EXPECT_TRUE(result) << check.name << ": " << result.error().describe();
  }
  EXPECT_TRUE(files_in(root() / "golden").empty());
  EXPECT_TRUE(files_in(root() / "disks").empty());
}

TEST_P(PoolConformance, NothingWorksBeforeAttach) {
  auto fresh = open();
  EXPECT_FALSE(fresh->status());
  EXPECT_EQ(fresh->create_disk(image(model::ImageRole::disk), nullptr, 1_MiB).error().code,
            ErrorCode::failed_precondition);
}

TEST_P(PoolConformance, ImportPublishesReadOnlyRawWithItsHoles) {
  const auto golden = image(model::ImageRole::golden);
  EXPECT_EQ(pool_->inspect(golden).error().code, ErrorCode::not_found);
  std::vector<Progress> seen;
  std::mutex mutex;
  const auto first = request(golden, raw_source());
  const auto stored = pool_->import_golden(first,
                                           [&](const Progress& progress) {
                                             const std::lock_guard lock(mutex);
                                             seen.push_back(progress);
                                           },
                                           {});
  ASSERT_TRUE(stored) << stored.error().describe();
  EXPECT_EQ(stored->format, model::ImageFormat::raw);
  EXPECT_TRUE(content_of(stored->path) == content_of(raw_source()));
  expect_at_most(stored->allocated, Bytes(8 << 20));
  EXPECT_EQ(std::filesystem::status(stored->path).permissions(), std::filesystem::perms(0444));
  EXPECT_FALSE(seen.empty());
  EXPECT_TRUE(files_in(tmp()).empty());
  // The same operation again, and a look from outside, find the same.
  const auto again = pool_->import_golden(first, {}, {});
  ASSERT_TRUE(again);
  EXPECT_EQ(again->path, stored->path);
  ASSERT_TRUE(pool_->inspect(golden));
  EXPECT_EQ(pool_->inspect(golden)->virtual_size, stored->virtual_size);
}

TEST_P(PoolConformance, FailedAndCancelledImportsLeaveNothing) {
  const auto golden = image(model::ImageRole::golden);
  auto wrong = request(golden, raw_source());
  wrong.source.sha256 = std::string(64, '0');
  EXPECT_EQ(pool_->import_golden(wrong, {}, {}).error().code, ErrorCode::data_corrupt);

  std::stop_source stop;
  stop.request_stop();
  EXPECT_EQ(pool_->import_golden(request(golden, raw_source()), {}, stop.get_token()).error().code,
            ErrorCode::cancelled);
  EXPECT_EQ(pool_->inspect(golden).error().code, ErrorCode::not_found);
  EXPECT_TRUE(files_in(tmp()).empty());
  EXPECT_TRUE(files_in(root() / "golden").empty());
}

TEST_P(PoolConformance, ACloneReadsAsItsGoldenImageAndIsLarger) {
  const auto golden = imported_golden();
  const auto disk = image(model::ImageRole::disk);
  const auto stored = pool_->create_disk(disk, &golden, 64_MiB);
  ASSERT_TRUE(stored) << stored.error().describe();
  EXPECT_EQ(stored->virtual_size, 64_MiB);
  expect_at_most(stored->allocated, 1_MiB);
  std::string expected = content_of(raw_source());
  expected.resize(64 << 20, '\0');
  EXPECT_TRUE(disk_as_raw(*stored) == expected);
  // Again: the same disk, untouched.
  const auto again = pool_->create_disk(disk, &golden, 64_MiB);
  ASSERT_TRUE(again);
  EXPECT_EQ(again->path, stored->path);
  EXPECT_EQ(pool_->inspect(disk)->virtual_size, 64_MiB);
  EXPECT_TRUE(files_in(tmp()).empty());
}

TEST_P(PoolConformance, ACloneIsNeverSmallerThanItsGoldenImage) {
  const auto golden = imported_golden();
  const auto stored = pool_->create_disk(image(model::ImageRole::disk), &golden, Bytes(0));
  ASSERT_TRUE(stored) << stored.error().describe();
  EXPECT_GE(stored->virtual_size, pool_->inspect(golden)->virtual_size);
}

TEST_P(PoolConformance, ACloneOfAMissingGoldenImageIsRefused) {
  const auto golden = image(model::ImageRole::golden);
  EXPECT_EQ(pool_->create_disk(image(model::ImageRole::disk), &golden, 1_MiB).error().code, ErrorCode::not_found);
  EXPECT_TRUE(files_in(root() / "disks").empty());
}

TEST_P(PoolConformance, BlankDisksAreSparseAndGrowOnly) {
  const auto disk = image(model::ImageRole::disk);
  const auto stored = pool_->create_disk(disk, nullptr, 1_GiB);
  ASSERT_TRUE(stored) << stored.error().describe();
  EXPECT_EQ(stored->virtual_size, 1_GiB);
  expect_at_most(stored->allocated, 1_MiB);
  ASSERT_TRUE(pool_->grow_disk(disk, 2_GiB));
  EXPECT_EQ(pool_->grow_disk(disk, 2_GiB)->virtual_size, 2_GiB);
  EXPECT_EQ(pool_->grow_disk(disk, 1_GiB).error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(pool_->inspect(disk)->virtual_size, 2_GiB);
  EXPECT_EQ(pool_->grow_disk(image(model::ImageRole::disk), 1_GiB).error().code, ErrorCode::not_found);
  EXPECT_EQ(pool_->create_disk(image(model::ImageRole::disk), nullptr, Bytes()).error().code,
            ErrorCode::invalid_argument);
}

TEST_P(PoolConformance, ClonesGrowKeepingTheirContent) {
  const auto golden = imported_golden();
  const auto disk = image(model::ImageRole::disk);
  ASSERT_TRUE(pool_->create_disk(disk, &golden, 32_MiB));
  const auto grown = pool_->grow_disk(disk, 2_GiB);
  ASSERT_TRUE(grown) << grown.error().describe();
  EXPECT_EQ(grown->virtual_size, 2_GiB);
  // qemu-img fails unless they are the same but for zeros at the end.
  run_tool("qemu-img", {"compare", "-q", "-f", grown->format == model::ImageFormat::raw ? "raw" : "qcow2", "-F", "raw",
                        grown->path.native(), raw_source().native()});
}

TEST_P(PoolConformance, RemovingIsRepeatableAndAGoldenImageInUseStays) {
  const auto golden = imported_golden();
  const auto disk = image(model::ImageRole::disk);
  const auto stored = pool_->create_disk(disk, &golden, 32_MiB);
  ASSERT_TRUE(stored);
  if (stored->format == model::ImageFormat::qcow2) {
    const auto refused = pool_->remove(golden);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::failed_precondition);
    EXPECT_NE(refused.error().message.find(disk.id.str()), std::string::npos) << refused.error().message;
  }
  EXPECT_TRUE(pool_->remove(disk));
  EXPECT_TRUE(pool_->remove(disk));
  EXPECT_TRUE(pool_->remove(golden));
  EXPECT_TRUE(pool_->remove(golden));
  EXPECT_EQ(pool_->inspect(golden).error().code, ErrorCode::not_found);
  EXPECT_EQ(pool_->inspect(disk).error().code, ErrorCode::not_found);
}

TEST_P(PoolConformance, ExportsGiveTheContentBack) {
  const auto golden = imported_golden();
  const auto disk = image(model::ImageRole::disk);
  ASSERT_TRUE(pool_->create_disk(disk, &golden, 32_MiB));
  std::string expected = content_of(raw_source());
  std::string raw;
  const auto into = [](std::string& all) { return [&all](std::string_view part) { return all += part, true; }; };
  ASSERT_TRUE(pool_->export_image(golden, model::ImageFormat::raw, into(raw), {}, {}));
  EXPECT_TRUE(raw == expected);
  raw.clear();
  expected.resize(32 << 20, '\0');
  ASSERT_TRUE(pool_->export_image(disk, model::ImageFormat::raw, into(raw), {}, {}));
  EXPECT_TRUE(raw == expected);
  std::string qcow2;
  ASSERT_TRUE(pool_->export_image(disk, model::ImageFormat::qcow2, into(qcow2), {}, {}));
  write_content(directory_->path() / "exported.qcow2", qcow2);
  EXPECT_TRUE(disk_as_raw({.path = directory_->path() / "exported.qcow2", .format = model::ImageFormat::qcow2}) ==
              expected);
  EXPECT_EQ(
      pool_->export_image(disk, model::ImageFormat::raw, [](std::string_view) { return false; }, {}, {}).error().code,
      ErrorCode::cancelled);
  EXPECT_TRUE(files_in(tmp()).empty());
}

TEST_P(PoolConformance, ADiskFromElsewhereIsCopiedWholeInItsFormat) {
  const auto golden = imported_golden();
  auto disk = image(model::ImageRole::disk);
  const auto clone = pool_->create_disk(disk, &golden, 32_MiB);
  ASSERT_TRUE(clone);
  const auto content = disk_as_raw(*clone);
  disk.id = make_id<model::ImageId>(random_);
  const DiskCopy copy{.operation = make_id<model::OperationId>(random_),
                      .disk = disk,
                      .source = clone->path,
                      .format = clone->format,
                      .size = clone->virtual_size};
  std::vector<Progress> seen;
  const auto stored = pool_->copy_disk(copy, [&](const Progress& progress) { seen.push_back(progress); }, {});
  ASSERT_TRUE(stored) << stored.error().describe();
  EXPECT_EQ(stored->format, clone->format);
  EXPECT_EQ(stored->virtual_size, 32_MiB);
  expect_at_most(stored->allocated, 16_MiB);
  EXPECT_FALSE(seen.empty());
  EXPECT_TRUE(files_in(tmp()).empty());
  ASSERT_TRUE(pool_->copy_disk(copy, {}, {})) << "again";
  ASSERT_TRUE(
      pool_->remove(model::Image{.id = model::ImageId(clone->path.stem().native()), .role = model::ImageRole::disk}));
  ASSERT_TRUE(pool_->remove(golden)) << "the copy needs no golden image";
  EXPECT_TRUE(disk_as_raw(*pool_->inspect(disk)) == content);
  const auto gone = pool_->copy_disk(copy, {}, {});
  ASSERT_FALSE(gone) << "its source is gone";
  EXPECT_EQ(gone.error().code, ErrorCode::not_found) << gone.error().describe();
  EXPECT_TRUE(files_in(tmp()).empty());
}

TEST_P(PoolConformance, ACopyThatIsCancelledOrOfADiskInUseLeavesNothing) {
  const auto source = pool_->create_disk(image(model::ImageRole::disk), nullptr, 8_MiB);
  ASSERT_TRUE(source);
  const DiskCopy copy{.operation = make_id<model::OperationId>(random_),
                      .disk = image(model::ImageRole::disk),
                      .source = source->path,
                      .size = 8_MiB};
  std::stop_source stop;
  stop.request_stop();
  EXPECT_EQ(pool_->copy_disk(copy, {}, stop.get_token()).error().code, ErrorCode::cancelled);
  {
    HoldingQemu guest(*source);
    EXPECT_EQ(pool_->copy_disk(copy, {}, {}).error().code, ErrorCode::failed_precondition);
    guest.end();
  }
  EXPECT_EQ(pool_->inspect(copy.disk).error().code, ErrorCode::not_found);
  EXPECT_TRUE(files_in(tmp()).empty());
  EXPECT_EQ(files_in(root() / "disks").size(), 1U);
}

TEST_P(PoolConformance, WhatQemuCopiesIntoIsSeenWhenItIsWhole) {
  for (const auto format : {model::ImageFormat::raw, model::ImageFormat::qcow2}) {
    const auto disk = image(model::ImageRole::disk);
    const auto operation = make_id<model::OperationId>(random_);
    ASSERT_TRUE(pool_->begin_copy(operation, disk, format, 16_MiB));
    const auto place = pool_->begin_copy(operation, disk, format, 32_MiB);
    ASSERT_TRUE(place) << place.error().describe();
    EXPECT_EQ(place->path.parent_path(), root() / "disks");
    EXPECT_EQ(pool_->inspect(disk).error().code, ErrorCode::not_found);
    run_tool("qemu-io", {"-f", format == model::ImageFormat::raw ? "raw" : "qcow2", "-c", "write -P 7 1M 1M",
                         place->path.native()});
    EXPECT_FALSE(pool_->copied_by(disk)->has_value());
    ASSERT_TRUE(pool_->end_copy(disk));
    ASSERT_TRUE(pool_->end_copy(disk)) << "again";
    EXPECT_EQ(pool_->copied_by(disk)->value_or(model::OperationId()), operation);
    ASSERT_TRUE(pool_->reopen_copy(disk));
    ASSERT_TRUE(pool_->reopen_copy(disk)) << "again";
    EXPECT_FALSE(pool_->copied_by(disk)->has_value());
    EXPECT_EQ(pool_->inspect(disk).error().code, ErrorCode::not_found);
    ASSERT_TRUE(pool_->end_copy(disk));
    const auto stored = pool_->inspect(disk);
    ASSERT_TRUE(stored) << stored.error().describe();
    EXPECT_EQ(stored->path, place->path);
    EXPECT_EQ(stored->format, format);
    EXPECT_EQ(stored->virtual_size, 32_MiB);
    const auto content = disk_as_raw(*stored);
    EXPECT_EQ(content.substr(0, 1 << 20), std::string(1 << 20, '\0'));
    EXPECT_EQ(content.substr(1 << 20, 1 << 20), std::string(1 << 20, '\7'));
    ASSERT_TRUE(pool_->begin_copy(operation, disk, format, 16_MiB)) << "anew";
    EXPECT_FALSE(pool_->copied_by(disk)->has_value());
    ASSERT_TRUE(pool_->remove(disk));
    EXPECT_TRUE(files_in(root() / "disks").empty());
    EXPECT_EQ(pool_->end_copy(disk).error().code, ErrorCode::not_found) << "nothing to go over to";
    EXPECT_TRUE(pool_->reopen_copy(disk)) << "nothing is whole";
  }
}

TEST_P(PoolConformance, AFlattenedDiskNeedsNoGoldenImage) {
  const auto golden = imported_golden();
  const auto disk = image(model::ImageRole::disk);
  const auto clone = pool_->create_disk(disk, &golden, 32_MiB);
  ASSERT_TRUE(clone);
  const auto content = disk_as_raw(*clone);
  std::stop_source stop;
  stop.request_stop();
  if (clone->format == model::ImageFormat::qcow2) {
    EXPECT_EQ(pool_->flatten_disk(disk, {}, stop.get_token()).error().code, ErrorCode::cancelled);
    HoldingQemu guest(*clone);
    EXPECT_FALSE(pool_->flatten_disk(disk, {}, {})) << "a guest has it open";
    guest.end();
    EXPECT_FALSE(pool_->remove(golden)) << "still needed";
  }
  const auto flat = pool_->flatten_disk(disk, {}, {});
  ASSERT_TRUE(flat) << flat.error().describe();
  EXPECT_EQ(flat->path, clone->path);
  EXPECT_TRUE(pool_->flatten_disk(disk, {}, {})) << "again";
  const auto removed = pool_->remove(golden);
  ASSERT_TRUE(removed) << removed.error().describe();
  EXPECT_TRUE(disk_as_raw(*pool_->inspect(disk)) == content);
}

// A disk and at most its golden image, never more: only golden images are cloned from, and they are raw.
TEST_P(PoolConformance, ChainsAreNeverLongerThanTwo) {
  const auto golden = imported_golden();
  auto disk = image(model::ImageRole::disk);
  const auto first = pool_->create_disk(disk, &golden, 32_MiB);
  ASSERT_TRUE(first);
  EXPECT_EQ(pool_->create_disk(image(model::ImageRole::disk), &disk, 32_MiB).error().code, ErrorCode::not_found)
      << "a disk can't be cloned from";
  const DiskCopy copy{.operation = make_id<model::OperationId>(random_),
                      .disk = image(model::ImageRole::disk),
                      .source = first->path,
                      .format = first->format,
                      .size = first->virtual_size};
  ASSERT_TRUE(pool_->copy_disk(copy, {}, {}));
  for (const auto& file : files_in(root() / "disks")) {
    const auto path = root() / "disks" / file;
    EXPECT_LE(chain_of(path).size(), path == first->path ? 2U : 1U) << path;
  }
  // An import of an image with a file under it is refused, so a golden image never has one.
  EXPECT_EQ(chain_of(root() / "golden" / (golden.id.str() + ".raw")).size(), 1U);
}

TEST_P(PoolConformance, TwoCreatesOfOneDiskAtOnceMakeOne) {
  const auto golden = imported_golden();
  const auto disk = image(model::ImageRole::disk);
  constexpr int kCreators = 8;
  std::latch go(kCreators);
  std::atomic<int> succeeded = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < kCreators; ++i) {
    threads.emplace_back([&] {
      go.arrive_and_wait();
      if (pool_->create_disk(disk, &golden, 32_MiB)) ++succeeded;
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(succeeded, kCreators);
  EXPECT_EQ(files_in(root() / "disks").size(), 1U);
}

TEST_P(PoolConformance, GarbageOfDeadOperationsIsRemovedAndThatOfLivingOnesStays) {
  const auto dead = make_id<model::OperationId>(random_);
  const auto living = make_id<model::OperationId>(random_);
  write_content(tmp() / (dead.str() + ".staged"), "half");
  write_content(tmp() / (living.str() + ".raw"), "half");
  write_content(tmp() / "stray", "half");
  ASSERT_TRUE(pool_->collect_garbage([&](const model::OperationId& id) { return id == living; }));
  EXPECT_EQ(files_in(tmp()), std::vector<std::string>{living.str() + ".raw"});
}

}  // namespace bridgehead::storage::testing
