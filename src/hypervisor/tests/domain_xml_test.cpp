// Golden files: tests/golden/<case>.xml. Run with BRIDGEHEAD_WRITE_GOLDEN=1 to write them anew, then read the
// difference.
#include "hypervisor/domain_xml.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "base/file.h"

namespace bridgehead::hypervisor {
namespace {

const model::VmId kId("11111111-2222-4333-8444-555555555555");

GuestConfig small() {
  return {.id = kId,
          .name = "web",
          .generation = 3,
          .lease = 7,
          .cpus = 1,
          .max_cpus = 1,
          .memory = 512_MiB,
          .max_memory = 512_MiB,
          .disks = {{.name = "disk0", .path = "/pool/disks/a.raw", .size = 8_GiB}},
          .console_log = "/var/lib/bridgehead/agent/console/a.log"};
}

GuestDisk overlay(const std::string& name) {
  return {.name = name,
          .path = "/pool/disks/" + name + ".qcow2",
          .format = model::ImageFormat::qcow2,
          .size = 4_GiB,
          .direct_io = false,
          .backing = "/pool/golden/g.raw"};
}

Pinned fresh() { return {.machine = "pc-q35-7.2"}; }

GuestMetadata metadata() { return {.id = kId, .generation = 3, .lease = 7}; }

struct Case {
  std::string name;
  GuestConfig config;
  Pinned pinned = fresh();
};

std::vector<Case> cases() {
  std::vector<Case> all{{"small_bios_emulated", small()}};
  auto kvm = small();
  kvm.kvm = true;
  all.push_back({"small_bios_kvm", kvm});

  auto uefi = small();
  uefi.firmware = model::Firmware::uefi;
  uefi.nvram = "/var/lib/bridgehead/agent/nvram/a.fd";
  all.push_back({"uefi", uefi});

  auto baseline = small();
  baseline.cpu_model = model::CpuModel::baseline;
  all.push_back({"baseline_cpu", baseline});

  auto watched = small();
  watched.watchdog = model::Watchdog::reset;
  all.push_back({"watchdog", watched});

  auto grows = small();
  grows.kvm = true;
  grows.cpus = 2;
  grows.max_cpus = 8;
  grows.max_memory = 4_GiB;
  all.push_back({"can_grow", grows});

  auto full = grows;
  full.disks = {overlay("disk0"), {.name = "disk1", .path = "/pool/disks/b.raw", .size = 1_GiB, .direct_io = false}};
  full.nics = {{.name = "nic0", .mac = "52:b4:9d:00:00:01", .bridge = "br0"},
               {.name = "nic1", .mac = "52:b4:9d:00:00:02", .bridge = "br0", .vlan = 100},
               {.name = "nic2", .mac = "52:b4:9d:00:00:03", .network = "aaaaaaaa-2222-4333-8444-555555555555"}};
  full.seed = "/var/lib/bridgehead/agent/seeds/a.iso";
  all.push_back({"disks_nics_seed", full});

  // A guest that exists: what it sees stays where it is, although disk0 is gone and the node's QEMU is newer.
  auto existing = full;
  existing.disks.erase(existing.disks.begin());
  Pinned pinned{.machine = "pc-q35-6.1", .genid = "9e0d1f0c-4a63-4e5e-8f0b-3f5b8f1f6c11", .root_ports = 20};
  pinned.targets = {{"disk1", "vdb"}};
  pinned.addresses = {
      {"disk/ua-disk1", R"(<address type="pci" domain="0x0000" bus="0x07" slot="0x00" function="0x0"/>)"},
      {"interface/ua-nic0", R"(<address type="pci" domain="0x0000" bus="0x01" slot="0x00" function="0x0"/>)"},
      {"controller/pci/1",
       R"(<address type="pci" domain="0x0000" bus="0x00" slot="0x02" function="0x0" multifunction="on"/>)"}};
  all.push_back({"existing_keeps_its_places", existing, pinned});

  auto awkward = small();
  awkward.name = "<a & \"b\">'";
  awkward.disks[0].path = "/pool/a & <b> \"c\"'.raw";
  all.push_back({"names_are_escaped", awkward});
  return all;
}

std::filesystem::path golden(const std::string& name) {
  return std::filesystem::path(BRIDGEHEAD_GOLDEN_DIRECTORY) / (name + ".xml");
}

TEST(DomainXml, LooksAsItDid) {
  for (const auto& [name, config, pinned] : cases()) {
    const auto xml = domain_xml(config, pinned, metadata());
    if (std::getenv("BRIDGEHEAD_WRITE_GOLDEN") != nullptr) {
      ASSERT_TRUE(write_file_atomic(golden(name), xml, 0644));
    }
    const auto expected = read_file(golden(name));
    ASSERT_TRUE(expected) << expected.error().message;
    EXPECT_EQ(xml, *expected) << "case " << name << "; if it's meant, run with BRIDGEHEAD_WRITE_GOLDEN=1";
  }
}

TEST(DomainXml, IsReadBackAsItWas) {
  for (const auto& [name, config, pinned] : cases()) {
    const auto parsed = parse_domain(domain_xml(config, pinned, metadata()));
    ASSERT_TRUE(parsed) << name;
    auto expected = config;
    for (auto& disk : expected.disks) disk.size = {};  // the XML doesn't hold sizes
    for (auto& nic : expected.nics) {
      if (nic.vlan) nic.bridge = vlan_bridge_name(nic.bridge, *nic.vlan);
      nic.vlan.reset();
    }
    EXPECT_EQ(parsed->config, expected) << name;
    EXPECT_EQ(parsed->metadata, metadata()) << name;
    EXPECT_EQ(parsed->pinned.machine, pinned.machine) << name;
    EXPECT_EQ(parsed->pinned.genid, pinned.genid) << name;
    for (const auto& [key, address] : pinned.addresses) EXPECT_TRUE(parsed->pinned.addresses.contains(key)) << key;
  }
}

TEST(DomainXml, HotPluggedMemoryCountsAsMemory) {
  auto config = small();
  config.max_memory = 1_GiB;
  auto xml = domain_xml(config, fresh(), metadata());
  const std::string none = "<requested unit=\"KiB\">0</requested>";
  const auto at = xml.find(none);
  ASSERT_NE(at, std::string::npos);
  xml.replace(at, none.size(), "<requested unit=\"KiB\">262144</requested>");
  const auto parsed = parse_domain(xml);
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->boot_memory, 512_MiB);
  EXPECT_EQ(parsed->config.memory, 768_MiB);
  EXPECT_EQ(parsed->memory_device, 512_MiB);
}

TEST(DomainXml, NewDisksTakeFreeNames) {
  const auto xml = disk_xml(overlay("disk9"), {"vda", "vdb", "vdd"});
  EXPECT_NE(xml.find("dev=\"vdc\""), std::string::npos) << xml;
  std::set<std::string> all;
  for (char c = 'a'; c <= 'z'; ++c) all.insert(fmt::format("vd{}", c));
  EXPECT_NE(disk_xml(overlay("disk9"), all).find("dev=\"vdaa\""), std::string::npos);
}

TEST(DomainXml, ADiskInAnotherFileIsAllThatChanges) {
  auto config = small();
  config.disks.push_back(overlay("disk1"));
  const auto before = domain_xml(config, fresh(), metadata());
  config.disks[1] = {.name = "disk1",
                     .path = "/fast/disks/b.raw",
                     .format = model::ImageFormat::raw,
                     .size = 4_GiB,
                     .direct_io = true};
  const auto changed = with_disk_file(before, config.disks[1]);
  ASSERT_TRUE(changed) << changed.error().describe();
  auto expected = parse_domain(domain_xml(config, fresh(), metadata()));
  auto got = parse_domain(*changed);
  ASSERT_TRUE(expected && got);
  EXPECT_EQ(got->config, expected->config);
  EXPECT_EQ(got->pinned.targets, expected->pinned.targets);
  EXPECT_EQ(got->metadata, expected->metadata);
  EXPECT_EQ(with_disk_file(before, {.name = "disk7"}).error().code, ErrorCode::not_found);
}

TEST(DomainXml, ForeignDomainsAreRefused) {
  EXPECT_FALSE(parse_domain("<domain type='kvm'><name>x</name></domain>"));
  EXPECT_FALSE(parse_domain("not xml <"));
  EXPECT_FALSE(parse_metadata("<bh:vm xmlns:bh='urn:bridgehead:vm:1' id='../../etc'/>"));
}

TEST(DomainXml, MetadataIsReadBack) {
  GuestMetadata full = metadata();
  full.restart_required = true;
  full.seed = "12.34";
  full.vlans = {{"br0", 100}, {"br1", 4094}};
  const auto parsed = parse_metadata(metadata_xml(full));
  ASSERT_TRUE(parsed);
  EXPECT_EQ(*parsed, full);
}

TEST(VlanNames, FitAndDiffer) {
  EXPECT_EQ(vlan_device_name("br0", 100), "br0.100");
  EXPECT_EQ(vlan_bridge_name("br0", 100), "br0v100");
  const auto first = vlan_bridge_name("bridge-with-long1", 4094);
  const auto second = vlan_bridge_name("bridge-with-long2", 4094);
  EXPECT_LE(first.size(), 15u);
  EXPECT_NE(first, second);
}

}  // namespace
}  // namespace bridgehead::hypervisor
