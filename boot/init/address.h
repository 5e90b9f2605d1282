// Addresses as values: Ethernet, IPv4, a socket's end. Pure.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace bridgehead::init {

struct Mac {
  std::array<std::uint8_t, 6> bytes{};

  // With ':' or '-' between the bytes, any case.
  static std::optional<Mac> parse(std::string_view text);
  std::string text() const;
  bool operator==(const Mac&) const = default;
};

struct Ipv4 {
  std::uint32_t value = 0;  // 10.0.0.1 is 0x0a000001

  static std::optional<Ipv4> parse(std::string_view text);
  std::string text() const;
  bool operator==(const Ipv4&) const = default;
};

// A host's address with the length of its network's prefix: 10.20.0.101/22.
struct HostAddress {
  Ipv4 address;
  unsigned prefix = 32;

  static std::optional<HostAddress> parse(std::string_view text);
  static std::optional<HostAddress> with_netmask(std::string_view address, std::string_view netmask);
  Ipv4 broadcast() const;
  std::string text() const;
  bool operator==(const HostAddress&) const = default;
};

struct Endpoint {
  Ipv4 host;
  std::uint16_t port = 0;

  static std::optional<Endpoint> parse(std::string_view text);  // "10.20.0.1:10809"
  std::string text() const;
  bool operator==(const Endpoint&) const = default;
};

}  // namespace bridgehead::init
