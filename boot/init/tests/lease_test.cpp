// The keeper of the lease against a made-up clock and made-up servers.
#include <gtest/gtest.h>

#include "lease_daemon.h"
#include "lease_keeper.h"

namespace bridgehead::init {
namespace {

using namespace std::chrono_literals;
using Time = LeaseKeeper::Time;

const Ipv4 own_address = *Ipv4::parse("10.20.0.7");
const Ipv4 dhcp_server = *Ipv4::parse("10.20.0.1");
const Mac own_mac = *Mac::parse("52:54:00:12:34:56");

std::string option(std::uint8_t code, const std::string& value) {
  return std::string(1, static_cast<char>(code)) + static_cast<char>(value.size()) + value;
}

class LeaseTest : public ::testing::Test {
 protected:
  // The next thing that it does by itself; time passes until then.
  LeaseKeeper::Step next() {
    now = std::max(now, keeper.due());
    return remember(keeper.wake(now));
  }
  // Every second try is a search.
  LeaseKeeper::Step next_search() {
    auto step = next();
    if (step.send && step.send->type != DhcpType::discover) step = next();
    EXPECT_TRUE(step.send && step.send->type == DhcpType::discover);
    return step;
  }
  LeaseKeeper::Step answer(DhcpType type, Ipv4 yours = own_address, std::uint32_t lease = 3600) {
    DhcpReply reply{.type = type, .transaction = transaction, .mac = own_mac, .yours = yours, .server = dhcp_server};
    if (type != DhcpType::nak) reply.lease = lease;
    return remember(keeper.take(reply, now));
  }
  LeaseKeeper::Step remember(LeaseKeeper::Step step) {
    if (step.send) transaction = step.send->transaction;
    return step;
  }
  void bind() {
    ASSERT_TRUE(next().send);
    answer(DhcpType::ack);
  }
  // A sign that it isn't silent about what goes wrong, nor talks about it again and again.
  int complaints_until(Time end) {
    int count = 0;
    while (keeper.due() < end) count += next().loud ? 1 : 0;
    return count;
  }

