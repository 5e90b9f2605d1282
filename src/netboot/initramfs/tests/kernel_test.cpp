// Which kernel is taken, what it lacks, and trees that want to harm.
#include <gmock/gmock.h>
#include <sys/stat.h>

#include "fixture.h"
#include "netboot/initramfs/kernel.h"

namespace bridgehead::netboot {
namespace {

using ::testing::ElementsAre;
using testing::fake_module;
using testing::fake_program;
using ::testing::HasSubstr;
using testing::InitramfsTest;

constexpr auto kModules = "lib/modules/6.1.0-9-amd64/";

TEST(KernelVersions, AreComparedAsNumbers) {
  EXPECT_EQ(compare_kernel_versions("6.1.0-9-amd64", "6.1.0-56-amd64"), -1);
  EXPECT_EQ(compare_kernel_versions("6.10.3-1", "6.9.12-1"), 1);
  EXPECT_EQ(compare_kernel_versions("5.14.0-427.el9.x86_64", "5.14.0-427.13.1.el9_4.x86_64"), -1);
  EXPECT_EQ(compare_kernel_versions("5.14.0-70.el9", "5.14.0-427.el9"), -1);
  EXPECT_EQ(compare_kernel_versions("6.8.0-rc7", "6.8.0"), -1);
  EXPECT_EQ(compare_kernel_versions("6.1.0-56-cloud-amd64", "6.1.0-56-amd64"), -1);
  EXPECT_EQ(compare_kernel_versions("5.14.0-427.el9.x86_64+debug", "5.14.0-427.el9.x86_64"), -1);
  EXPECT_EQ(compare_kernel_versions("6.1.0-56-amd64", "6.1.0-56-amd64"), 0);
}

TEST_F(InitramfsTest, TheNewestKernelIsTakenUnlessOneIsNamed) {
  debian("6.1.0-9-amd64");
  debian("6.1.0-56-amd64");
  tree->file("boot/vmlinuz-7.0.0-1-amd64", "its modules were removed");
  const auto newest = check_kernel(request);
  ASSERT_TRUE(newest);
  EXPECT_EQ(newest->version, "6.1.0-56-amd64");
  EXPECT_THAT(newest->found, ElementsAre("6.1.0-56-amd64", "6.1.0-9-amd64"));
  EXPECT_TRUE(newest->findings.empty());
  request.kernel_version = "6.1.0-9-amd64";
  EXPECT_EQ(check_kernel(request)->version, "6.1.0-9-amd64");
  request.kernel_version = "6.1.0-10-amd64";
  const auto error = build_error();
  EXPECT_EQ(error.code, ErrorCode::not_found);
  EXPECT_THAT(error.hint, HasSubstr("6.1.0-56-amd64, 6.1.0-9-amd64"));
}

TEST_F(InitramfsTest, ATreeWithoutAKernelIsRefusedWithWhatToInstall) {
  tree->file("etc/hostname", "x");
  const auto error = build_error();
  EXPECT_EQ(error.code, ErrorCode::not_found);
  EXPECT_THAT(error.hint, HasSubstr("linux-image-amd64"));
}

TEST_F(InitramfsTest, AMissingDriverIsNamedWithTheFix) {
  debian();
  tree->file("etc/os-release", "ID=debian\n");
  request.nics = {NicDrivers::Kind::named, {"ixgbe"}};
  const auto error = build_error();
  EXPECT_EQ(error.code, ErrorCode::failed_precondition);
  EXPECT_EQ(error.message, "kernel 6.1.0-9-amd64 has no NIC driver ixgbe");
  EXPECT_THAT(error.hint, HasSubstr("linux-image-amd64"));
}

TEST_F(InitramfsTest, EveryMissingPartIsNamed) {
  debian();
  tree->file("etc/os-release", "ID=ubuntu\nID_LIKE=debian\n");
  tree->remove(std::string(kModules) + "kernel/fs/squashfs");
  tree->remove(std::string(kModules) + "kernel/drivers/block/nbd.ko");
  const auto error = build_error();
  EXPECT_EQ(error.code, ErrorCode::failed_precondition);
  EXPECT_THAT(error.message, HasSubstr("CONFIG_SQUASHFS is m, but module squashfs is missing"));
  EXPECT_THAT(error.message, HasSubstr("and it lacks BLK_DEV_NBD"));
  EXPECT_THAT(error.hint, HasSubstr("linux-modules-extra-6.1.0-9-amd64"));
  request.roots = {model::RootTransport::nfs};
  EXPECT_TRUE(build_initramfs(request, path("out")));
}

TEST_F(InitramfsTest, OptionsThatCanOnlyBeBuiltInAreReadFromTheConfiguration) {
  debian();
  tree->file("boot/config-6.1.0-9-amd64",
             "CONFIG_BLK_DEV_INITRD=y\nCONFIG_RD_GZIP=y\nCONFIG_SQUASHFS=m\nCONFIG_NFS_V4_1=y\n");
  const auto checked = check_kernel(request);
  ASSERT_TRUE(checked);
  ASSERT_EQ(checked->findings.size(), 2U);
  EXPECT_EQ(checked->findings[0].needed, "DEVTMPFS");
  EXPECT_EQ(checked->findings[1].needed, "SQUASHFS_ZSTD");
  EXPECT_FALSE(checked->status());
}

TEST_F(InitramfsTest, WithoutAConfigurationItSaysWhatCouldNotBeChecked) {
  debian();
  tree->remove("boot/config-6.1.0-9-amd64");
  build();
  ASSERT_EQ(report.warnings.size(), 1U);
  EXPECT_THAT(report.warnings[0], HasSubstr("boot/config-6.1.0-9-amd64"));
  EXPECT_EQ(report.compression, InitramfsCompression::xz);
}

TEST_F(InitramfsTest, AKernelWithoutKvmServesStorageNodesOnly) {
  debian();
  tree->remove(std::string(kModules) + "kernel/arch/x86/kvm");
  EXPECT_THAT(build_error().message, HasSubstr("no KVM"));
  request.role = "storage";
  build();
  EXPECT_FALSE(report.warnings.empty());
  debian();
  tree->remove(std::string(kModules) + "kernel/arch/x86/kvm/kvm-intel.ko");
  request.role = "compute";
  build();
  ASSERT_EQ(report.warnings.size(), 1U);
  EXPECT_THAT(report.warnings[0], HasSubstr("Intel"));
}

TEST_F(InitramfsTest, LinksThatLeadOutOfTheTreeFindNothing) {
  debian();
  ASSERT_TRUE(write_file_atomic(path("secret.ko"), fake_module({"alias=secret"})));
  const auto module = std::string(kModules) + "kernel/drivers/block/nbd.ko";
  for (const auto& target : {path("secret.ko").native(), std::string("../../../../../../../../secret.ko")}) {
    tree->remove(module);
    tree->link(module, target);
    const auto error = build_error();
    EXPECT_EQ(error.code, ErrorCode::not_found) << target;
    EXPECT_THAT(error.message, HasSubstr("nbd.ko")) << target;
  }
  tree->file(std::string(kModules) + "modules.dep", "../../../../secret.ko:\n");
  EXPECT_EQ(build_error().code, ErrorCode::data_corrupt);
  tree->file(std::string(kModules) + "modules.dep", "/" + path("secret.ko").native() + ":\n");
  EXPECT_EQ(build_error().code, ErrorCode::data_corrupt);
}

TEST_F(InitramfsTest, AbsoluteLinksAreReadAsTheTreesOwn) {
  debian();
  tree->remove("boot/vmlinuz-6.1.0-9-amd64");
  tree->file("opt/kernel", "kernel");
  tree->link("boot/vmlinuz-6.1.0-9-amd64", "/opt/kernel");
  EXPECT_EQ(check_kernel(request)->kernel, "opt/kernel");
}

TEST_F(InitramfsTest, PipesAndDirectoriesArentOpened) {
  debian();
  tree->remove("boot/vmlinuz-6.1.0-9-amd64");
  ASSERT_EQ(::mkfifo((tree->root() / "boot/vmlinuz-6.1.0-9-amd64").c_str(), 0644), 0);
  EXPECT_EQ(build_error().code, ErrorCode::not_found);
}

TEST_F(InitramfsTest, LinksInACircleEndTheSearchForModules) {
  debian();
  for (const auto* name : {"a", "b", "c"}) tree->link(std::string(kModules) + name, ".");
  EXPECT_EQ(build_error().code, ErrorCode::resource_exhausted);
}

TEST_F(InitramfsTest, ADamagedCompressedModuleIsNamed) {
  for (const auto* ending : {".ko.xz", ".ko.zst", ".ko.gz"}) {
    debian("6.1.0-9-amd64", ending);
    const auto file = std::string(kModules) + "kernel/drivers/block/nbd" + ending;
    const auto whole = read_file(tree->root() / file);
    for (const auto& damaged : {whole->substr(0, whole->size() / 2), std::string("no archive"), std::string()}) {
      tree->file(file, damaged);
      const auto error = build_error();
      EXPECT_EQ(error.code, ErrorCode::data_corrupt) << file;
      EXPECT_THAT(error.message, HasSubstr("kernel/drivers/block/nbd")) << file;
    }
    tree->remove("lib");
  }
}

TEST_F(InitramfsTest, ADamagedModuleIsNamed) {
  debian();
  const auto file = std::string(kModules) + "kernel/drivers/block/nbd.ko";
  const auto whole = fake_module({"alias=x"});
  for (std::size_t length = 0; length < whole.size(); length += 7) {
    tree->file(file, whole.substr(0, length));
    const auto error = build_error();
    EXPECT_EQ(error.code, ErrorCode::data_corrupt);
    EXPECT_THAT(error.message, HasSubstr("nbd.ko"));
  }
}

TEST_F(InitramfsTest, ProgramsMustBeStatic) {
  debian();
  ASSERT_TRUE(write_file_atomic(path("busybox"), fake_program(true)));
  const auto error = build_error();
  EXPECT_EQ(error.code, ErrorCode::invalid_argument);
  EXPECT_THAT(error.hint, HasSubstr("busybox-static"));
  ASSERT_TRUE(write_file_atomic(path("busybox"), "#!/bin/sh\n"));
  EXPECT_EQ(build_error().code, ErrorCode::invalid_argument);
}

TEST_F(InitramfsTest, AFailureLeavesWhatWasThere) {
  debian();
  ASSERT_TRUE(write_file_atomic(path("out"), "the old one"));
  request.modules = {"no_such_module"};
  const auto made = build_initramfs(request, path("out"));
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code, ErrorCode::not_found);
  EXPECT_EQ(*read_file(path("out")), "the old one");
}

}  // namespace
}  // namespace bridgehead::netboot
