#include "manager/advertise.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <memory>

namespace bridgehead::manager {
namespace {

void add(std::vector<std::string>& list, const std::string& entry) {
  if (!entry.empty() && std::ranges::find(list, entry) == list.end()) list.push_back(entry);
}

std::string host_name() {
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0) return {};
  return name.data();
}

// Loopback last; link-local IPv6 not at all, as nobody reaches it without a scope.
std::vector<std::string> interface_addresses() {
  ifaddrs* list = nullptr;
  if (::getifaddrs(&list) != 0) return {};
  const std::unique_ptr<ifaddrs, decltype(&::freeifaddrs)> owner(list, &::freeifaddrs);
  std::vector<std::string> addresses;
  std::vector<std::string> loopback;
  for (const auto* entry = list; entry != nullptr; entry = entry->ifa_next) {
    if (entry->ifa_addr == nullptr || (entry->ifa_flags & IFF_UP) == 0) continue;
    std::array<char, INET6_ADDRSTRLEN> text{};
    const int family = entry->ifa_addr->sa_family;
    if (family == AF_INET) {
      const auto* v4 = reinterpret_cast<const sockaddr_in*>(entry->ifa_addr);
      inet_ntop(AF_INET, &v4->sin_addr, text.data(), text.size());
    } else if (family == AF_INET6) {
      const auto* v6 = reinterpret_cast<const sockaddr_in6*>(entry->ifa_addr);
      if (IN6_IS_ADDR_LINKLOCAL(&v6->sin6_addr)) continue;
      inet_ntop(AF_INET6, &v6->sin6_addr, text.data(), text.size());
    } else {
      continue;
    }
    add((entry->ifa_flags & IFF_LOOPBACK) != 0 ? loopback : addresses, text.data());
  }
  addresses.insert(addresses.end(), loopback.begin(), loopback.end());
  return addresses;
}

bool any_address(const std::string& address) { return address == "0.0.0.0" || address == "::"; }

}  // namespace

Advertised advertised(const Config& config, std::uint16_t agent_port) {
  Advertised result;
  add(result.names, "bridgehead-manager");
  std::string host;
  for (const auto& entry : config.advertise) {
    add(is_address(entry) ? result.addresses : result.names, entry);
    if (host.empty()) host = entry;
  }
  if (const auto name = host_name(); is_host_name(name)) add(result.names, name);
  add(result.names, "localhost");
  if (!any_address(config.listen.address)) add(result.addresses, config.listen.address);
  if (!any_address(config.agent_listen.address)) add(result.addresses, config.agent_listen.address);
  const auto found = interface_addresses();
  if (host.empty() && !any_address(config.agent_listen.address)) host = config.agent_listen.address;
  if (host.empty() && !found.empty()) host = found.front();
  if (host.empty()) host = "127.0.0.1";
  for (const auto& address : found) add(result.addresses, address);
  add(result.addresses, "127.0.0.1");
  result.agent_endpoint = Endpoint{host, agent_port}.text();
  return result;
}

}  // namespace bridgehead::manager
