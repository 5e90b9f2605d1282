#include "hypervisor/libvirt/addresses.h"

#include <algorithm>
#include <set>
#include <string_view>

#include "hypervisor/libvirt/domains.h"

namespace bridgehead::hypervisor {
namespace {

class Interfaces {
 public:
  Interfaces(virDomainPtr domain, unsigned source) {
    count_ = ::virDomainInterfaceAddresses(domain, &list_, source, 0);
  }
  ~Interfaces() {
    for (int i = 0; i < count_; ++i) ::virDomainInterfaceFree(list_[i]);
    ::free(list_);
  }
  Interfaces(const Interfaces&) = delete;
  Interfaces& operator=(const Interfaces&) = delete;

  bool answered() const { return count_ >= 0; }

  std::vector<std::string> of(const std::set<std::string>& macs) const {
    std::vector<std::string> result;
    for (int i = 0; i < count_; ++i) {
      const auto* interface = list_[i];
      if (interface->hwaddr == nullptr || !macs.contains(interface->hwaddr)) continue;
      for (unsigned k = 0; k < interface->naddrs; ++k) {
        const std::string_view address = interface->addrs[k].addr;
        if (address.starts_with("fe80:") || address.starts_with("169.254.") || address.starts_with("127.")) continue;
        if (std::find(result.begin(), result.end(), address) == result.end()) result.emplace_back(address);
      }
    }
    return result;
  }

 private:
  virDomainInterfacePtr* list_ = nullptr;
  int count_ = -1;
};

}  // namespace

std::vector<std::string> read_addresses(virDomainPtr domain, std::chrono::seconds agent_timeout, GuestAgent& agent) {
  agent = GuestAgent::away;
  const auto live = read_domain(domain, 0);
  if (!live) return {};
  std::set<std::string> macs;
  for (const auto& nic : live->config.nics) macs.insert(nic.mac);
  if (live->agent_connected) {
    ::virDomainAgentSetResponseTimeout(domain, static_cast<int>(agent_timeout.count()), 0);
    const Interfaces by_agent(domain, VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_AGENT);
    agent = by_agent.answered() ? GuestAgent::answers : GuestAgent::silent;
    if (auto found = by_agent.of(macs); !found.empty()) return found;
  }
  for (const unsigned source : {VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_LEASE, VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_ARP}) {
    if (auto found = Interfaces(domain, source).of(macs); !found.empty()) return found;
  }
  return {};
}

}  // namespace bridgehead::hypervisor
