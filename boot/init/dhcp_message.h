// DHCP messages of a client that keeps an address (RFC 2131 and 2132). Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "address.h"

namespace bridgehead::init {

enum class DhcpType : std::uint8_t { discover = 1, offer = 2, request = 3, ack = 5, nak = 6 };

struct DhcpRequest {
  DhcpType type = DhcpType::request;
  std::uint32_t transaction = 0;
  Mac mac;               // names the client, too (option 61), as udhcpc and iPXE do
  Ipv4 client;           // ciaddr: ours, while the lease is renewed; else 0.0.0.0
  Ipv4 wanted;           // option 50; 0.0.0.0: none
  Ipv4 server;           // option 54: whose offer is taken; 0.0.0.0: none
  std::string hostname;  // option 12; may be empty
};
std::string encode(const DhcpRequest& request);

// Times are in seconds and absent where the server gives none.
struct DhcpReply {
  DhcpType type = DhcpType::nak;
  std::uint32_t transaction = 0;
  Mac mac;
  Ipv4 yours;
  Ipv4 server;
  std::optional<std::uint32_t> lease;   // option 51
  std::optional<std::uint32_t> renew;   // T1, option 58
  std::optional<std::uint32_t> rebind;  // T2, option 59
};
// Nothing where it is no reply to a client, or damaged.
std::optional<DhcpReply> decode_dhcp_reply(std::string_view bytes);

}  // namespace bridgehead::init
