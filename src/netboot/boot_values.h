// Checks of what ends up in configurations and scripts: MACs, addresses, URLs, names. Pure; invalid_argument names the
// value (made printable) and what is expected.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/text.h"

namespace bridgehead::netboot {

// For messages: control characters and what isn't ASCII become '?', cut at 200 bytes.
std::string printable(std::string_view text);
// For boot loaders' screens: also without what means something to iPXE, GRUB or pxelinux; cut at 200 bytes.
std::string menu_text(std::string_view text);

// Letters, digits and `also`, at most `longest` bytes.
Status check_characters(std::string_view what, std::string_view text, std::string_view also, std::size_t longest);

// "52-54-00-12-34-56", "52:54:00:12:34:56", "01-52-..." (pxelinux's) in either case -> lower case with colons. Refuses
// group addresses and zero.
Result<std::string> canonical_mac(std::string_view text);

Status check_ipv4(const std::string& text);
// "10.20.0.1/22"
Status check_network(const std::string& text);
Status check_interface(const std::string& name);
// "http://host[:port]" without a path
Status check_server(const std::string& url);
Status check_image_id(const std::string& id);
// A host name label (RFC 1123).
Status check_hostname(const std::string& name);
// An absolute path without characters that end a line, an option or a quotation.
Status check_config_path(std::string_view what, const std::string& path);

// IPv4 addresses as numbers, in the host's order.
Result<std::uint32_t> ipv4_number(const std::string& text);
std::string ipv4_text(std::uint32_t number);

struct Ipv4Network {
  std::uint32_t address = 0;  // the host's
  unsigned prefix = 24;

  std::uint32_t mask() const { return prefix == 0 ? 0 : ~std::uint32_t{0} << (32 - prefix); }
  std::uint32_t first() const { return address & mask(); }
  std::uint32_t broadcast() const { return first() | ~mask(); }
  // An address that a host can have.
  bool usable(std::uint32_t other) const {
    return (other & mask()) == first() && other != first() && other != broadcast();
  }
};

Result<Ipv4Network> parse_network(const std::string& text);

}  // namespace bridgehead::netboot
