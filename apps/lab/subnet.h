// IPv4 subnets: the lab's own, and what the host routes already. Pure values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace bridgehead::lab {

class Subnet {
 public:
  Subnet() = default;
  // "10.77.0.0/24", or "10.77.0.1" for one address. Errors: invalid_argument, also for bits set beyond the prefix.
  static Result<Subnet> parse(std::string_view text);

  std::string text() const;  // "10.77.0.0/24"
  unsigned prefix() const { return prefix_; }
  bool overlaps(const Subnet& other) const;
  std::string address(std::uint32_t number) const;  // the number-th, from 0
  std::uint32_t size() const { return prefix_ == 0 ? ~0U : 1U << (32 - prefix_); }
  std::string address_from_end(std::uint32_t n) const;  // 1 = the last before the broadcast address
  bool operator==(const Subnet&) const = default;

 private:
  std::uint32_t first_ = 0;
  unsigned prefix_ = 0;
};

// How a lab uses its subnet. From the tenth on: hosts and storage servers, then what DHCP gives. The last four
// addresses are the link to the host.
struct AddressPlan {
  Subnet subnet;
  unsigned members = 0;  // hosts and storage servers
  std::string manager() const { return subnet.address(1); }
  std::string member(unsigned index) const { return subnet.address(10 + index); }
  std::string range_first() const { return subnet.address(10 + members); }
  std::string range_last() const { return subnet.address_from_end(4); }
  std::string uplink() const { return subnet.address_from_end(2); }
  std::string host() const { return subnet.address_from_end(1); }
};

// A subnet that a lab can live in: /16 to /27. Errors: invalid_argument.
Result<Subnet> parse_lab_subnet(std::string_view text);

// Errors: invalid_argument: too small for the lab's members and so many machines.
Status require_room(const AddressPlan& addresses, std::size_t machines);

// From `ip -j route show table all`: what is routed, and where. Default routes aren't listed.
struct Route {
  Subnet subnet;
  std::string device;
};
Result<std::vector<Route>> parse_routes(std::string_view text);

// The first route that shares an address with the subnet.
std::optional<Route> conflict(const Subnet& subnet, const std::vector<Route>& routes);

// `wanted` checked, or, if it is empty, the first free of a list. Errors: invalid_argument, conflict.
Result<Subnet> choose_subnet(std::string_view wanted, const std::vector<Route>& routes);

}  // namespace bridgehead::lab
