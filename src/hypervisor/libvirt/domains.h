// Looking at our domains: finding, reading, describing them. Free functions over a connection; thread-safe.
#pragma once

#include <functional>
#include <optional>

#include "hypervisor/domain_xml.h"
#include "hypervisor/libvirt/handles.h"

namespace bridgehead::hypervisor {

// One of our domains; `domain` is null when this node has none with that id.
struct FoundDomain {
  DomainPtr domain;
  GuestMetadata metadata;
  explicit operator bool() const { return domain != nullptr; }
};

// unavailable when there is no usable QEMU.
Result<HypervisorInfo> read_info(virConnectPtr connection);

// conflict when a domain that isn't ours has this UUID.
Result<FoundDomain> find_domain(virConnectPtr connection, const model::VmId& id);
// not_found when it's absent.
Result<FoundDomain> require_domain(virConnectPtr connection, const model::VmId& id);
// nullopt: not ours.
Result<std::optional<GuestMetadata>> read_metadata(virDomainPtr domain);
model::VmId id_of(virDomainPtr domain);

struct GuestCondition {
  GuestState state = GuestState::absent;
  bool migrating = false;  // see GuestInfo
  bool uncertain = false;
  bool has_ended = false;
  bool unexplained = false;
};
Result<GuestCondition> condition_of(virDomainPtr domain);
Result<GuestInfo> describe(const FoundDomain& found);
Result<std::vector<GuestInfo>> describe_all(virConnectPtr connection);

// flags: VIR_DOMAIN_XML_INACTIVE or 0 for what runs.
Result<ParsedDomain> read_domain(virDomainPtr domain, unsigned flags);
Result<DomainPtr> define(virConnectPtr connection, const std::string& xml);
Status write_metadata(virDomainPtr domain, const GuestMetadata& metadata, unsigned affect);

}  // namespace bridgehead::hypervisor
