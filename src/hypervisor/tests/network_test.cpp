#include <gtest/gtest.h>

#include "base/file.h"
#include "base/testing/fake_command_runner.h"
#include "hypervisor/network_xml.h"
#include "hypervisor/vlan_bridge.h"

namespace bridgehead::hypervisor {
namespace {

model::Network nat(const std::string& subnet) {
  model::Network network;
  network.id = model::NetworkId("aaaaaaaa-2222-4333-8444-555555555555");
  network.name = "default";
  network.subnet = subnet;
  return network;
}

TEST(NatNetwork, GatewayIsTheFirstAddressAndTheRestIsGivenOut) {
  const auto xml = network_xml(nat("192.168.120.0/24"));
  ASSERT_TRUE(xml);
  for (const char* part : {R"(<ip address="192.168.120.1" prefix="24">)",
                           R"(start="192.168.120.2" end="192.168.120.254")", R"(<forward mode="nat")",
                           R"(<bridge name="bhaaaaaaaa")", "<uuid>aaaaaaaa-2222-4333-8444-555555555555</uuid>"}) {
    EXPECT_NE(xml->find(part), std::string::npos) << part << " in " << *xml;
  }
  EXPECT_TRUE(is_our_network(*xml));
  EXPECT_TRUE(same_network(*xml, nat("192.168.120.0/24")));
  EXPECT_FALSE(same_network(*xml, nat("192.168.121.0/24")));
  EXPECT_FALSE(is_our_network("<network><name>default</name></network>"));
}

TEST(NatNetwork, StrangeSubnetsAreRefused) {
  for (const char* subnet :
       {"", "192.168.120.0", "192.168.120.0/31", "10.0.0.0/8", "fd00::/64", "1.2.3.4/24x", "x/24"}) {
    const auto xml = network_xml(nat(subnet));
    ASSERT_FALSE(xml) << subnet;
    EXPECT_EQ(xml.error().code, ErrorCode::invalid_argument);
    EXPECT_FALSE(xml.error().hint.empty());
  }
}

class VlanBridge : public ::testing::Test {
 protected:
  void SetUp() override {
    devices.sys = directory->path() / "sys";
    devices.proc = directory->path() / "proc";
    std::filesystem::create_directories(devices.sys / "br0/bridge");
  }
  std::vector<std::string> ran() const {
    std::vector<std::string> lines;
    for (const auto& command : commands.commands) lines.push_back(command.describe());
    return lines;
  }
  Result<TemporaryDirectory> directory = TemporaryDirectory::create();
  NetworkDevices devices;
  bridgehead::testing::FakeCommandRunner commands;
};

TEST_F(VlanBridge, MakesDeviceAndBridge) {
  ASSERT_TRUE(ensure_vlan_bridge(commands, "br0", 100, devices));
  EXPECT_EQ(ran(), (std::vector<std::string>{"ip link add link br0 name br0.100 type vlan id 100",
                                             "ip link add br0v100 type bridge", "ip link set br0.100 master br0v100 up",
                                             "ip link set br0v100 up"}));
}

TEST_F(VlanBridge, LetsTheTagThroughAFilteringBridge) {
  ASSERT_TRUE(write_file_atomic(devices.sys / "br0/bridge/vlan_filtering", "1\n"));
  ASSERT_TRUE(ensure_vlan_bridge(commands, "br0", 100, devices));
  EXPECT_EQ(ran().front(), "bridge vlan add dev br0 vid 100 self");
}

TEST_F(VlanBridge, RunsNothingWhenItIsThere) {
  std::filesystem::create_directories(devices.sys / "br0v100/brif/br0.100");
  ASSERT_TRUE(ensure_vlan_bridge(commands, "br0", 100, devices));
  EXPECT_TRUE(ran().empty());
}

TEST_F(VlanBridge, SaysWhatIsMissing) {
  const auto no_bridge = ensure_vlan_bridge(commands, "br7", 100, devices);
  ASSERT_FALSE(no_bridge);
  EXPECT_EQ(no_bridge.error().code, ErrorCode::failed_precondition);
  commands.answers.push_back(fail(ErrorCode::io_error, "ip: Error: Unknown device type."));
  const auto no_vlan = ensure_vlan_bridge(commands, "br0", 100, devices);
  ASSERT_FALSE(no_vlan);
  EXPECT_EQ(no_vlan.error().code, ErrorCode::unsupported);
  EXPECT_FALSE(ensure_vlan_bridge(commands, "br0", 4095, devices));
  EXPECT_FALSE(check_bridge("../x", devices));
}

}  // namespace
}  // namespace bridgehead::hypervisor
