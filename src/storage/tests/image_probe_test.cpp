#include "storage/image_probe.h"

#include <gtest/gtest.h>

#include "storage/byte_order.h"
#include "storage/qcow2_header.h"
#include "storage/testing/test_images.h"

namespace bridgehead::storage::testing {
namespace {

std::span<std::uint8_t> bytes_in(std::string& text) {
  return {reinterpret_cast<std::uint8_t*>(text.data()), text.size()};
}

Result<ProbedImage> probe(std::string text) { return probe_image(bytes_of_memory(bytes_in(text))); }

class ImageProbeTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto made = TemporaryDirectory::create("bridgehead-probe");
    ASSERT_TRUE(made);
    directory_.emplace(std::move(*made));
  }
  // A real image of this format, by qemu-img.
  std::string image(const std::string& format, const std::vector<std::string>& options = {}) {
    const auto raw = directory_->path() / "a.raw";
    if (!std::filesystem::exists(raw)) make_raw(raw, 4 << 20, {{1 << 20, random_bytes(200'000, 1)}});
    return content_of(convert(raw, directory_->path() / ("a." + format), format, options));
  }
  std::string overlay(const std::string& format, const std::string& backing) {
    const auto path = directory_->path() / ("overlay." + format);
    run_tool("qemu-img", {"create", "-q", "-f", format, "-b", backing, "-F", "raw", path.native()});
    return content_of(path);
  }
  std::optional<TemporaryDirectory> directory_;
};

void expect_refused(const Result<ProbedImage>& result, ErrorCode code, std::string_view says) {
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, code) << result.error().describe();
  EXPECT_NE(result.error().describe().find(says), std::string::npos) << result.error().describe();
}

TEST_F(ImageProbeTest, FindsEachFormatFromItsContent) {
  const std::vector<std::tuple<std::string, std::vector<std::string>, model::ImageFormat>> cases{
      {"qcow2", {}, model::ImageFormat::qcow2},
      {"qcow2", {"-o", "compat=0.10"}, model::ImageFormat::qcow2},
      {"qcow2", {"-c", "-o", "compression_type=zstd"}, model::ImageFormat::qcow2},
      {"vmdk", {}, model::ImageFormat::vmdk},
      {"vmdk", {"-o", "subformat=streamOptimized"}, model::ImageFormat::vmdk},
      {"vdi", {}, model::ImageFormat::vdi},
      {"vdi", {"-o", "static=on"}, model::ImageFormat::vdi},
      {"vhdx", {}, model::ImageFormat::vhdx},
  };
  for (const auto& [format, options, expected] : cases) {
    const auto probed = probe(image(format, options));
    ASSERT_TRUE(probed) << format << ": " << probed.error().describe();
    EXPECT_EQ(probed->format, expected);
    EXPECT_EQ(probed->virtual_size, 4_MiB) << format;
  }
  const auto raw = probe(content_of(directory_->path() / "a.raw"));
  ASSERT_TRUE(raw);
  EXPECT_EQ(raw->format, model::ImageFormat::raw);
}

TEST_F(ImageProbeTest, Qcow2ThatNamesAnotherFileIsRefused) {
  write_content(directory_->path() / "base.raw", std::string(1 << 20, 'b'));
  expect_refused(probe(overlay("qcow2", (directory_->path() / "base.raw").native())), ErrorCode::permission_denied,
                 "base.raw");
  expect_refused(probe(image("qcow2", {"-o", "data_file=" + (directory_->path() / "data.bin").native()})),
                 ErrorCode::permission_denied, "external data file");
}

TEST_F(ImageProbeTest, Qcow2WithWhatWeDoNotReadIsRefused) {
  expect_refused(probe(image("qcow2", {"-o", "extended_l2=on,cluster_size=128k"})), ErrorCode::unsupported,
                 "extended L2");
  // Not LUKS, for which qemu-img times its hash and gives up on a busy machine.
  expect_refused(
      probe(image("qcow2", {"--object", "secret,id=s,data=x", "-o", "encrypt.format=aes,encrypt.key-secret=s"})),
      ErrorCode::unsupported, "encrypted");
}

TEST_F(ImageProbeTest, DamagedQcow2HeadersAreRefused) {
  const std::string good = image("qcow2");
  struct Damage {
    std::size_t offset;
    std::size_t width;
    std::uint64_t value;
    ErrorCode code;
    std::string says;
  };
  const std::vector<Damage> cases{
      {4, 4, 1, ErrorCode::unsupported, "version 1"},
      {4, 4, 9, ErrorCode::unsupported, "version 9"},
      {20, 4, 8, ErrorCode::data_corrupt, "cluster bits"},
      {20, 4, 22, ErrorCode::data_corrupt, "cluster bits"},
      {20, 4, 0xffffffff, ErrorCode::data_corrupt, "cluster bits"},
      {24, 8, ~std::uint64_t{0}, ErrorCode::data_corrupt, "size"},
      {24, 8, std::uint64_t{1} << 47, ErrorCode::data_corrupt, "size"},
      {24, 8, std::uint64_t{1} << 40, ErrorCode::data_corrupt, "L1 table is too small"},
      {32, 4, 1, ErrorCode::unsupported, "encrypted"},
      {32, 4, 2, ErrorCode::unsupported, "encrypted"},
      {36, 4, 0, ErrorCode::data_corrupt, "L1 table is too small"},
      {36, 4, 0xffffffff, ErrorCode::data_corrupt, "L1 table is too large"},
      {40, 8, 0, ErrorCode::data_corrupt, "L1 table"},
      {40, 8, 12345, ErrorCode::data_corrupt, "L1 table"},
      {40, 8, std::uint64_t{1} << 62, ErrorCode::data_corrupt, "past the end"},
      {72, 8, 2, ErrorCode::data_corrupt, "corrupt"},
      {72, 8, 4, ErrorCode::permission_denied, "data file"},
      {72, 8, std::uint64_t{1} << 40, ErrorCode::unsupported, "unknown incompatible"},
      {96, 4, 7, ErrorCode::data_corrupt, "reference counts"},
      {100, 4, 50, ErrorCode::data_corrupt, "header length"},
      {100, 4, 0xfffffff8, ErrorCode::data_corrupt, "header length"},
      {108, 4, 0xffffff00, ErrorCode::data_corrupt, ""},
  };
  for (const auto& damage : cases) {
    std::string bad = good;
    damage.width == 4 ? write_be(bytes_in(bad), damage.offset, static_cast<std::uint32_t>(damage.value))
                      : write_be(bytes_in(bad), damage.offset, damage.value);
    const auto result = probe(bad);
    if (damage.offset == 108) continue;  // only mustn't crash: it is data or an extension, by header length
    expect_refused(result, damage.code, damage.says);
  }
  expect_refused(probe(good.substr(0, 60)), ErrorCode::data_corrupt, "cut off");
  expect_refused(probe(good.substr(0, 100'000)), ErrorCode::data_corrupt, "past the end");
}

TEST_F(ImageProbeTest, ABackingFileWithoutFeatureBitsIsFoundInVersion2Too) {
  std::string bad = image("qcow2", {"-o", "compat=0.10"});
  const std::string name = "/etc/shadow";
  bad.replace(1024, name.size(), name);
  write_be<std::uint64_t>(bytes_in(bad), 8, 1024);
  write_be<std::uint32_t>(bytes_in(bad), 16, static_cast<std::uint32_t>(name.size()));
  expect_refused(probe(bad), ErrorCode::permission_denied, "/etc/shadow");
  write_be<std::uint64_t>(bytes_in(bad), 8, std::uint64_t{1} << 63);
  expect_refused(probe(bad), ErrorCode::data_corrupt, "name of its backing file");
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const auto at = text.find(from);
  require(at != std::string::npos && to.size() <= from.size(), "bad replacement in a test");
  return text.replace(at, from.size(), to + std::string(from.size() - to.size(), ' '));
}

TEST_F(ImageProbeTest, VmdkThatNamesOtherFilesIsRefused) {
  const std::string good = image("vmdk");
  ASSERT_TRUE(probe(good));
  expect_refused(probe(replaced(good, "parentCID=ffffffff", "parentCID=12345678")), ErrorCode::permission_denied,
                 "parent");
  expect_refused(probe(replaced(good, "createType=\"monolithicSparse\"", "createType=\"monolithicFlat\"")),
                 ErrorCode::permission_denied, "other files");
  expect_refused(probe(replaced(good, "# The Disk Data Base", "parentFileNameHint=x")), ErrorCode::permission_denied,
                 "parent");
  expect_refused(probe(replaced(good, "RW 8192 SPARSE \"a.vmdk\"", "RW 8192 FLAT \"/etc/a\"")),
                 ErrorCode::permission_denied, "another file");
  expect_refused(probe(replaced(good, "# The Disk Data Base", "RW 1 SPARSE \"/b\"")), ErrorCode::permission_denied,
                 "2 extents");
  std::string no_capacity = good;
  no_capacity.replace(12, 8, std::string(8, '\0'));
  expect_refused(probe(no_capacity), ErrorCode::permission_denied, "other files");
  expect_refused(probe("# Disk DescriptorFile\nversion=1\nRW 100 FLAT \"/etc/shadow\" 0\n" + std::string(600, ' ')),
                 ErrorCode::permission_denied, "names other files");
  expect_refused(probe("# a comment\n\nversion=1\nRW 100 FLAT \"/etc/shadow\" 0\n" + std::string(600, ' ')),
                 ErrorCode::permission_denied, "names other files");
  expect_refused(probe(good.substr(0, 700)), ErrorCode::data_corrupt, "past the end");
}

TEST_F(ImageProbeTest, VdiDifferencesAndAbsurditiesAreRefused) {
  const std::string good = image("vdi");
  std::string bad = good;
  bad[0x4c] = 4;
  expect_refused(probe(bad), ErrorCode::permission_denied, "difference");
  bad = good;
  bad[0x1a8 + 3] = 1;
  expect_refused(probe(bad), ErrorCode::permission_denied, "difference");
  bad = good;
  bad[0x1b8] = 1;
  expect_refused(probe(bad), ErrorCode::permission_denied, "difference");
  bad = good;
  bad.replace(0x154, 4, "\xff\xff\xff\xff");
  expect_refused(probe(bad), ErrorCode::data_corrupt, "past the end");
  bad = good;
  bad.replace(0x170, 8, std::string(8, '\xff'));
  expect_refused(probe(bad), ErrorCode::data_corrupt, "size");
}

TEST_F(ImageProbeTest, VhdxWithAParentOrDamageIsRefused) {
  const std::string good = image("vhdx");
  const std::string parameters("\x37\x67\xa1\xca\x36\xfa\x43\x4d\xb3\xb6\x33\xf0\xaa\x44\xe7\x6b", 16);
  const std::string locator("\x2d\x5f\xd3\xa8\x0b\xb3\x4d\x45\xab\xf7\xd3\xd8\x48\x34\xab\x0c", 16);
  const auto entry = good.find(parameters);
  ASSERT_NE(entry, std::string::npos);
  std::string bad = good;
  bad.replace(entry, 16, locator);
  expect_refused(probe(bad), ErrorCode::permission_denied, "parent");

  bad = good;
  const auto region = entry / 65536 * 65536;
  const auto item = region + read_le<std::uint32_t>(bytes_in(bad), entry + 16);
  bad[item + 4] = static_cast<char>(bad[item + 4] | 2);
  expect_refused(probe(bad), ErrorCode::permission_denied, "parent");

  bad = good;
  bad.replace(65536 + 48, 16, std::string(16, 'l'));
  bad.replace(131072 + 48, 16, std::string(16, 'l'));
  expect_refused(probe(bad), ErrorCode::failed_precondition, "log");
  expect_refused(probe(good.substr(0, 200'000)), ErrorCode::data_corrupt, "");
}

TEST_F(ImageProbeTest, WhatIsNoDiskImageIsCalledByItsName) {
  std::string tar(1024, '\0');
  tar.replace(257, 5, "ustar");
  expect_refused(probe(tar), ErrorCode::unsupported, "tar archive");
  expect_refused(probe("PK\x03\x04" + std::string(600, 'z')), ErrorCode::unsupported, "zip");
  expect_refused(probe("\n<!DOCTYPE html><html>" + std::string(600, ' ')), ErrorCode::data_corrupt, "web page");
  expect_refused(probe(std::string("QED\0", 4) + std::string(600, ' ')), ErrorCode::unsupported, "QED");
  expect_refused(probe("conectix" + std::string(600, ' ')), ErrorCode::unsupported, "VHD");
  expect_refused(probe("short"), ErrorCode::data_corrupt, "sector");
  expect_refused(probe(""), ErrorCode::data_corrupt, "sector");
  expect_refused(probe("\x1f\x8b\x08" + std::string(600, ' ')), ErrorCode::unsupported, "more than once");
}

TEST_F(ImageProbeTest, WrappersAreFoundFromTheContent) {
  const auto wrapper = [](std::string text) { return *probe_compression(bytes_in(text)); };
  EXPECT_EQ(wrapper("\x1f\x8b\x08 gzip"), Compression::gzip);
  EXPECT_EQ(wrapper(std::string("\xfd"
                                "7zXZ\0",
                                6)),
            Compression::xz);
  EXPECT_EQ(wrapper("\x28\xb5\x2f\xfd"), Compression::zstd);
  EXPECT_EQ(wrapper("\x51\x2a\x4d\x18"), Compression::zstd);
  EXPECT_EQ(wrapper("QFI\xfb"), Compression::none);
  EXPECT_EQ(wrapper(""), Compression::none);
}

TEST_F(ImageProbeTest, PlainContentIsToldFromAnImageInAnImage) {
  std::string inner = image("qcow2");
  const auto refused = check_plain_content(bytes_of_memory(bytes_in(inner)));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::permission_denied);
  std::string zeros(1 << 20, '\0');
  EXPECT_TRUE(check_plain_content(bytes_of_memory(bytes_in(zeros))));
}

TEST_F(ImageProbeTest, EveryCutAndEveryFlippedByteOfTheHeadersIsSurvived) {
  for (const std::string format : {"qcow2", "vmdk", "vdi", "vhdx"}) {
    std::string bytes = image(format);
    for (std::size_t length = 0; length < 1200; length += 7) {
      (void)probe_image(bytes_of_memory(bytes_in(bytes).first(length)));
    }
    for (std::size_t at = 0; at < 1024; ++at) {
      bytes[at] = static_cast<char>(bytes[at] ^ 0xff);
      (void)probe_image(bytes_of_memory(bytes_in(bytes)));
      bytes[at] = static_cast<char>(bytes[at] ^ 0xff);
    }
  }
}

}  // namespace
}  // namespace bridgehead::storage::testing
