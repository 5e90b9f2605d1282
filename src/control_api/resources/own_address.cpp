#include "control_api/resources/own_address.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>

#include <bit>
#include <memory>
#include <set>

namespace bridgehead::control_api {
namespace {

std::uint32_t bits_of(const sockaddr* address) {
  return reinterpret_cast<const sockaddr_in*>(address)->sin_addr.s_addr;
}

std::string as_text(const ifaddrs& entry) {
  std::array<char, INET_ADDRSTRLEN> text{};
  const in_addr address{bits_of(entry.ifa_addr)};
  ::inet_ntop(AF_INET, &address, text.data(), text.size());
  const int prefix = entry.ifa_netmask == nullptr ? 32 : std::popcount(bits_of(entry.ifa_netmask));
  return fmt::format("{}/{}", text.data(), prefix);
}

}  // namespace

Result<std::string> own_ipv4_address(const std::string& interface) {
  ifaddrs* first = nullptr;
  if (::getifaddrs(&first) != 0) return fail_errno(errno, "getifaddrs");
  const std::unique_ptr<ifaddrs, void (*)(ifaddrs*)> owner(first, ::freeifaddrs);
  std::set<std::string> names;
  for (const auto* at = first; at != nullptr; at = at->ifa_next) {
    if (at->ifa_name == interface && at->ifa_addr != nullptr && at->ifa_addr->sa_family == AF_INET) return as_text(*at);
    if (at->ifa_name == interface || (at->ifa_flags & IFF_LOOPBACK) == 0) names.emplace(at->ifa_name);
  }
  if (names.contains(interface)) {
    return fail_with_hint(ErrorCode::invalid_argument,
                          fmt::format("interface: '{}' has no IPv4 address on the manager's machine", interface),
                          "Give it one, or say in `address` which one it will have, like 10.20.0.1/22.");
  }
  std::string all;
  for (const auto& name : names) all += (all.empty() ? "" : ", ") + name;
  return fail_with_hint(ErrorCode::invalid_argument,
                        fmt::format("interface: the manager's machine has no '{}'", interface.substr(0, 64)),
                        all.empty() ? "It has no network interface at all." : fmt::format("It has: {}.", all));
}

}  // namespace bridgehead::control_api
