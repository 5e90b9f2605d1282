#include "storage/copy_engine.h"

#include <gtest/gtest.h>

#include <fstream>

#include "storage/digest.h"
#include "storage/qcow2_image.h"
#include "storage/testing/test_images.h"

namespace bridgehead::storage::testing {
namespace {

struct Way {
  std::string name;
  CopyOptions options;
};

std::vector<Way> ways() {
  return {{"as in production", {}},
          {"through the page cache", {.direct_io = false}},
          {"without io_uring", {.io_uring = false}},
          {"plain reads and writes", {.direct_io = false, .io_uring = false}},
          {"small pieces, few buffers, one worker", {.piece = 64_KiB, .workers = 1, .buffers = 4}},
          {"several stretches side by side", {.piece = 64_KiB, .order = {.stretch = 256_KiB, .lanes = 3}}},
          {"stretches smaller than a piece", {.order = {.stretch = 64_KiB, .lanes = 8}}},
          {"many workers, few buffers", {.workers = 6, .buffers = 4, .sha256 = true}}};
}

class CopyEngineTest : public ::testing::Test {
 protected:
  void SetUp() override {
    // On a real file system where there is one: O_DIRECT is part of what is tested.
    auto made = TemporaryDirectory::create("bridgehead-copy");
    ASSERT_TRUE(made);
    directory_.emplace(std::move(*made));
    raw_ = make_varied_raw(file("source.raw"));
    expected_ = content_of(raw_);
  }
  std::filesystem::path file(const std::string& name) const { return directory_->path() / name; }

  Result<ReadableImage> open_image(const std::filesystem::path& path) {
    auto opened = open_file(path, O_RDONLY);
    if (!opened) return forward(opened);
    return path.extension() == ".qcow2" ? open_qcow2_image(std::move(*opened)) : open_raw_image(std::move(*opened));
  }
  Result<CopyReport> copy(const std::filesystem::path& source, const CopyOptions& options,
                          const ProgressSink& progress = {}, std::stop_token stop = {}) {
    auto image = open_image(source);
    if (!image) return forward(image);
    std::filesystem::remove(file("target.raw"));
    auto target = open_file(file("target.raw"), O_RDWR | O_CREAT | O_EXCL);
    if (!target) return forward(target);
    return copy_image(*image, target->get(), options, progress, std::move(stop));
  }
  void expect_copied(const std::filesystem::path& source, const Way& way) {
    const auto report = copy(source, way.options);
    ASSERT_TRUE(report) << way.name << ": " << report.error().describe();
    const std::string copied = content_of(file("target.raw"));
    EXPECT_EQ(copied.size(), expected_.size()) << way.name;
    EXPECT_TRUE(copied == expected_) << way.name << " from " << source.filename();
    EXPECT_LT(allocated_bytes(file("target.raw")), std::uint64_t{8} << 20) << way.name;
    if (way.options.sha256) {
      Sha256 digest;
      digest.update(std::string_view(expected_));
      EXPECT_EQ(report->sha256, digest.hex()) << way.name;
    }
  }

