#include "module_list.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace bridgehead::init {
namespace {

using Names = std::vector<std::string>;

TEST(Glob, IsFnmatch) {
  EXPECT_TRUE(
      glob_match("pci:v00001AF4d00001000sv*sd*bc*sc*i*", "pci:v00001AF4d00001000sv00001AF4sd00000001bc02sc00i00"));
  EXPECT_FALSE(glob_match("pci:v00001AF4d00001000sv*", "pci:v00001AF4d00001041sv00001AF4"));
  EXPECT_TRUE(glob_match("a?c*", "abc"));
  EXPECT_TRUE(glob_match("*a*b", "xaxaxb"));
  EXPECT_FALSE(glob_match("*a*b", "xaxaxc"));
  EXPECT_TRUE(glob_match("usb:v046Dp[0-9A-F]*", "usb:v046DpC52B"));
  EXPECT_FALSE(glob_match("x[!0-9]", "x5"));
  EXPECT_TRUE(glob_match("x[!0-9]", "xy"));
  EXPECT_TRUE(glob_match("x[]]", "x]"));
  EXPECT_FALSE(glob_match("x[ab", "xa"));  // a set that doesn't end
  EXPECT_TRUE(glob_match("", ""));
  EXPECT_FALSE(glob_match("", "a"));
  EXPECT_TRUE(glob_match("**", ""));
  EXPECT_FALSE(glob_match("a", ""));
}

TEST(Glob, HostilePatternsEndSoon) {
  std::string pattern;
  for (int i = 0; i < 200; ++i) pattern += "*a";
  EXPECT_FALSE(glob_match(pattern + "b", std::string(4000, 'a')));
}

const char* const whole_list =
    "always virtio_pci edac-core\n"
    "module virtio_net kernel/drivers/net/virtio_net.ko net-failover virtio virtio_ring\n"
    "module net_failover kernel/net/core/net_failover.ko failover\n"
    "module failover kernel/net/core/failover.ko\n"
    "module virtio kernel/drivers/virtio/virtio.ko\n"
    "module virtio_ring kernel/drivers/virtio/virtio_ring.ko\n"
    "module virtio_pci kernel/drivers/virtio/virtio_pci.ko virtio_ring virtio\n"
    "alias virtio:d00000001v* virtio_net\n"
    "alias pci:v00001AF4d*sv*sd*bc*sc*i* virtio_pci\n"
    "alias pci:v00001AF4d00001000* virtio_pci\n"
    "alias p*:odd net_failover\n"
    "alias crypto-crc32c crc32c_generic\n"
    "future line of a newer builder\n\n";

TEST(ModuleList, LoadsWhatIsNeededFirst) {
  const auto list = ModuleList::parse(whole_list);
  EXPECT_EQ(list.load_order("virtio-net"), (Names{"failover", "net_failover", "virtio", "virtio_ring", "virtio_net"}));
  EXPECT_EQ(list.path("virtio_net"), "kernel/drivers/net/virtio_net.ko");
  EXPECT_EQ(list.always(), (Names{"virtio_pci", "edac_core"}));
  EXPECT_TRUE(list.load_order("ext4").empty()) << "built in";
}

TEST(ModuleList, FindsModulesOfDevicesOnce) {
  const auto list = ModuleList::parse(whole_list);
  EXPECT_EQ(list.matching("pci:v00001AF4d00001000sv00001AF4sd00000001bc02sc00i00"), Names{"virtio_pci"});
  EXPECT_EQ(list.matching("virtio:d00000001v00001AF4"), Names{"virtio_net"});
  EXPECT_EQ(list.matching("pnp:odd"), Names{"net_failover"}) << "a wildcard before the colon";
  EXPECT_EQ(list.matching("crypto-crc32c"), Names{"crc32c_generic"});
  EXPECT_TRUE(list.matching("usb:v1234").empty());
}

TEST(ModuleList, ACircleEnds) {
  const auto list = ModuleList::parse("module a a.ko b\nmodule b b.ko c a\nmodule c c.ko a\n");
  auto order = list.load_order("a");
  EXPECT_EQ(order.back(), "a");
  std::sort(order.begin(), order.end());
  EXPECT_EQ(order, (Names{"a", "b", "c"}));
}

}  // namespace
}  // namespace bridgehead::init
