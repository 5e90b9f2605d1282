// A machine's firmware as DHCP and TFTP servers see it, for tests.
#pragma once

#include <optional>
#include <string>

#include "netboot/dhcp_packet.h"

namespace bridgehead::netboot {

struct Firmware {
  std::string mac;
  std::uint16_t architecture = 0;  // option 93
  bool is_ipxe = false;            // option 175 and its user class
};

struct Lease {
  std::string address;
  std::string hostname;
  std::string file;  // to boot
  std::string next_server;
  std::string vendor_class;  // option 60
  DhcpMessage ack;
};

// DISCOVER, REQUEST; nothing if nobody gave an address within the time. On the client's side of a segment.
std::optional<Lease> get_lease(const Firmware& firmware, std::chrono::milliseconds patience = std::chrono::seconds(30));

// A file by TFTP in blocks of 512 bytes; nothing on an error or silence.
std::optional<std::string> get_by_tftp(const std::string& server, const std::string& file);

}  // namespace bridgehead::netboot