  std::optional<TemporaryDirectory> directory_;
  std::filesystem::path raw_;
  std::string expected_;
};

TEST_F(CopyEngineTest, RawIsCopiedByEveryWay) {
  for (const auto& way : ways()) expect_copied(raw_, way);
}

TEST_F(CopyEngineTest, EveryKindOfQcow2IsCopied) {
  const std::vector<std::vector<std::string>> kinds{
      {},
      {"-o", "compat=0.10"},
      {"-c"},
      {"-c", "-o", "compression_type=zstd"},
      {"-o", "cluster_size=512"},
      {"-c", "-o", "cluster_size=512"},
      {"-o", "cluster_size=2M"},
      {"-c", "-o", "cluster_size=2M"},
      {"-S", "0"},
      {"-o", "preallocation=metadata"},
      {"-o", "lazy_refcounts=on"},
  };
  for (std::size_t i = 0; i < kinds.size(); ++i) {
    const auto image = convert(raw_, file(fmt::format("{}.qcow2", i)), "qcow2", kinds[i]);
    SCOPED_TRACE(fmt::format("kind {}", i));
    // Two ways each, so that every kind and every way meet several times and the test stays short.
    for (std::size_t way = i; way < i + 2; ++way) expect_copied(image, ways()[way % ways().size()]);
  }
}

TEST_F(CopyEngineTest, ZeroClustersAndOverwrittenOnesAreReadRight) {
  const auto image = convert(raw_, file("z.qcow2"), "qcow2");
  run_tool("qemu-io", {"-f", "qcow2", "-c", "write -z 9M 1M", "-c", "discard 10M 1M", "-c", "write -P 5 20M 3M", "-c",
                       "write -z -u 0 64k", image.native()});
  run_tool("qemu-img", {"convert", "-f", "qcow2", "-O", "raw", image.native(), file("z.raw").native()});
  expected_ = content_of(file("z.raw"));
  for (const auto& way : ways()) expect_copied(image, way);
}

TEST_F(CopyEngineTest, EmptyTinyAndOddSizesAreCopied) {
  for (const std::uint64_t size : {0, 1, 511, 512, 4095, 4097, (1 << 20) - 1, (1 << 20) + 1, 3 << 20}) {
    raw_ = file(fmt::format("size-{}.raw", size));
    write_content(raw_, random_bytes(size, size));
    expected_ = content_of(raw_);
    for (const auto& way : ways()) expect_copied(raw_, way);
  }
}

// Others may write into the same file at that time: nobody may see it longer than it will be, or change what is past
// it.
TEST_F(CopyEngineTest, APartIsWrittenNowhereElse) {
  ASSERT_NE(expected_.size() % 4096, 0U);
  const std::string others(8192, 'o');
  for (const bool direct : {false, true}) {
    std::ofstream(file("target.raw"), std::ios::binary) << std::string(expected_.size(), '\0') << others;
    const auto image = open_image(raw_);
    ASSERT_TRUE(image);
    const auto target = open_file(file("target.raw"), O_RDWR);
    ASSERT_TRUE(target);
    ASSERT_TRUE(copy_part(*image, target->get(), {0, expected_.size()}, {.direct_io = direct}));
    EXPECT_TRUE(content_of(file("target.raw")) == expected_ + others) << direct;
  }
}

TEST_F(CopyEngineTest, AHugeEmptyImageCostsNothing) {
  const auto image = file("huge.qcow2");
  run_tool("qemu-img", {"create", "-q", "-f", "qcow2", image.native(), "8T"});
  const auto report = copy(image, {});
  ASSERT_TRUE(report) << report.error().describe();
  EXPECT_EQ(report->written, Bytes(0));
  EXPECT_EQ(std::filesystem::file_size(file("target.raw")), (8_TiB).count());
  EXPECT_EQ(allocated_bytes(file("target.raw")), 0U);
}

TEST_F(CopyEngineTest, StoredZerosBecomeHolesAndNothingElseIsWritten) {
  const auto full = file("full.raw");
  write_content(full, std::string(8 << 20, '\0') + random_bytes(1 << 20, 5) + std::string(8 << 20, '\0'));
  const auto report = copy(full, {});
  ASSERT_TRUE(report);
  EXPECT_EQ(report->written, 1_MiB);
}

TEST_F(CopyEngineTest, TheLimitHolds) {
  const auto report = copy(raw_, {.limit = 1_MiB});
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().code, ErrorCode::resource_exhausted);
}

TEST_F(CopyEngineTest, AStopRequestEndsItSoon) {
  const auto large = file("large.raw");
  make_raw(large, 256 << 20, {{0, random_bytes(64 << 20, 1)}});
  for (const bool sha256 : {false, true}) {
    std::stop_source stop;
    // Progress comes after 16 MiB: in the middle of the copy.
    const auto report = copy(
        large, {.piece = 64_KiB, .buffers = 4, .sha256 = sha256}, [&](const Progress&) { stop.request_stop(); },
        stop.get_token());
    ASSERT_FALSE(report);
    EXPECT_EQ(report.error().code, ErrorCode::cancelled);
  }
}

TEST_F(CopyEngineTest, ProgressGrowsToTheWhole) {
  std::mutex mutex;
  std::vector<std::uint64_t> seen;
  ASSERT_TRUE(copy(raw_, {}, [&](const Progress& progress) {
    const std::lock_guard lock(mutex);
    EXPECT_EQ(progress.total, expected_.size());
    seen.push_back(progress.done);
  }));
  ASSERT_FALSE(seen.empty());
  EXPECT_EQ(seen.back(), expected_.size());
}

TEST_F(CopyEngineTest, DamagedTablesAndClustersAreFound) {
  const auto image = convert(raw_, file("c.qcow2"), "qcow2", {"-c"});
  const std::string good = content_of(image);
  // Random damage anywhere behind the header: an error or some content, never a crash, never more than the image.
  SeededRandom random(9);
  for (int round = 0; round < 60; ++round) {
    std::string bad = good;
    for (int i = 0; i < 20; ++i)
      bad[4096 + random.next_u64() % (bad.size() - 4096)] = static_cast<char>(random.next_u64());
    const std::uint64_t l1 = 3 * 65536;
    bad[l1 + random.next_u64() % 8] = static_cast<char>(random.next_u64());
    const auto path = file("bad.qcow2");
    write_content(path, bad);
    const auto report = copy(path, {.sha256 = round % 2 == 0});
    if (report) {
      EXPECT_EQ(std::filesystem::file_size(file("target.raw")), expected_.size());
    } else {
      EXPECT_EQ(report.error().code, ErrorCode::data_corrupt) << report.error().describe();
    }
  }
  write_content(file("cut.qcow2"), std::string_view(good).substr(0, good.size() - 200'000));
  const auto cut = copy(file("cut.qcow2"), {});
  ASSERT_FALSE(cut);
  EXPECT_EQ(cut.error().code, ErrorCode::data_corrupt);
}

TEST_F(CopyEngineTest, ZerosAreToldFromAlmostZeros) {
  std::vector<std::uint8_t> bytes(4096);
  EXPECT_TRUE(all_zero(bytes));
  EXPECT_TRUE(all_zero({}));
  for (const std::size_t at : {std::size_t{0}, std::size_t{1}, std::size_t{2048}, std::size_t{4095}}) {
    bytes[at] = 1;
    EXPECT_FALSE(all_zero(bytes)) << at;
    bytes[at] = 0;
  }
}

}  // namespace
}  // namespace bridgehead::storage::testing
