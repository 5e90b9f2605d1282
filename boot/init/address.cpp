#include "address.h"

#include <bit>
#include <charconv>

#include "text.h"

namespace bridgehead::init {

std::optional<Mac> Mac::parse(std::string_view text) {
  if (text.size() != 17) return std::nullopt;
  Mac mac;
  for (std::size_t i = 0; i < 6; ++i) {
    const auto digits = text.substr(i * 3, 2);
    if (!is_hex(digits, 2)) return std::nullopt;
    if (i < 5 && text[i * 3 + 2] != ':' && text[i * 3 + 2] != '-') return std::nullopt;
    std::from_chars(digits.data(), digits.data() + 2, mac.bytes[i], 16);
  }
  return mac;
}

std::string Mac::text() const {
  std::string text;
  for (const auto byte : bytes) {
    const char raw = static_cast<char>(byte);
    if (!text.empty()) text += ':';
    text += to_hex({&raw, 1});
  }
  return text;
}

std::optional<Ipv4> Ipv4::parse(std::string_view text) {
  Ipv4 address;
  const auto parts = split(text, '.');
  if (parts.size() != 4) return std::nullopt;
  for (const auto part : parts) {
    const auto number = parse_number(part);
    if (!number || *number > 255 || part.size() > 3) return std::nullopt;
    address.value = address.value << 8 | static_cast<std::uint32_t>(*number);
  }
  return address;
}

std::string Ipv4::text() const {
  return concat(value >> 24, ".", value >> 16 & 255, ".", value >> 8 & 255, ".", value & 255);
}

std::optional<HostAddress> HostAddress::parse(std::string_view text) {
  const auto address = Ipv4::parse(take_until(text, '/'));
  const auto prefix = parse_number(text);
  if (!address || !prefix || *prefix < 1 || *prefix > 32 || address->value == 0) return std::nullopt;
  return HostAddress{*address, static_cast<unsigned>(*prefix)};
}

std::optional<HostAddress> HostAddress::with_netmask(std::string_view address, std::string_view netmask) {
  const auto host = Ipv4::parse(address);
  const auto mask = Ipv4::parse(netmask);
  if (!host || !mask || host->value == 0 || mask->value == 0) return std::nullopt;
  const auto length = static_cast<unsigned>(std::countl_one(mask->value));
  if (length < 32 && (mask->value << length) != 0) return std::nullopt;
  return HostAddress{*host, length};
}

Ipv4 HostAddress::broadcast() const {
  return Ipv4{prefix >= 31 ? address.value : address.value | (0xffffffffU >> prefix)};
}

std::string HostAddress::text() const { return concat(address.text(), "/", prefix); }

std::optional<Endpoint> Endpoint::parse(std::string_view text) {
  const auto host = Ipv4::parse(take_until(text, ':'));
  const auto port = parse_number(text);
  if (!host || !port || *port < 1 || *port > 65535) return std::nullopt;
  return Endpoint{*host, static_cast<std::uint16_t>(*port)};
}

std::string Endpoint::text() const { return concat(host.text(), ":", port); }

}  // namespace bridgehead::init
