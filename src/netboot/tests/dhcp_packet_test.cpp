#include "netboot/dhcp_packet.h"

#include <gtest/gtest.h>

#include "base/random.h"

namespace bridgehead::netboot {
namespace {

DhcpMessage sample() {
  DhcpMessage message;
  message.reply = true;
  message.transaction = 0x12345678;
  message.yours = 0x0a140065;
  message.mac = {0x52, 0x54, 0, 0x12, 0x34, 0x56};
  message.file = "undionly.kpxe";
  message.set_type(DhcpType::offer);
  message.options[54] = std::string("\x0a\x14\x00\x01", 4);
  return message;
}

TEST(DhcpPacket, GoesThereAndBack) {
  const auto message = decode_dhcp(encode_dhcp(sample()));
  ASSERT_TRUE(message);
  EXPECT_TRUE(message->reply);
  EXPECT_EQ(message->transaction, 0x12345678u);
  EXPECT_EQ(message->yours, 0x0a140065u);
  EXPECT_EQ(mac_text(message->mac.data()), "52:54:00:12:34:56");
  EXPECT_EQ(message->file, "undionly.kpxe");
  EXPECT_EQ(message->type(), DhcpType::offer);
  EXPECT_EQ(message->address_option(54), 0x0a140001u);
  EXPECT_EQ(message->address_option(1), 0u);
}

TEST(DhcpPacket, OnlyWholePacketsToPort68AreTaken) {
  auto packet = client_broadcast(encode_dhcp(sample()));
  EXPECT_FALSE(client_payload(packet)) << "goes to the server's port";
  packet[22] = 0;
  packet[23] = 68;
  const auto payload = client_payload(packet);
  ASSERT_TRUE(payload);
  EXPECT_TRUE(decode_dhcp(payload->bytes));
  for (std::size_t size = 0; size < packet.size(); ++size) {
    EXPECT_FALSE(client_payload(std::string_view(packet).substr(0, size))) << size;
  }
  packet[0] = 0x4f;  // a header of 60 bytes
  (void)client_payload(packet);
  packet[0] = 0x41;
  EXPECT_FALSE(client_payload(packet));
}

TEST(DhcpPacket, RandomBytesDoNoHarm) {
  SeededRandom random(1);
  const auto whole = encode_dhcp(sample());
  for (int i = 0; i < 20'000; ++i) {
    auto bytes = whole.substr(0, random.next_u64() % (whole.size() + 1));
    for (int k = 0; k < 8 && !bytes.empty(); ++k)
      bytes[random.next_u64() % bytes.size()] = static_cast<char>(random.next_u64());
    if (const auto message = decode_dhcp(bytes)) {
      EXPECT_LE(message->file.size(), 128u);
    }
    (void)client_payload(bytes);
  }
}

}  // namespace
}  // namespace bridgehead::netboot
