#include "host_agent/facts/network_facts.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>

#include <bit>
#include <cstdlib>

#include "base/file.h"
#include "host_agent/facts/host_facts.h"

namespace bridgehead::host_agent {
namespace fs = std::filesystem;

namespace {

// ARPHRD_* of linux/if_arp.h as /sys/class/net/*/type shows it.
constexpr std::string_view kTypeEthernet = "1";
constexpr std::string_view kTypeLoopback = "772";

std::string kind_of(const fs::path& directory) {
  std::error_code error;
  if (fs::is_directory(directory / "bridge", error)) return "bridge";
  if (fs::is_directory(directory / "bonding", error)) return "bond";
  const auto uevent = "\n" + read_text(directory / "uevent") + "\n";
  if (uevent.find("\nDEVTYPE=vlan\n") != std::string::npos) return "vlan";
  if (fs::exists(directory / "tun_flags", error)) return "tap";
  const auto type = read_text(directory / "type");
  if (type == kTypeLoopback) return "loopback";
  // A device link: real hardware, or a guest's virtio NIC. Without one it is a veth, a dummy, a tunnel.
  if (type == kTypeEthernet && fs::exists(directory / "device", error)) return "ethernet";
  return "other";
}

std::string bridge_of(const fs::path& directory) {
  std::error_code error;
  const auto link = fs::read_symlink(directory / "brport/bridge", error);
  return error ? std::string() : link.filename().string();
}

std::uint64_t speed_of(const fs::path& directory) {
  // EINVAL while the link is down, "-1" where the driver doesn't know.
  const auto text = read_text(directory / "speed");
  const long long speed = std::strtoll(text.c_str(), nullptr, 10);
  return speed > 0 ? static_cast<std::uint64_t>(speed) : 0;
}

bool is_up(const fs::path& directory) {
  const auto state = read_text(directory / "operstate");
  if (state == "up") return true;
  if (state != "unknown") return false;
  // Drivers without link detection (loopback, taps) say "unknown": then the administrator's switch counts.
  return (std::strtoul(read_text(directory / "flags").c_str(), nullptr, 16) & IFF_UP) != 0;
}

int prefix_length(const unsigned char* mask, std::size_t bytes) {
  int bits = 0;
  for (std::size_t i = 0; i < bytes; ++i) bits += std::popcount(static_cast<unsigned>(mask[i]));
  return bits;
}

}  // namespace

std::vector<model::NetworkInterface> read_interfaces(const fs::path& root,
                                                     const std::vector<InterfaceAddress>& addresses) {
  std::vector<model::NetworkInterface> interfaces;
  for (const auto& directory : list_directory(root / "sys/class/net").value_or(std::vector<fs::path>())) {
    model::NetworkInterface found;
    found.name = directory.filename().string();
    if (found.name.starts_with("vnet")) continue;
    std::error_code ignored;
    if (!fs::is_directory(directory, ignored)) continue;  // bonding_masters is a file
    found.mac = read_text(directory / "address");
    found.kind = kind_of(directory);
    found.bridge = bridge_of(directory);
    found.up = is_up(directory);
    found.speed_mbit = speed_of(directory);
    for (const auto& address : addresses) {
      if (address.interface == found.name) found.addresses.push_back(address.address);
    }
    interfaces.push_back(std::move(found));
  }
  std::sort(interfaces.begin(), interfaces.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  return interfaces;
}

std::vector<InterfaceAddress> system_addresses() {
  ifaddrs* list = nullptr;
  if (::getifaddrs(&list) != 0) return {};
  const std::unique_ptr<ifaddrs, decltype(&::freeifaddrs)> owner(list, &::freeifaddrs);
  std::vector<InterfaceAddress> addresses;
  for (const ifaddrs* at = list; at != nullptr; at = at->ifa_next) {
    if (at->ifa_addr == nullptr || at->ifa_netmask == nullptr) continue;
    char text[INET6_ADDRSTRLEN] = {};
    int prefix = 0;
    if (at->ifa_addr->sa_family == AF_INET) {
      const auto* address = reinterpret_cast<const sockaddr_in*>(at->ifa_addr);
      const auto* mask = reinterpret_cast<const sockaddr_in*>(at->ifa_netmask);
      ::inet_ntop(AF_INET, &address->sin_addr, text, sizeof text);
      prefix = prefix_length(reinterpret_cast<const unsigned char*>(&mask->sin_addr), sizeof mask->sin_addr);
    } else if (at->ifa_addr->sa_family == AF_INET6) {
      const auto* address = reinterpret_cast<const sockaddr_in6*>(at->ifa_addr);
      const auto* mask = reinterpret_cast<const sockaddr_in6*>(at->ifa_netmask);
      if (IN6_IS_ADDR_LINKLOCAL(&address->sin6_addr)) continue;
      ::inet_ntop(AF_INET6, &address->sin6_addr, text, sizeof text);
      prefix = prefix_length(reinterpret_cast<const unsigned char*>(&mask->sin6_addr), sizeof mask->sin6_addr);
    } else {
      continue;
    }
    addresses.push_back({at->ifa_name, fmt::format("{}/{}", text, prefix)});
  }
  return addresses;
}

}  // namespace bridgehead::host_agent
