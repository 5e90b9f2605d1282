// A tree with one kernel that can do everything, and a request for it; tests take parts away.
#pragma once

#include "netboot/initramfs/initramfs.h"
#include "netboot/initramfs/testing/cpio_reader.h"
#include "netboot/initramfs/testing/fake_tree.h"

namespace bridgehead::netboot::testing {

inline constexpr const char* kConfig =
    "CONFIG_BLK_DEV_INITRD=y\nCONFIG_RD_GZIP=y\nCONFIG_RD_XZ=y\nCONFIG_RD_ZSTD=y\nCONFIG_DEVTMPFS=y\n"
    "CONFIG_SQUASHFS=m\nCONFIG_SQUASHFS_ZSTD=y\nCONFIG_NFS_V4_1=y\nCONFIG_BRIDGE=m\n# CONFIG_FOO is not set\n";

class InitramfsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto made = TemporaryDirectory::create("initramfs-test");
    ASSERT_TRUE(made);
    directory_ = std::make_unique<TemporaryDirectory>(std::move(*made));
    tree = std::make_unique<FakeTree>(directory_->path() / "tree");
    ASSERT_TRUE(write_file_atomic(path("init"), fake_program()));
    ASSERT_TRUE(write_file_atomic(path("busybox"), fake_program()));
    request.tree = tree->root();
    request.init = path("init");
    request.busybox = path("busybox");
    request.nics = {NicDrivers::Kind::named, {"virtio_net"}};
    request.roots = {model::RootTransport::nbd, model::RootTransport::nfs, model::RootTransport::ram};
  }

  std::filesystem::path path(const std::string& name) const { return directory_->path() / name; }

  // As dpkg unpacks it, before depmod has run.
  void debian(const std::string& version = "6.1.0-9-amd64", const std::string& ending = ".ko") const {
    tree->file("boot/vmlinuz-" + version, "kernel " + version);
    tree->file("boot/config-" + version, kConfig);
    add_modules("lib/modules/" + version + "/", ending);
  }

  void add_modules(const std::string& directory, const std::string& ending) const {
    for (const auto& [name, fields] : boot_modules()) tree->packed(directory + name + ending, fake_module(fields));
  }

  CpioContent build() {
    const auto made = build_initramfs(request, path("out"));
    EXPECT_TRUE(made) << made.error().describe();
    if (!made) return {};
    report = *made;
    const auto packed = read_file(path("out"));
    const auto bytes = decompress(*packed, report.compression, 64_MiB, "the initramfs");
    EXPECT_TRUE(bytes);
    return read_cpio(*bytes);
  }

  Error build_error() {
    const auto made = build_initramfs(request, path("out"));
    EXPECT_FALSE(made);
    EXPECT_FALSE(std::filesystem::exists(path("out")));
    return made ? Error{} : made.error();
  }

  static std::string index_of(const CpioContent& content) {
    return content.entries.at("lib/modules.bridgehead").content;
  }

  std::unique_ptr<FakeTree> tree;
  InitramfsRequest request;
  InitramfsReport report;

 private:
  std::unique_ptr<TemporaryDirectory> directory_;
};

}  // namespace bridgehead::netboot::testing
