#include <gtest/gtest.h>

#include "nbd_daemon.h"
#include "nbd_protocol.h"

namespace bridgehead::init {
namespace {

std::string big_endian(std::uint64_t value, int bytes) {
  std::string text;
  for (int i = bytes - 1; i >= 0; --i) text += static_cast<char>(value >> (i * 8) & 255);
  return text;
}

std::string greeting(std::uint16_t flags = 3) { return "NBDMAGICIHAVEOPT" + big_endian(flags, 2); }
std::string reply(std::uint32_t type, const std::string& data) {
  return big_endian(0x0003e889045565a9, 8) + big_endian(7, 4) + big_endian(type, 4) + big_endian(data.size(), 4) + data;
}
std::string export_info(std::uint64_t size, std::uint16_t flags) {
  return reply(3, big_endian(0, 2) + big_endian(size, 8) + big_endian(flags, 2));
}
std::string block_info() {
  return reply(3, big_endian(3, 2) + big_endian(512, 4) + big_endian(4096, 4) + big_endian(1 << 20, 4));
}
const std::string acknowledged = reply(1, "");

TEST(NbdHandshake, AsksForTheExportAndLearnsItsSize) {
  const auto server = greeting() + export_info(1 << 20, 0x503) + block_info() + acknowledged;
  for (const std::size_t step : {1UL, 5UL, 1000UL}) {
    NbdHandshake handshake("root.image");
    std::string sent;
    for (std::size_t at = 0; at < server.size(); at += step) {
      const auto fed = handshake.feed(std::string_view(server).substr(at, step), sent);
      ASSERT_TRUE(fed) << fed.error().describe();
    }
    EXPECT_TRUE(handshake.complete());
    EXPECT_EQ(handshake.info().size, 1U << 20);
    EXPECT_EQ(handshake.info().flags, 0x503);
    EXPECT_EQ(handshake.info().block_size, 512U);
    EXPECT_EQ(handshake.wanted(), 0U);
    EXPECT_EQ(sent, big_endian(3, 4) + "IHAVEOPT" + big_endian(7, 4) + big_endian(18, 4) + big_endian(10, 4) +
                        "root.image" + big_endian(1, 2) + big_endian(3, 2));
  }
}

TEST(NbdHandshake, WantsNeverMoreThanTheHandshake) {
  NbdHandshake handshake("x");
  std::string sent;
  std::string_view server;
  const auto whole = greeting() + export_info(4096, 3) + acknowledged + "the kernel's";
  for (server = whole; !handshake.complete();) {
    const auto count = handshake.wanted();
    ASSERT_GT(count, 0U);
    ASSERT_TRUE(handshake.feed(server.substr(0, count), sent));
    server.remove_prefix(count);
  }
  EXPECT_EQ(server, "the kernel's");
}

TEST(NbdHandshake, SaysWhyAServerRefuses) {
  NbdHandshake handshake("gone");
  std::string sent;
  const auto fed = handshake.feed(greeting() + reply(0x80000006, "not here"), sent);
  ASSERT_FALSE(fed);
  EXPECT_NE(fed.error().why.find("no such export ('gone'): not here"), std::string::npos) << fed.error().why;
}

TEST(NbdHandshake, RefusesOtherProtocols) {
  for (const auto& bad :
       {std::string("HTTP/1.1 400 Bad Request\r\n"), greeting(0),
        "NBDMAGIC" + std::string("\0\0\x42\x02\x81\x86\x12\x53", 8) + "xx", greeting() + std::string(20, 'x'),
        greeting() + acknowledged, greeting() + reply(3, std::string("\0\0short", 7)),
        greeting() + reply(3, std::string(100'000, 'x')), greeting() + export_info(1, 1) + acknowledged + "more"}) {
    NbdHandshake handshake("x");
    std::string sent;
    EXPECT_FALSE(handshake.feed(bad, sent)) << bad.size();
  }
}

TEST(NbdDuty, PassesThroughArguments) {
  const NbdDuty duty{
      3, 1'000'000'000'000, "img/root image", {*Endpoint::parse("10.0.0.1:1"), *Endpoint::parse("10.0.0.2:2")}, 1};
  const auto arguments = to_arguments(duty);
  EXPECT_EQ(arguments[0], "@bridgehead-nbd") << "what begins with @ survives systemd";
  const auto back = nbd_duty(arguments);
  ASSERT_TRUE(back);
  EXPECT_EQ(back->index, 3U);
  EXPECT_EQ(back->size, duty.size);
  EXPECT_EQ(back->export_name, duty.export_name);
  EXPECT_EQ(back->servers, duty.servers);
  EXPECT_EQ(back->current, 1U);
  EXPECT_FALSE(nbd_duty({"@bridgehead-nbd", "0", "1", "2", "x", "10.0.0.1:1"})) << "no such server";
  EXPECT_FALSE(nbd_duty({"@bridgehead-nbd"}));
}

}  // namespace
}  // namespace bridgehead::init
