// An initramfs that dracut has made in the tree.
#include <gmock/gmock.h>

#include "fixture.h"
#include "netboot/initramfs/cpio.h"

namespace bridgehead::netboot {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr auto kFile = "boot/initramfs-6.1.0-9-amd64.img";

class GivenInitramfsTest : public testing::InitramfsTest {
 protected:
  static std::string archive(const std::string& program) {
    CpioArchive cpio;
    cpio.add_file(program, "program", 0755);
    return cpio.bytes();
  }
  static std::string packed(const std::string& program, InitramfsCompression compression) {
    return *compress(archive(program), compression);
  }
  Result<InitramfsReport> take(const std::string& content) {
    tree->file(kFile, content);
    return take_initramfs(request, kFile, path("out"));
  }
};

TEST_F(GivenInitramfsTest, IsCopiedAsItIsHoweverItIsCompressed) {
  debian();
  for (const auto compression :
       {InitramfsCompression::none, InitramfsCompression::gzip, InitramfsCompression::xz, InitramfsCompression::zstd}) {
    // Microcode stands before it, padded.
    const auto content =
        archive("kernel/x86/microcode") + std::string(512, '\0') + packed("usr/bin/bridgehead-init", compression);
    const auto taken = take(content);
    ASSERT_TRUE(taken) << taken.error().describe();
    EXPECT_EQ(*read_file(path("out")), content);
    EXPECT_EQ(taken->compression, compression);
    EXPECT_EQ(taken->size, Bytes(content.size()));
    EXPECT_EQ(taken->kernel, "boot/vmlinuz-6.1.0-9-amd64");
    EXPECT_THAT(taken->warnings, IsEmpty());
  }
}

TEST_F(GivenInitramfsTest, BelongsToTheKernelWhoseModulesItHas) {
  debian();
  debian("6.9.0-1-amd64");
  const auto with_modules_of = [](const std::string& version) {
    CpioArchive cpio;
    cpio.add_file("usr/bin/bridgehead-init", "program TRAILER!!! lib/modules/6.9.0-1-amd64/", 0755);
    cpio.add_file("usr/lib/modules/" + version + "/kernel/fs/squashfs/squashfs.ko.xz", "");
    return *compress(cpio.bytes(), InitramfsCompression::zstd);
  };
  tree->file("boot/initramfs-6.9.0-1-amd64.img", with_modules_of("6.1.0-9-amd64"));
  const auto taken = take_initramfs(request, "boot/initramfs-6.9.0-1-amd64.img", path("out"));
  ASSERT_TRUE(taken) << taken.error().describe();
  EXPECT_EQ(taken->kernel_version, "6.1.0-9-amd64") << "whatever its name says";
  const auto foreign = take(with_modules_of("5.14.0-1.el9"));
  ASSERT_FALSE(foreign);
  EXPECT_EQ(foreign.error().code, ErrorCode::failed_precondition);
  EXPECT_THAT(foreign.error().message, HasSubstr("5.14.0-1.el9"));
}

TEST_F(GivenInitramfsTest, WithoutModulesItBelongsToTheKernelInItsName) {
  debian();
  debian("6.9.0-1-amd64");
  const auto taken = take(packed("usr/bin/bridgehead-init", InitramfsCompression::gzip));
  ASSERT_TRUE(taken) << taken.error().describe();
  EXPECT_EQ(taken->kernel_version, "6.1.0-9-amd64");
  tree->file("boot/other.img", *read_file(tree->root() / kFile));
  EXPECT_EQ(take_initramfs(request, "boot/other.img", path("out"))->kernel_version, "6.9.0-1-amd64");
}

TEST_F(GivenInitramfsTest, WithoutOurProgramIsRefused) {
  debian();
  const auto taken = take(packed("usr/bin/dracut-mount", InitramfsCompression::zstd));
  ASSERT_FALSE(taken);
  EXPECT_EQ(taken.error().code, ErrorCode::failed_precondition);
  EXPECT_THAT(taken.error().hint, HasSubstr("--add bridgehead"));
  EXPECT_FALSE(std::filesystem::exists(path("out")));
}

TEST_F(GivenInitramfsTest, OfOurDracutModuleOfBeforeIsRefused) {
  debian();
  CpioArchive cpio;
  cpio.add_file("usr/bin/bridgehead-init", "program", 0755);
  cpio.add_file("usr/lib/modules/6.1.0-9-amd64/kernel/fs/erofs/erofs.ko", "");
  const auto content = *compress(cpio.bytes(), InitramfsCompression::zstd);
  const auto taken = take(content);
  ASSERT_FALSE(taken);
  EXPECT_EQ(taken.error().code, ErrorCode::failed_precondition);
  EXPECT_THAT(taken.error().message, HasSubstr("squashfs"));
  EXPECT_THAT(taken.error().hint, HasSubstr("make it again"));
  EXPECT_FALSE(std::filesystem::exists(path("out")));
}

TEST_F(GivenInitramfsTest, DamagedOnesAreRefusedAndUnknownOnesTakenWithAWarning) {
  debian();
  auto damaged = packed("usr/bin/bridgehead-init", InitramfsCompression::xz);
  damaged.resize(damaged.size() - 20);
  EXPECT_EQ(take(damaged).error().code, ErrorCode::data_corrupt);
  const auto taken = take("\x02!L\x18 lz4");
  ASSERT_TRUE(taken);
  EXPECT_THAT(taken->warnings, Contains(HasSubstr("wasn't looked at")));
}

TEST_F(GivenInitramfsTest, ItsKernelIsHeldToTheSameAsForOneOfOurs) {
  debian();
  tree->remove("lib/modules/6.1.0-9-amd64/kernel/fs/overlayfs");
  const auto taken = take(packed("usr/bin/bridgehead-init", InitramfsCompression::gzip));
  ASSERT_FALSE(taken);
  EXPECT_EQ(taken.error().code, ErrorCode::failed_precondition);
  EXPECT_EQ(take_initramfs(request, "boot/none.img", path("out")).error().code, ErrorCode::not_found);
}

}  // namespace
}  // namespace bridgehead::netboot
