// What goes into an initramfs, from every layout of tree.
#include <gmock/gmock.h>
#include <sys/stat.h>

#include "fixture.h"

namespace bridgehead::netboot {
namespace {

using ::testing::Contains;
using testing::CpioContent;
using ::testing::ElementsAre;
using testing::fake_module;
using ::testing::HasSubstr;
using testing::InitramfsTest;
using ::testing::IsEmpty;
using ::testing::Not;

TEST_F(InitramfsTest, HoldsWhatTheProtocolNames) {
  debian();
  const auto content = build();
  EXPECT_EQ(content.entries.at("init").mode, S_IFREG | 0755U);
  EXPECT_EQ(content.entries.at("init").content, testing::fake_program());
  EXPECT_EQ(content.entries.at("bin/busybox").mode, S_IFREG | 0755U);
  EXPECT_EQ(content.entries.at("bin/sh").content, "busybox");
  EXPECT_EQ(content.entries.at("dev/console").mode, S_IFCHR | 0600U);
  EXPECT_EQ(content.entries.at("dev/console").major, 5U);
  EXPECT_EQ(content.entries.at("dev/console").minor, 1U);
  EXPECT_EQ(content.entries.at("dev/null").major, 1U);
  EXPECT_EQ(content.entries.at("proc").mode, S_IFDIR | 0755U);
  EXPECT_EQ(content.entries.at("lib/modules/6.1.0-9-amd64/kernel/net/llc/llc.ko").content, fake_module({}));
  const auto index = index_of(content);
  EXPECT_TRUE(index.starts_with("always virtio_pci\nalways bridge\nalways overlay\nmodule ")) << index;
  EXPECT_THAT(index, HasSubstr("\nmodule nfsv4 kernel/fs/nfs/nfsv4.ko sunrpc nfs\n"));
  EXPECT_THAT(index, HasSubstr("\nmodule bridge kernel/net/bridge/bridge.ko llc stp\n"));
  EXPECT_THAT(index, HasSubstr("\nalias virtio:d00000001v* virtio_net\n"));
  EXPECT_THAT(index, HasSubstr("\nalias fs-squashfs squashfs\n"));
  EXPECT_THAT(index, Not(HasSubstr("kvm")));
  EXPECT_EQ(report.kernel, "boot/vmlinuz-6.1.0-9-amd64");
  EXPECT_EQ(report.compression, InitramfsCompression::zstd);
  EXPECT_EQ(report.size.count(), std::filesystem::file_size(path("out")));
  EXPECT_THAT(report.nic_drivers, ElementsAre("virtio_net"));
  EXPECT_THAT(report.warnings, IsEmpty());
}

TEST_F(InitramfsTest, SoftDependenciesOnCryptoComeAlongButNotThoseOfOneCpuAsANeed) {
  debian();
  const auto index = index_of(build());
  EXPECT_THAT(index, HasSubstr("\nmodule squashfs kernel/fs/squashfs/squashfs.ko crc32c_generic libcrc32c\n"));
  EXPECT_THAT(index, HasSubstr("\nmodule crc32c_intel kernel/arch/x86/crypto/crc32c-intel.ko\n"));
  EXPECT_THAT(index, HasSubstr("\nalias cpu:type:x86,ven*fam*mod*:feature:*0094* crc32c_intel\n"));
}

TEST_F(InitramfsTest, EntriesAreInOrderAndSayNothingOfTheMachineThatMadeThem) {
  debian();
  const auto content = build();
  EXPECT_TRUE(std::is_sorted(content.order.begin(), content.order.end()));
  std::uint32_t inode = 0;
  for (const auto& name : content.order) {
    const auto& entry = content.entries.at(name);
    EXPECT_EQ(entry.inode, ++inode);
    EXPECT_EQ(entry.mtime, 0U);
    EXPECT_EQ(entry.uid, 0U);
    const auto slash = name.rfind('/');
    if (slash == std::string::npos) continue;
    EXPECT_TRUE(content.entries.contains(name.substr(0, slash))) << name;
  }
}

TEST_F(InitramfsTest, TheSameInputGivesTheSameBytes) {
  debian();
  build();
  const auto first = read_file(path("out"));
  tree->remove("lib");
  debian();  // new files, new times, new inodes
  build();
  EXPECT_EQ(*first, *read_file(path("out")));
}

TEST_F(InitramfsTest, DepmodsFilesGiveTheSameAsTheModulesThemselves) {
  debian();
  const auto scanned = index_of(build());
  const std::string base = "lib/modules/6.1.0-9-amd64/";
  std::string dependencies;
  for (const auto& [name, fields] : testing::boot_modules()) dependencies += name + ".ko:\n";
  const auto needs = [&](const std::string& name, const std::string& others) {
    const auto at = dependencies.find(name + ".ko:") + name.size() + 4;
    dependencies.insert(at, others);
  };
  // depmod writes what is to be loaded first last.
  needs("802/stp", " kernel/net/llc/llc.ko");
  needs("bridge/bridge", " kernel/net/802/stp.ko kernel/net/llc/llc.ko");
  needs("squashfs/squashfs", " kernel/lib/libcrc32c.ko");
  needs("nfs/nfs", " kernel/net/sunrpc/sunrpc.ko");
  needs("nfs/nfsv4", " kernel/fs/nfs/nfs.ko kernel/net/sunrpc/sunrpc.ko");
  needs("virtio/virtio", " kernel/drivers/virtio/virtio_ring.ko");
  needs("virtio/virtio_pci", " kernel/drivers/virtio/virtio.ko kernel/drivers/virtio/virtio_ring.ko");
  needs("net/virtio_net", " kernel/drivers/virtio/virtio.ko kernel/drivers/virtio/virtio_ring.ko");
  tree->file(base + "modules.dep", dependencies);
  tree->file(base + "modules.alias", "# Aliases\nalias crc32c crc32c_intel\nalias crc32c crc32c_generic\n");
  EXPECT_EQ(index_of(build()), scanned);
}

TEST_F(InitramfsTest, FedorasLayoutWithMergedUsrAndXz) {
  const std::string version = "5.14.0-427.13.1.el9_4.x86_64";
  const std::string modules = "usr/lib/modules/" + version + "/";
  tree->file("etc/os-release", "ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n");
  tree->file("usr/lib/placeholder", "");
  tree->link("lib", "usr/lib");
  tree->file(modules + "vmlinuz", "kernel");
  tree->file(modules + "config",
             "CONFIG_BLK_DEV_INITRD=y\nCONFIG_RD_XZ=y\nCONFIG_DEVTMPFS=y\nCONFIG_SQUASHFS_ZSTD=y\nCONFIG_NFS_V4_1=y\n");
  tree->file("boot/vmlinuz-0-rescue-0123456789abcdef", "not for us");
  add_modules(modules, ".ko.xz");
  const auto content = build();
  EXPECT_EQ(report.kernel_version, version);
  EXPECT_EQ(report.kernel, modules + "vmlinuz");
  EXPECT_EQ(report.compression, InitramfsCompression::xz);
  EXPECT_EQ(content.entries.at("lib/modules/" + version + "/kernel/net/llc/llc.ko").content, fake_module({}));
}

TEST_F(InitramfsTest, UbuntusLayoutWithZstdAndFirmware) {
  debian("6.8.0-45-generic", ".ko.zst");
  tree->link("boot/vmlinuz", "vmlinuz-6.8.0-45-generic");
  tree->packed("lib/modules/6.8.0-45-generic/kernel/drivers/net/ethernet/broadcom/bnx2.ko.zst",
               fake_module({"firmware=bnx2/a.fw", "firmware=bnx2/b.fw", "firmware=../../../etc/passwd"}));
  tree->packed("usr/lib/firmware/bnx2/a.fw.zst", "the firmware");
  request.nics = {NicDrivers::Kind::servers, {}};
  const auto content = build();
  EXPECT_EQ(content.entries.at("lib/firmware/bnx2/a.fw").content, "the firmware");
  EXPECT_THAT(report.firmware, ElementsAre("bnx2/a.fw"));
  EXPECT_THAT(report.missing_firmware, ElementsAre("bnx2/b.fw (bnx2)", "../../../etc/passwd (bnx2)"));
  EXPECT_THAT(report.nic_drivers, ElementsAre("bnx2", "virtio_net"));
}

TEST_F(InitramfsTest, ADriverThatIsUselessWithoutItsFirmwareIsWarnedOfWhenNamed) {
  debian();
  tree->file("lib/modules/6.1.0-9-amd64/kernel/drivers/net/ethernet/broadcom/bnx2.ko",
             fake_module({"firmware=bnx2/a.fw"}));
  request.nics = {NicDrivers::Kind::named, {"bnx2"}};
  build();
  EXPECT_THAT(report.warnings, Contains(HasSubstr("firmware-bnx2")));
}

TEST_F(InitramfsTest, WhatIsBuiltInNeedsNoModule) {
  debian();
  const std::string base = "lib/modules/6.1.0-9-amd64/";
  for (const auto* gone : {"kernel/net/bridge/bridge.ko", "kernel/lib/libcrc32c.ko", "kernel/drivers/block/loop.ko"}) {
    tree->remove(base + gone);
  }
  tree->file(
      base + "modules.builtin",
      "kernel/net/bridge/bridge.ko\nkernel/lib/libcrc32c.ko\nkernel/drivers/net/ethernet/intel/e1000e/e1000e.ko\n");
  tree->file("boot/config-6.1.0-9-amd64", std::string(testing::kConfig) + "CONFIG_BLK_DEV_LOOP=y\n");
  request.nics = {NicDrivers::Kind::named, {"e1000e"}};
  const auto index = index_of(build());
  EXPECT_THAT(report.nic_drivers, ElementsAre("e1000e"));
  EXPECT_THAT(index, HasSubstr("\nmodule squashfs kernel/fs/squashfs/squashfs.ko\n"));
  for (const auto* name : {"module bridge", "always bridge", "libcrc32c", "loop", "e1000e"})
    EXPECT_THAT(index, Not(HasSubstr(name)));
}

TEST_F(InitramfsTest, DriversThatAskModprobeForOthersBringThem) {
  debian();
  const std::string base = "lib/modules/6.1.0-9-amd64/kernel/drivers/net/";
  tree->file(base + "ethernet/mellanox/mlx4_core.ko", fake_module({"alias=pci:v000015B3d00001003sv*sd*bc*sc*i*"}));
  tree->file(base + "ethernet/mellanox/mlx4_en.ko", fake_module({"depends=mlx4_core"}));
  tree->file(base + "ethernet/broadcom/tg3.ko", fake_module({"depends=libphy"}));
  tree->file(base + "phy/libphy.ko", fake_module({}));
  tree->file(base + "phy/broadcom.ko", fake_module({"depends=libphy"}));
  request.nics = {NicDrivers::Kind::named, {"mlx4_en", "tg3"}};
  const auto index = index_of(build());
  EXPECT_THAT(report.nic_drivers, ElementsAre("mlx4_core", "mlx4_en", "tg3")) << "a NIC tells the name of the first";
  EXPECT_THAT(index, HasSubstr("\nalias pci:v000015B3d00001003sv*sd*bc*sc*i* mlx4_core\n"));
  EXPECT_THAT(index, HasSubstr("\nalias pci:v000015B3d00001003sv*sd*bc*sc*i* mlx4_en\n"));
  EXPECT_THAT(index, HasSubstr("\nmodule mlx4_en kernel/drivers/net/ethernet/mellanox/mlx4_en.ko mlx4_core\n"));
  EXPECT_THAT(index, HasSubstr("\nmodule tg3 kernel/drivers/net/ethernet/broadcom/tg3.ko libphy broadcom\n"));
}

TEST_F(InitramfsTest, VlanBondAndNamedModules) {
  debian();
  const std::string base = "lib/modules/6.1.0-9-amd64/kernel/";
  tree->file(base + "net/8021q/8021q.ko", fake_module({}));
  tree->file(base + "drivers/net/bonding/bonding.ko", fake_module({}));
  tree->file(base + "drivers/nvme/host/nvme.ko", fake_module({"depends=nvme-core"}));
  tree->file(base + "drivers/nvme/host/nvme-core.ko", fake_module({}));
  EXPECT_THAT(index_of(build()), Not(HasSubstr("8021q")));
  request.vlan = true;
  request.bond = true;
  request.modules = {"nvme"};
  const auto index = index_of(build());
  EXPECT_THAT(index, HasSubstr("\nmodule 8021q "));
  EXPECT_THAT(index, HasSubstr("\nmodule bonding "));
  EXPECT_THAT(index, HasSubstr("\nalways nvme\n"));
  EXPECT_THAT(index, HasSubstr("\nmodule nvme kernel/drivers/nvme/host/nvme.ko nvme_core\n"));
}

TEST_F(InitramfsTest, AllMeansEveryEthernetDriver) {
  debian();
  const std::string base = "lib/modules/6.1.0-9-amd64/kernel/drivers/net/";
  tree->file(base + "ethernet/dec/tulip.ko", fake_module({"alias=pci:v00001011d*"}));
  tree->file(base + "wireless/ath/ath9k.ko", fake_module({}));
  request.nics = {NicDrivers::Kind::all, {}};
  build();
  EXPECT_THAT(report.nic_drivers, ElementsAre("tulip", "virtio_net"));
}

TEST_F(InitramfsTest, ModulesThatNeedEachOtherInACircleEnd) {
  debian();
  const std::string base = "lib/modules/6.1.0-9-amd64/kernel/";
  tree->file(base + "a.ko", fake_module({"depends=b"}));
  tree->file(base + "b.ko", fake_module({"depends=a"}));
  request.modules = {"a"};
  EXPECT_THAT(index_of(build()), HasSubstr("\nmodule a kernel/a.ko b\n"));
}

TEST_F(InitramfsTest, TheReportAsJson) {
  debian();
  build();
  const auto json = to_json(report);
  EXPECT_EQ(json.at("kernel_version"), "6.1.0-9-amd64");
  EXPECT_EQ(json.at("modules").size(), report.modules.size());
  EXPECT_EQ(json.at("modules").at(0).at("size"), report.modules.at(0).size.count());
  EXPECT_EQ(json.at("compression"), "zstd");
}

TEST(NicDrivers, AreParsed) {
  EXPECT_EQ(parse_nic_drivers("servers")->kind, NicDrivers::Kind::servers);
  EXPECT_EQ(parse_nic_drivers("all")->kind, NicDrivers::Kind::all);
  const auto both = parse_nic_drivers("servers,ice");
  ASSERT_TRUE(both);
  EXPECT_EQ(both->kind, NicDrivers::Kind::servers);
  EXPECT_THAT(both->names, ElementsAre("ice"));
  EXPECT_EQ(parse_nic_drivers("e1000e,igb")->kind, NicDrivers::Kind::named);
  EXPECT_FALSE(parse_nic_drivers(""));
  EXPECT_FALSE(parse_nic_drivers("../x"));
}

}  // namespace
}  // namespace bridgehead::netboot
