// Snapshots, and what changes while a guest runs.
#include "hypervisor/tests/libvirt_test.h"

namespace bridgehead::hypervisor {
namespace {

TEST_F(LibvirtTest, SnapshotBringsMemoryAndDiskBack) {
  configure_and_start();
  ASSERT_TRUE(booted());
  auto stream = console();
  ASSERT_TRUE(stream);
  ASSERT_TRUE(stream->write("A"));
  ASSERT_TRUE(hears(*stream, "A"));
  const auto taken = hypervisor->create_snapshot(id, "before");
  ASSERT_TRUE(taken) << taken.error().describe();
  ASSERT_TRUE(hypervisor->create_snapshot(id, "before")) << "the same again is done already";
  ASSERT_TRUE(stream->write("B"));
  ASSERT_TRUE(hears(*stream, "B"));
  stream.reset();
  config.generation = 2;
  config.lease = 11;
  configure();

  const auto back = hypervisor->rollback_snapshot(id, "before");
  ASSERT_TRUE(back) << back.error().describe();
  const auto info = hypervisor->get(id);
  EXPECT_EQ(info->state, GuestState::running);
  EXPECT_EQ(info->lease, 11u) << "a fencing token never goes back";
  EXPECT_EQ(info->generation, 1u) << "its definition did";
  ASSERT_EQ(info->snapshots.size(), 1u);
  EXPECT_EQ(info->snapshots[0].name, "before");
  EXPECT_TRUE(info->snapshots[0].with_memory);
  EXPECT_GT(info->snapshots[0].created.time_since_epoch().count(), 0);
  stream = console();
  ASSERT_TRUE(stream);
  ASSERT_TRUE(stream->write("?"));
  EXPECT_TRUE(hears(*stream, "A"));

  EXPECT_EQ(hypervisor->rollback_snapshot(id, "never").error().code, ErrorCode::not_found);
  ASSERT_TRUE(hypervisor->remove_snapshot(id, "before"));
  ASSERT_TRUE(hypervisor->remove_snapshot(id, "before"));
  EXPECT_TRUE(hypervisor->get(id)->snapshots.empty());
}

TEST_F(LibvirtTest, SnapshotOfAStoppedGuest) {
  configure();
  ASSERT_TRUE(hypervisor->create_snapshot(id, "cold"));
  ASSERT_TRUE(hypervisor->start(id));
  ASSERT_TRUE(hypervisor->rollback_snapshot(id, "cold"));
  EXPECT_EQ(state(), GuestState::stopped);
  EXPECT_FALSE(hypervisor->get(id)->snapshots.at(0).with_memory);
}

TEST_F(LibvirtTest, RawDisksHoldNoSnapshots) {
  config.disks.push_back({.name = "disk1", .path = directory / "golden.raw", .direct_io = false});
  configure();
  const auto refused = hypervisor->create_snapshot(id, "s");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::unsupported);
  EXPECT_NE(refused.error().message.find("disk1"), std::string::npos);
}

TEST_F(LibvirtTest, UefiGuestSnapshotsItsVariablesWhileStopped) {
  config.firmware = model::Firmware::uefi;
  config.nvram = directory / "nvram.fd";
  configure_and_start();
  ASSERT_TRUE(std::filesystem::exists(config.nvram));
  const auto running = hypervisor->create_snapshot(id, "s");
  ASSERT_FALSE(running);
  EXPECT_EQ(running.error().code, ErrorCode::failed_precondition) << running.error().describe();
  ASSERT_TRUE(hypervisor->power_off(id));
  const auto before = read_file(config.nvram);
  const auto taken = hypervisor->create_snapshot(id, "s");
  ASSERT_TRUE(taken) << taken.error().describe();
  ASSERT_TRUE(write_file_atomic(config.nvram, "changed"));
  const auto back = hypervisor->rollback_snapshot(id, "s");
  ASSERT_TRUE(back) << back.error().describe();
  EXPECT_TRUE(*read_file(config.nvram) == *before);
  ASSERT_TRUE(hypervisor->remove(id));
  EXPECT_FALSE(std::filesystem::exists(config.nvram));
  EXPECT_FALSE(std::filesystem::exists(config.nvram.string() + ".snapshot-s"));
}

TEST_F(LibvirtTest, GrowsWhileRunning) {
  must_run("ip", {"link", "add", "br0", "type", "bridge"});
  configure_and_start();
  ASSERT_TRUE(booted());
  config.generation = 2;
  config.cpus = 2;
  config.disks.push_back(overlay("disk1"));
  config.disks[0].size = 96_MiB;
  config.nics = {{.name = "nic0", .mac = "52:b4:9d:00:00:01", .bridge = "br0"}};
  const auto grown = configure();
  EXPECT_FALSE(grown.restart_required);
  EXPECT_EQ(grown.generation, 2u);
  EXPECT_EQ(grown.cpus, 2u);
  const auto live = virsh({"dumpxml", "bh-" + id.str()});
  for (const char* part : {"ua-disk1", "ua-nic0", "<source bridge='br0'/>", "vdb"})
    EXPECT_NE(live.find(part), std::string::npos) << part;
  EXPECT_NE(virsh({"domblkinfo", "bh-" + id.str(), "vda"}).find(std::to_string((96_MiB).count())), std::string::npos);
  // What was plugged in stays in its place for the next start.
  const auto stored = virsh({"dumpxml", "--inactive", "bh-" + id.str()});
  const auto address = [](const std::string& xml, const std::string& alias) {
    const auto at = xml.find("<address", xml.find(alias));
    return xml.substr(at, xml.find("/>", at) - at);
  };
  EXPECT_EQ(address(live, "ua-nic0"), address(stored, "ua-nic0"));
  EXPECT_EQ(address(live, "ua-disk1"), address(stored, "ua-disk1"));

  const auto again = configure();
  EXPECT_FALSE(again.restart_required) << "doing it twice changes nothing";
  EXPECT_EQ(virsh({"dumpxml", "bh-" + id.str()}), live);
  must_run("ip", {"link", "del", "br0"});
}

TEST_F(LibvirtTest, MemoryIsOfferedToARunningGuest) {
  configure_and_start();
  config.memory = 192_MiB;
  const auto info = configure();
  EXPECT_FALSE(info.restart_required);
  EXPECT_NE(virsh({"dumpxml", "bh-" + id.str()}).find("<requested unit='KiB'>65536</requested>"), std::string::npos);
}

TEST_F(LibvirtTest, ADiskThatTheGuestHoldsIsNotRemoved) {
  config.disks.push_back(overlay("disk1"));
  configure_and_start();
  ASSERT_TRUE(booted());
  auto without = config;
  without.disks.pop_back();
  ++without.generation;
  const auto refused = hypervisor->configure(without);  // this guest knows nothing of hot-plug
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::failed_precondition);
  EXPECT_NE(refused.error().message.find("disk1"), std::string::npos) << refused.error().message;
  EXPECT_NE(virsh({"dumpxml", "--inactive", "bh-" + id.str()}).find("ua-disk1"), std::string::npos);
  EXPECT_FALSE(configure().restart_required) << "taken back, nothing waits";
  ASSERT_TRUE(hypervisor->power_off(id));
  config = without;
  EXPECT_FALSE(configure().restart_required);
  EXPECT_EQ(virsh({"dumpxml", "--inactive", "bh-" + id.str()}).find("ua-disk1"), std::string::npos);
}