  Time now = 1000s;
  LeaseKeeper keeper{{own_address, own_mac, "rack1-n7"}, 42, now};
  std::uint32_t transaction = 0;
};

TEST_F(LeaseTest, AsksAtOnceWhetherTheAddressIsOurs) {
  EXPECT_EQ(keeper.due(), now);
  const auto asked = next();
  ASSERT_TRUE(asked.send);
  EXPECT_EQ(asked.to, LeaseKeeper::everybody);
  EXPECT_EQ(asked.send->type, DhcpType::request);
  EXPECT_EQ(asked.send->wanted, own_address);
  EXPECT_EQ(asked.send->client, Ipv4{}) << "INIT-REBOOT: RFC 2131, table 4";
  EXPECT_EQ(asked.send->server, Ipv4{});
  EXPECT_EQ(asked.send->hostname, "rack1-n7");
  const auto bound = answer(DhcpType::ack);
  EXPECT_EQ(bound.say, "the address 10.20.0.7 (52:54:00:12:34:56) is leased from 10.20.0.1 for 3600 s");
  EXPECT_FALSE(bound.loud);
  EXPECT_FALSE(bound.send);
}

TEST_F(LeaseTest, RenewsAtHalfTimeWithTheServerThatGaveIt) {
  bind();
  for (int i = 0; i < 3; ++i) {
    const auto since = now;
    const auto renewed = next();
    EXPECT_GE(now - since, 1800s - 57s) << "nodes that were powered on at once spread";
    EXPECT_LE(now - since, 1800s);
    ASSERT_TRUE(renewed.send);
    EXPECT_EQ(renewed.to, dhcp_server) << "RENEWING: to that server only";
    EXPECT_EQ(renewed.send->client, own_address);
    EXPECT_EQ(renewed.send->wanted, Ipv4{});
    EXPECT_EQ(renewed.send->server, Ipv4{});
    const auto bound = answer(DhcpType::ack);
    EXPECT_TRUE(bound.say.empty()) << "a lease that goes on is no news";
  }
}

TEST_F(LeaseTest, AsksEveryServerFromT2OnAndThenStartsOver) {
  bind();
  const auto end = now + 3600s;
  const auto rebind = now + 3150s;
  auto step = next();
  int unicasts = 0;
  for (; now < rebind; step = next()) {
    EXPECT_EQ(step.to, dhcp_server);
    EXPECT_TRUE(step.say.empty());
    ++unicasts;
  }
  EXPECT_GE(unicasts, 3) << "a lost packet isn't the end";
  EXPECT_LE(unicasts, 8) << "nor is a server that is away flooded";
  EXPECT_EQ(now, rebind);
  EXPECT_NE(step.say.find("10.20.0.1 doesn't renew the lease of 10.20.0.7"), std::string::npos) << step.say;
  for (; now < end; step = next()) {
    ASSERT_TRUE(step.send);
    EXPECT_EQ(step.to, LeaseKeeper::everybody);
    EXPECT_EQ(step.send->client, own_address) << "REBINDING";
  }
  EXPECT_EQ(now, end);
  EXPECT_TRUE(step.loud);
  EXPECT_NE(step.say.find("has run out"), std::string::npos) << step.say;
  EXPECT_EQ(complaints_until(now + 24h), 0) << "told once";
  EXPECT_LE(keeper.due() - now, 302s) << "but asked for without end";
  const auto search = next_search();
  EXPECT_EQ(search.send->wanted, own_address);
  const auto requested = answer(DhcpType::offer);
  ASSERT_TRUE(requested.send);
  EXPECT_EQ(requested.send->type, DhcpType::request);
  EXPECT_EQ(requested.send->wanted, own_address);
  EXPECT_EQ(requested.send->server, dhcp_server) << "SELECTING";
  EXPECT_EQ(requested.send->transaction, search.send->transaction) << "the offer's own";
  EXPECT_EQ(requested.send->client, Ipv4{});
  EXPECT_NE(answer(DhcpType::ack).say.find("is leased"), std::string::npos) << "and told when it is over";
  EXPECT_EQ(next().to, dhcp_server);
}

TEST_F(LeaseTest, AServerThatComesBackAfterT2IsNews) {
  bind();
  while (next().to == dhcp_server) {
  }
  EXPECT_NE(answer(DhcpType::ack).say.find("is leased"), std::string::npos);
  next();
  EXPECT_EQ(answer(DhcpType::ack).say, "");
}

TEST_F(LeaseTest, AnAddressThatIsRefusedStaysAndIsAskedForAgain) {
  bind();
  next();
  const auto refused = answer(DhcpType::nak, Ipv4{});
  EXPECT_TRUE(refused.loud);
  EXPECT_NE(refused.say.find("10.20.0.1 refuses 10.20.0.7 (52:54:00:12:34:56); the address stays"), std::string::npos);
  const auto since = now;
  auto step = next();
  EXPECT_GE(now - since, 3s) << "no ping-pong";
  ASSERT_TRUE(step.send);
  EXPECT_EQ(step.send->type, DhcpType::request) << "first as at the start: no server looks whether it is in use";
  EXPECT_EQ(step.send->wanted, own_address);
  EXPECT_EQ(step.send->client, Ipv4{});
  EXPECT_FALSE(answer(DhcpType::nak, Ipv4{}).loud) << "told already";
  step = next();
  EXPECT_EQ(step.send->type, DhcpType::discover);
  EXPECT_EQ(step.send->wanted, own_address);
  const auto other = answer(DhcpType::offer, *Ipv4::parse("10.20.0.99"));
  EXPECT_TRUE(other.loud);
  EXPECT_FALSE(other.send) << "it is never taken";
  EXPECT_NE(other.say.find("offers 10.20.0.99 instead of 10.20.0.7"), std::string::npos) << other.say;
  step = next_search();
  EXPECT_EQ(step.send->wanted, own_address);
  EXPECT_FALSE(answer(DhcpType::offer, *Ipv4::parse("10.20.0.99")).loud) << "told already";
  next();
  EXPECT_NE(answer(DhcpType::ack).say.find("is leased"), std::string::npos) << "the server has changed its mind";
}

TEST_F(LeaseTest, AServerThatRefusesWithoutEndIsNotFlooded) {
  bind();
  int sent = 0;
  const auto end = now + 24h;
  while (now < end) {
    sent += next().send ? 1 : 0;
    answer(DhcpType::nak, Ipv4{});
  }
  EXPECT_LE(sent, 24 * 3600 / 290);
  EXPECT_GE(sent, 24 * 3600 / 310 - 10);
}

TEST_F(LeaseTest, AServerThatAcknowledgesAnotherAddressIsNotFollowed) {
  bind();
  next();
  EXPECT_TRUE(answer(DhcpType::ack, *Ipv4::parse("10.20.0.99")).loud);
  EXPECT_EQ(next().send->wanted, own_address);
}

TEST_F(LeaseTest, SilenceAtTheStartIsToldOnceAndNeverEndsTheAsking) {
  for (int i = 0; i < 5; ++i) {
    const auto step = next();
    EXPECT_FALSE(step.loud);
    EXPECT_EQ(step.send->type, DhcpType::request);
  }
  EXPECT_GE(now - 1000s, 55s);
  EXPECT_EQ(complaints_until(now + 24h), 1);
  EXPECT_LE(keeper.due() - now, 302s);
  next_search();
}

TEST_F(LeaseTest, AnOfferThatIsNotKeptLeadsBackToTheSearch) {
  complaints_until(now + 1h);
  next_search();
  ASSERT_TRUE(answer(DhcpType::offer).send);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(next().send->server, dhcp_server);
  EXPECT_EQ(next().send->server, Ipv4{});
  next_search();
}

TEST_F(LeaseTest, TheServersOwnTimesAreTaken) {
  ASSERT_TRUE(next().send);
  keeper.take({.type = DhcpType::ack,
               .transaction = transaction,
               .mac = own_mac,
               .yours = own_address,
               .server = dhcp_server,
               .lease = 120,
               .renew = 8,
               .rebind = 20},
              now);
  const auto bound = now;
  EXPECT_EQ(next().to, dhcp_server);
  EXPECT_GE(now - bound, 7s);
  EXPECT_LE(now - bound, 8s);
  EXPECT_EQ(next().to, LeaseKeeper::everybody);
  EXPECT_EQ(now - bound, 20s);
}

TEST_F(LeaseTest, TimesThatMakeNoSenseFloodNobody) {
  ASSERT_TRUE(next().send);
  answer(DhcpType::ack, own_address, 0);
  EXPECT_GE(keeper.due() - now, 4s);
  next();
  keeper.take({.type = DhcpType::ack,
               .transaction = transaction,
               .mac = own_mac,
               .yours = own_address,
               .server = dhcp_server,
               .lease = 1000,
               .renew = 900,
               .rebind = 900},
              now);
  EXPECT_GE(keeper.due() - now, 480s) << "half of the lease";
  EXPECT_LE(keeper.due() - now, 500s);
}

TEST_F(LeaseTest, ALeaseWithoutAnEndIsLeftAlone) {
  ASSERT_TRUE(next().send);
  answer(DhcpType::ack, own_address, 0xffffffff);
  EXPECT_EQ(keeper.due(), Time::max());
}

TEST_F(LeaseTest, WhatIsNotForUsIsIgnored) {
  ASSERT_TRUE(next().send);
  DhcpReply reply{.type = DhcpType::nak, .transaction = transaction + 1, .mac = own_mac, .server = dhcp_server};
  EXPECT_TRUE(keeper.take(reply, now).say.empty()) << "another transaction";
  reply.transaction = transaction;
  reply.mac = *Mac::parse("52:54:00:00:00:01");
  EXPECT_TRUE(keeper.take(reply, now).say.empty()) << "another machine";
  answer(DhcpType::ack);
  EXPECT_TRUE(answer(DhcpType::nak).say.empty()) << "nobody was asked";
}

TEST_F(LeaseTest, ASleepThatIsLongerThanTheLeaseIsNoticed) {
  bind();
  now += 48h;
  auto step = remember(keeper.wake(now));
  EXPECT_TRUE(step.loud) << step.say;
  EXPECT_EQ(next().send->wanted, own_address) << "as after power-on";
}

TEST(DhcpMessage, IsWhatTheStandardWants) {
  const auto bytes = encode({.type = DhcpType::request,
                             .transaction = 0x01020304,
                             .mac = own_mac,
                             .client = own_address,
                             .wanted = own_address,
                             .server = dhcp_server,
                             .hostname = "n7"});
  EXPECT_GE(bytes.size(), 300U);
  EXPECT_EQ(bytes.substr(0, 8), std::string("\x01\x01\x06\x00\x01\x02\x03\x04", 8));
  EXPECT_EQ(bytes.substr(10, 2), std::string(2, '\0')) << "heard by unicast";
  EXPECT_EQ(bytes.substr(12, 4), std::string("\x0a\x14\x00\x07", 4));
  EXPECT_EQ(bytes.substr(28, 6), std::string("\x52\x54\x00\x12\x34\x56", 6));
  EXPECT_EQ(bytes.substr(236, 4), "\x63\x82\x53\x63");
  const auto options = bytes.substr(240);
  EXPECT_TRUE(options.starts_with(option(53, "\x03") + option(61, std::string("\x01\x52\x54\x00\x12\x34\x56", 7)) +
                                  option(50, std::string("\x0a\x14\x00\x07", 4)) +
                                  option(54, std::string("\x0a\x14\x00\x01", 4)) + option(12, "n7") +
                                  option(60, "bridgehead") + "\xff"));
  EXPECT_EQ(encode({.type = DhcpType::discover})[10], '\x80') << "an offer of another address must be heard";
}

TEST(DhcpMessage, RepliesAreReadAndDamagedOnesRefused) {
  auto bytes = encode({.transaction = 7, .mac = own_mac});
  bytes[0] = 2;
  bytes.replace(16, 4, std::string("\x0a\x14\x00\x07", 4));
  bytes.resize(240);
  const auto head = bytes;
  bytes += option(53, "\x05") + std::string(3, '\0') + option(54, std::string("\x0a\x14\x00\x01", 4)) +
           option(51, std::string("\0\0\x0e\x10", 4)) + option(58, std::string("\0\0\x07\x08", 4)) +
           option(59, std::string("\0\0\x0c\x4e", 4)) + "\xff";
  const auto reply = decode_dhcp_reply(bytes);
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->type, DhcpType::ack);
  EXPECT_EQ(reply->transaction, 7U);
  EXPECT_EQ(reply->mac, own_mac);
  EXPECT_EQ(reply->yours, own_address);
  EXPECT_EQ(reply->server, dhcp_server);
  EXPECT_EQ(reply->lease, 3600U);
  EXPECT_EQ(reply->renew, 1800U);
  EXPECT_EQ(reply->rebind, 3150U);
  for (std::size_t size = 0; size < 243; ++size) EXPECT_FALSE(decode_dhcp_reply(bytes.substr(0, size))) << size;
  EXPECT_FALSE(decode_dhcp_reply(head + option(53, "\x05") + "\x36\xf0zz")) << "longer than what there is";
  EXPECT_FALSE(decode_dhcp_reply(head + "\xff")) << "without a type";
  EXPECT_FALSE(decode_dhcp_reply(head + option(53, "\x01"))) << "no server says that";
}

TEST(LeaseDuty, PassesThroughArguments) {
  const LeaseDuty duty{"br0", {own_address, own_mac, ""}};
  const auto arguments = to_arguments(duty);
  EXPECT_EQ(arguments[0], "@bridgehead-dhcp") << "what begins with @ survives systemd";
  const auto back = lease_duty(arguments);
  ASSERT_TRUE(back);
  EXPECT_EQ(back->interface, "br0");
  EXPECT_EQ(back->subject.address, own_address);
  EXPECT_EQ(back->subject.mac, own_mac);
  EXPECT_EQ(back->subject.hostname, "");
  EXPECT_FALSE(lease_duty({"@bridgehead-dhcp", "br0", "10.20.0", "52:54:00:12:34:56", ""}));
}

}  // namespace
}  // namespace bridgehead::init
