// DHCP messages (RFC 2131, 2132) and a packet socket that carries them, for a client that has no address yet. Messages
// are plain values; decode refuses what is cut short. A DhcpSocket is used by one thread.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/fd.h"
#include "base/result.h"

namespace bridgehead::netboot {

enum class DhcpType : std::uint8_t { discover = 1, offer = 2, request = 3, ack = 5, nak = 6 };

struct DhcpMessage {
  bool reply = false;
  std::uint32_t transaction = 0;
  bool broadcast = true;  // asks for answers by broadcast
  std::uint32_t client = 0;
  std::uint32_t yours = 0;
  std::uint32_t server = 0;  // next server (siaddr)
  std::array<std::uint8_t, 6> mac{};
  std::string file;
  std::map<std::uint8_t, std::string> options;  // bytes; of options that come twice the parts joined (RFC 3396)

  std::optional<DhcpType> type() const;
  // Option 54 and the like; 0 if it isn't there.
  std::uint32_t address_option(std::uint8_t code) const;
  void set_type(DhcpType type) { options[53] = std::string(1, static_cast<char>(type)); }
};

std::string encode_dhcp(const DhcpMessage& message);
std::optional<DhcpMessage> decode_dhcp(std::string_view bytes);

// An IPv4 and UDP packet from 0.0.0.0 port 68 to 255.255.255.255 port 67.
std::string client_broadcast(std::string_view payload);
struct UdpPayload {
  std::uint32_t source = 0;
  std::string_view bytes;
};
// Of a packet to port 68; nothing if it is none or is cut short. Checksums aren't looked at.
std::optional<UdpPayload> client_payload(std::string_view packet);

class DhcpSocket {
 public:
  // not_found: no such interface; permission_denied: needs CAP_NET_RAW.
  static Result<DhcpSocket> open(const std::string& interface);

  Status broadcast(const DhcpMessage& message);

  struct Received {
    DhcpMessage message;
    std::uint32_t source = 0;
    std::string source_mac;
  };
  // The next reply; nothing at the deadline. One that is there already is given even after it.
  Result<std::optional<Received>> receive_any(Monotonic deadline);
  // The next reply with this transaction.
  Result<std::optional<Received>> receive(std::uint32_t transaction, Monotonic deadline);
  int fd() const { return socket_.get(); }

 private:
  UniqueFd socket_;
  int interface_ = 0;
};

std::string mac_text(const std::uint8_t* bytes);

}  // namespace bridgehead::netboot