TEST_F(LibvirtTest, WhatTheGuestRefusesWaitsForItsNextStart) {
  configure_and_start();
  ASSERT_TRUE(booted());
  config.cpu_model = model::CpuModel::baseline;
  const auto info = configure();
  EXPECT_TRUE(info.restart_required);
  EXPECT_TRUE(hypervisor->get(id)->restart_required);
  EXPECT_EQ(state(), GuestState::running);
  ASSERT_TRUE(hypervisor->power_off(id));
  ASSERT_TRUE(hypervisor->start(id));
  EXPECT_FALSE(hypervisor->get(id)->restart_required);
  const auto live = virsh({"dumpxml", "bh-" + id.str()});
  EXPECT_NE(live.find("qemu64"), std::string::npos);
}

TEST_F(LibvirtTest, MachineTypeAndGenerationIdStay) {
  configure();
  auto xml = virsh({"dumpxml", "--inactive", "bh-" + id.str()});
  const auto machine = xml.find("pc-q35-7.2");
  ASSERT_NE(machine, std::string::npos);
  xml.replace(machine, 10, "pc-q35-6.1");
  const auto genid = xml.substr(xml.find("<genid>"), 43);
  ASSERT_TRUE(write_file_atomic(directory / "older.xml", xml));
  virsh({"define", (directory / "older.xml").string()});
  config.memory = 160_MiB;
  configure();
  const auto now = virsh({"dumpxml", "--inactive", "bh-" + id.str()});
  EXPECT_NE(now.find("pc-q35-6.1"), std::string::npos);
  EXPECT_NE(now.find(genid), std::string::npos) << genid;
}

}  // namespace
}  // namespace bridgehead::hypervisor
