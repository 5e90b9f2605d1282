#include "netboot/dhcp_probe.h"

#include <algorithm>
#include <map>

#include "base/random.h"
#include "netboot/boot_values.h"
#include "netboot/dhcp_packet.h"

namespace bridgehead::netboot {
namespace {

// How soon a stop request is seen, and how often the question is repeated: a server may have been busy.
constexpr std::chrono::milliseconds kSlice{100};
constexpr std::chrono::milliseconds kRepeat{1000};

DhcpMessage make_discover() {
  SystemRandom random;
  DhcpMessage discover;
  std::uint8_t bytes[9];
  random.fill(bytes);
  discover.transaction = static_cast<std::uint32_t>(random.next_u64());
  // Locally administered, nobody's.
  std::copy_n(bytes, 6, discover.mac.begin());
  discover.mac[0] = static_cast<std::uint8_t>((discover.mac[0] & 0xfc) | 0x02);
  discover.set_type(DhcpType::discover);
  discover.options[55] = std::string("\x01\x03\x36", 3);  // mask, router, server
  // As a PXE client: so proxyDHCP servers answer too.
  discover.options[60] = "PXEClient:Arch:00000:UNDI:002001";
  discover.options[93] = std::string(2, '\0');
  discover.options[94] = std::string("\x01\x02\x01", 3);
  return discover;
}

}  // namespace

Result<std::vector<FoundDhcpServer>> find_dhcp_servers(const DhcpProbe& probe, std::stop_token stop) {
  auto socket = DhcpSocket::open(probe.interface);
  if (!socket) return forward(socket);
  const auto discover = make_discover();
  std::map<std::string, FoundDhcpServer> found;
  const auto end = std::chrono::steady_clock::now() + probe.wait;
  auto ask_at = std::chrono::steady_clock::now();
  for (auto now = ask_at; now < end; now = std::chrono::steady_clock::now()) {
    if (stop.stop_requested()) return fail(ErrorCode::cancelled, "the look for DHCP servers was cancelled");
    if (now >= ask_at) {
      if (auto sent = socket->broadcast(discover); !sent) return forward(sent);
      ask_at = now + kRepeat;
    }
    const auto received = socket->receive(discover.transaction, std::min(now + kSlice, end));
    if (!received) return forward(received);
    if (!*received || (*received)->message.type() != DhcpType::offer) continue;
    const auto& message = (*received)->message;
    const auto identifier = message.address_option(54);
    const auto address = ipv4_text(identifier != 0 ? identifier : (*received)->source);
    const auto& own = probe.own_addresses;
    if (std::find(own.begin(), own.end(), address) != own.end()) continue;
    found[address] = {address, (*received)->source_mac, message.yours == 0 ? "" : ipv4_text(message.yours)};
  }
  std::vector<FoundDhcpServer> result;
  for (auto& [address, server] : found) result.push_back(std::move(server));
  return result;
}

}  // namespace bridgehead::netboot
