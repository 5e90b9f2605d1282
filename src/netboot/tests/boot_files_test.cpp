#include "netboot/boot_files.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "base/file.h"

namespace bridgehead::netboot {
namespace {

class BootFilesTest : public ::testing::Test {
 protected:
  void install(const std::string& path, const std::string& content) {
    ASSERT_TRUE(make_directories((system / path).parent_path()));
    ASSERT_TRUE(write_file_atomic(system / path, content, 0600));
  }
  BootFiles collect() {
    auto files = collect_boot_files(tftp, http, "http://10.20.0.1:7480", system);
    EXPECT_TRUE(files) << files.error().describe();
    return files ? *files : BootFiles{};
  }
  TemporaryDirectory temporary = *TemporaryDirectory::create();
  std::filesystem::path system = temporary.path() / "system";
  std::filesystem::path tftp = temporary.path() / "tftp";
  std::filesystem::path http = temporary.path() / "http";
};

TEST_F(BootFilesTest, CopiesWhatIsThereAndNamesWhatIsNot) {
  for (const char* file : {"undionly.kpxe", "snponly.efi", "ipxe.efi"})
    install(std::string("usr/lib/ipxe/") + file, file);
  install("usr/lib/shim/shimx64.efi.signed", "shim");
  const auto files = collect();
  EXPECT_TRUE(files.can(model::BootMethod::ipxe));
  EXPECT_FALSE(files.can(model::BootMethod::pxelinux));
  EXPECT_FALSE(files.can(model::BootMethod::shim));
  EXPECT_FALSE(files.memtest);
  EXPECT_NE(files.explain_missing().find("pxelinux.0 isn't there: install the package pxelinux"), std::string::npos);
  EXPECT_NE(files.explain_missing().find("grubx64.efi isn't there: install the package grub-efi-amd64-signed"),
            std::string::npos);
  EXPECT_EQ(read_file(tftp / "undionly.kpxe").value_or(""), "undionly.kpxe");
  EXPECT_EQ(read_file(http / "ipxe.efi").value_or(""), "ipxe.efi");
  EXPECT_EQ(read_file(tftp / "shimx64.efi").value_or(""), "shim");
  EXPECT_TRUE(read_file(tftp / "bridgehead.ipxe").value_or("").starts_with("#!ipxe\n"));
  struct stat info {};
  ASSERT_EQ(::stat((tftp / "undionly.kpxe").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0644u) << "dnsmasq reads it as another user";

  install("usr/lib/ipxe/undionly.kpxe", "newer");
  install("boot/memtest86+x64.bin", "m");
  install("boot/memtest86+x64.efi", "m");
  EXPECT_TRUE(collect().memtest);
  EXPECT_EQ(read_file(tftp / "undionly.kpxe").value_or(""), "newer");
}

TEST_F(BootFilesTest, WhatHasNotChangedIsNotTouched) {
  install("usr/lib/ipxe/ipxe.efi", "loader");
  const auto image = temporary.path() / "image";
  ASSERT_TRUE(make_directories(image));
  const auto inodes = [&] {
    std::vector<ino_t> found;
    for (const auto& path : {tftp / "ipxe.efi", http / "ipxe.efi", tftp / "images/nimg-1/vmlinuz"}) {
      struct stat info {};
      EXPECT_EQ(::lstat(path.c_str(), &info), 0) << path;
      found.push_back(info.st_ino);
    }
    return found;
  };
  collect();
  ASSERT_TRUE(publish_tftp_image(tftp, "nimg-1", image));
  const auto before = inodes();
  collect();
  ASSERT_TRUE(publish_tftp_image(tftp, "nimg-1", image));
  EXPECT_EQ(inodes(), before);
  const auto moved = temporary.path() / "moved";
  ASSERT_TRUE(make_directories(moved));
  ASSERT_TRUE(publish_tftp_image(tftp, "nimg-1", moved));
  EXPECT_EQ(std::filesystem::read_symlink(tftp / "images/nimg-1/vmlinuz"), moved / "vmlinuz");
}

TEST_F(BootFilesTest, PublishesAndWithdraws) {
  collect();
  const auto image = temporary.path() / "image";
  ASSERT_TRUE(make_directories(image));
  ASSERT_TRUE(write_file_atomic(image / "vmlinuz", "kernel"));
  ASSERT_TRUE(write_file_atomic(image / "initramfs.img", "initramfs"));
  for (int i = 0; i < 2; ++i) ASSERT_TRUE(publish_tftp_image(tftp, "nimg-1", image)) << "twice is fine";
  EXPECT_EQ(read_file(tftp / "images/nimg-1/vmlinuz").value_or(""), "kernel");
  ASSERT_TRUE(withdraw_tftp_image(tftp, "nimg-1"));
  ASSERT_TRUE(withdraw_tftp_image(tftp, "nimg-1"));
  EXPECT_FALSE(std::filesystem::exists(tftp / "images/nimg-1"));
  EXPECT_EQ(read_file(image / "vmlinuz").value_or(""), "kernel");
  EXPECT_FALSE(publish_tftp_image(tftp, "../x", image));
  EXPECT_FALSE(publish_tftp_image(tftp, "nimg-2", image / "missing"));
}

TEST_F(BootFilesTest, LoaderConfigurations) {
  collect();
  const auto fallback = read_file(tftp / "pxelinux.cfg/default");
  ASSERT_TRUE(fallback);
  ASSERT_TRUE(publish_loader_config(tftp, model::BootMethod::pxelinux, "52:54:00:12:34:AB", "text"));
  EXPECT_EQ(read_file(tftp / "pxelinux.cfg/01-52-54-00-12-34-ab").value_or(""), "text");
  ASSERT_TRUE(publish_loader_config(tftp, model::BootMethod::shim, "52:54:00:12:34:ab", "grub"));
  EXPECT_EQ(read_file(tftp / "grub/grub.cfg-01-52-54-00-12-34-ab").value_or(""), "grub");
  ASSERT_TRUE(publish_loader_config(tftp, model::BootMethod::shim, "", "discovery"));
  collect();
  EXPECT_EQ(read_file(tftp / "grub/discovery.cfg").value_or(""), "discovery") << "kept by the next collection";
  EXPECT_NE(read_file(tftp / "grub/grub.cfg").value_or("").find("configfile $prefix/discovery.cfg"), std::string::npos);
  ASSERT_TRUE(publish_loader_config(tftp, model::BootMethod::shim, "52:54:00:12:34:ab", ""));
  EXPECT_FALSE(std::filesystem::exists(tftp / "grub/grub.cfg-01-52-54-00-12-34-ab"));
  EXPECT_FALSE(publish_loader_config(tftp, model::BootMethod::shim, "../../x", "evil"));
  EXPECT_FALSE(publish_loader_config(tftp, model::BootMethod::ipxe, "52:54:00:12:34:ab", "x"));
}

}  // namespace
}  // namespace bridgehead::netboot
