#include <gtest/gtest.h>

#include "address.h"
#include "dhcp.h"
#include "text.h"

namespace bridgehead::init {
namespace {

TEST(Text, JoinsTextAndNumbers) { EXPECT_EQ(concat("port ", std::uint16_t{80}, ", ", -3), "port 80, -3"); }

TEST(Text, SplitsAndTakes) {
  EXPECT_EQ(split("a::b", ':').size(), 3U);
  EXPECT_EQ(words("  a\tb\n c ").size(), 3U);
  std::string_view rest = "key=value=more";
  EXPECT_EQ(take_until(rest, '='), "key");
  EXPECT_EQ(rest, "value=more");
  EXPECT_EQ(take_until(rest, '#'), "value=more");
  EXPECT_TRUE(rest.empty());
}

TEST(Text, ReadsWholeNumbersOnly) {
  EXPECT_EQ(parse_number("18446744073709551615"), 18446744073709551615U);
  for (const auto* bad : {"", "-1", "+1", "1x", " 1", "18446744073709551616"}) EXPECT_FALSE(parse_number(bad)) << bad;
}

TEST(Text, EncodesWhatAUrlCannotHold) {
  EXPECT_EQ(percent_encode("a b&c=\xc3\xa4~-._"), "a%20b%26c%3D%C3%A4~-._");
  EXPECT_EQ(percent_decode("a%20b%26c%3D%C3%A4~-._"), "a b&c=\xc3\xa4~-._");
  for (const auto* bad : {"%", "a%2", "%g0", "%%20"}) EXPECT_FALSE(percent_decode(bad)) << bad;
  EXPECT_EQ(json_string("a\"b\\c\n"), "\"a\\\"b\\\\c?\"");
}

TEST(Address, ReadsMacsWithEitherSeparator) {
  EXPECT_EQ(Mac::parse("52-54-00-AB-cd-01")->text(), "52:54:00:ab:cd:01");
  for (const auto* bad : {"", "52:54:00:ab:cd", "52:54:00:ab:cd:0g", "52.54.00.ab.cd.01", "52:54:00:ab:cd:011"}) {
    EXPECT_FALSE(Mac::parse(bad)) << bad;
  }
}

TEST(Address, ReadsHostsWithTheirNetworks) {
  const auto host = HostAddress::parse("10.20.3.101/22");
  ASSERT_TRUE(host);
  EXPECT_EQ(host->broadcast().text(), "10.20.3.255");
  EXPECT_EQ(host->text(), "10.20.3.101/22");
  EXPECT_EQ(HostAddress::with_netmask("10.0.0.1", "255.255.252.0")->prefix, 22U);
  EXPECT_EQ(HostAddress::with_netmask("10.0.0.1", "255.255.255.255")->prefix, 32U);
  for (const auto* bad : {"10.20.3.101", "10.20.3.101/0", "10.20.3.101/33", "10.20.3/24", "256.1.1.1/8", "0.0.0.0/8"}) {
    EXPECT_FALSE(HostAddress::parse(bad)) << bad;
  }
  EXPECT_FALSE(HostAddress::with_netmask("10.0.0.1", "255.0.255.0"));
  EXPECT_FALSE(HostAddress::with_netmask("10.0.0.1", "0.0.0.0"));
}

TEST(Address, ReadsEndpoints) {
  EXPECT_EQ(Endpoint::parse("10.0.0.1:80")->text(), "10.0.0.1:80");
  for (const auto* bad : {"10.0.0.1", "10.0.0.1:", "10.0.0.1:0", "10.0.0.1:65536", "host:80"}) {
    EXPECT_FALSE(Endpoint::parse(bad)) << bad;
  }
}

TEST(Dhcp, ReadsALease) {
  const auto lease = parse_lease(
      "ip=10.0.0.5\nsubnet=255.255.255.0\nrouter=10.0.0.1 10.0.0.2\ndns=10.0.0.3 "
      "10.0.0.4\ndomain=rack.test\nlease=3600\n");
  ASSERT_TRUE(lease);
  EXPECT_EQ(lease->address.text(), "10.0.0.5/24");
  EXPECT_EQ(lease->gateway->text(), "10.0.0.1");
  EXPECT_EQ(resolv_conf(*lease), "search rack.test\nnameserver 10.0.0.3\nnameserver 10.0.0.4\n");
}

TEST(Dhcp, TakesNothingThatSteersOtherPrograms) {
  const auto lease = parse_lease("ip=10.0.0.5\ndomain=x;reboot\ndns=evil 10.0.0.3\n");
  ASSERT_TRUE(lease);
  EXPECT_EQ(resolv_conf(*lease), "nameserver 10.0.0.3\n");
  EXPECT_EQ(lease->address.prefix, 32U);
  EXPECT_FALSE(parse_lease("subnet=255.255.255.0\n"));
}

}  // namespace
}  // namespace bridgehead::init
