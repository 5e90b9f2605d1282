#include "handover.h"

#include <gtest/gtest.h>
#include <linux/netlink.h>

#include "netlink.h"

namespace bridgehead::init {
namespace {

TEST(Handover, KeepsNetworkServicesAwayFromWhatCarriesTheRoot) {
  BootPlan plan{.text = "root=nbd\njoin=t"};
  Uplink uplink{.interface = "br0", .below = {"eth0", "bond0"}, .mac = *Mac::parse("52:54:00:12:34:56")};
  uplink.lease = {.address = *HostAddress::parse("10.0.0.7/24"), .gateway = Ipv4::parse("10.0.0.1")};
  const auto files = handover_files(plan, uplink, CommandLine{.server = "http://10.0.0.1:7480"}, {});
  ASSERT_EQ(files.size(), 4U);
  EXPECT_NE(files[0].content.find("[Match]\nName=br0 eth0 bond0\n\n[Link]\nUnmanaged=yes\n"), std::string::npos);
  EXPECT_NE(files[1].content.find("OriginalName=br0 eth0 bond0\n"), std::string::npos);
  EXPECT_NE(files[2].content.find("unmanaged-devices+=interface-name:br0;interface-name:eth0;interface-name:bond0\n"),
            std::string::npos);
  EXPECT_EQ(files[3].path, "/run/bridgehead/boot");
  EXPECT_EQ(files[3].mode, 0600U) << "it holds the join token";
  EXPECT_EQ(files[3].content,
            "root=nbd\njoin=t\nserver=http://10.0.0.1:7480\nmac=52:54:00:12:34:56\ninterface=br0\naddress=10.0.0.7/24\n"
            "gateway=10.0.0.1\n");
}

TEST(Handover, UdevIsNotToReadTheRootsDevice) {
  const auto files = handover_files({}, {}, {}, {.nbd_connected = true, .nbd_index = 3, .loop = 1});
  ASSERT_EQ(files.size(), 5U);
  EXPECT_EQ(files[4].path, "/run/udev/rules.d/00-bridgehead.rules");
  EXPECT_NE(files[4].content.find("KERNEL==\"nbd3|loop1\", ENV{UDEV_DISABLE_PERSISTENT_STORAGE_RULES_FLAG}=\"1\"\n"),
            std::string::npos);
}

TEST(Handover, TheNodeKnowsItsOwnName) {
  EXPECT_EQ(hosts_with("127.0.0.1 localhost\n10.0.0.1 boot n77", "n7", "10.0.0.7"),
            "127.0.0.1 localhost\n10.0.0.1 boot n77\n10.0.0.7 n7\n");
  EXPECT_EQ(hosts_with("", "n7", "10.0.0.7"), "127.0.0.1 localhost\n::1 localhost\n10.0.0.7 n7\n");
  EXPECT_EQ(hosts_with("# n7\n", "n7", "10.0.0.7"), "# n7\n10.0.0.7 n7\n");
  const std::string own = "127.0.1.1\tn7.rack.test n7 # the profile's\n";
  EXPECT_EQ(hosts_with(own, "n7", "10.0.0.7"), own);
}

TEST(Netlink, MessagesHoldNestedAttributes) {
  NetlinkMessage message(42, NLM_F_ACK);
  message.put_number(1, std::uint8_t{7});
  const auto outer = message.begin(2);
  message.put_string(3, "abc");
  message.end(outer);
  const auto messages = netlink_messages(message.finish(9));
  ASSERT_EQ(messages.size(), 1U);
  EXPECT_EQ(messages[0].type, 42);
  const auto attributes = netlink_attributes(messages[0].payload);
  ASSERT_EQ(attributes.size(), 2U);
  EXPECT_EQ(number_of<std::uint8_t>(attributes[0]), 7);
  EXPECT_FALSE(number_of<std::uint32_t>(attributes[0])) << "too short";
  const auto inner = netlink_attributes(attributes[1].data);
  ASSERT_EQ(inner.size(), 1U);
  EXPECT_EQ(text_of(inner[0]), "abc");
}

TEST(Netlink, DamagedAttributesEndTheList) {
  EXPECT_TRUE(netlink_attributes(std::string_view("\x02\0\x01\0", 4)).empty()) << "shorter than its header";
  EXPECT_TRUE(netlink_attributes(std::string_view("\x20\0\x01\0x", 5)).empty()) << "longer than what there is";
}

}  // namespace
}  // namespace bridgehead::init
