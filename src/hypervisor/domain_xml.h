// GuestConfig -> libvirt domain XML, and back. Pure functions; the only place that knows how our guests look.
// Format: https://libvirt.org/formatdomain.html (libvirt 9.0). Tests compare with tests/golden/*.xml.
//
// Guest-visible identity never changes by itself: machine type, generation id, PCI addresses and target names of an
// existing guest are read from its definition (Pinned) and written into each new one.
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>

#include "hypervisor/hypervisor.h"

namespace bridgehead::hypervisor {

inline constexpr char kMetadataUri[] = "urn:bridgehead:vm:1";
inline constexpr char kMetadataPrefix[] = "bh";

// "bh-<id>"
std::string domain_name(const model::VmId& id);

// Our element in a domain's <metadata>; its presence makes the domain ours.
struct GuestMetadata {
  model::VmId id;
  std::uint64_t generation = 0;
  std::uint64_t lease = 0;
  bool restart_required = false;                             // only ever set in the running guest's copy
  std::string seed;                                          // changes when the seed file does
  std::vector<std::pair<std::string, std::uint16_t>> vlans;  // bridge and tag, to be made before a start

  bool operator==(const GuestMetadata&) const = default;
};
// virDomainSetMetadata adds the namespace itself and wants the element without.
std::string metadata_xml(const GuestMetadata& metadata, bool with_namespace = true);
Result<GuestMetadata> parse_metadata(std::string_view xml);

// What must survive a new definition.
struct Pinned {
  std::string machine;  // "pc-q35-7.2"
  std::string genid;    // "" = libvirt makes one
  unsigned root_ports = 0;
  std::map<std::string, std::string> addresses;  // device key -> its <address> element
  std::map<std::string, std::string> targets;    // disk name -> "vdb"
};

std::string domain_xml(const GuestConfig& config, const Pinned& pinned, const GuestMetadata& metadata);

// The same domain with `disk` in another file; everything else stays. not_found: it has no such disk.
Result<std::string> with_disk_file(const std::string& domain, const GuestDisk& disk);

// One device alone, for hot-plug. `taken`: target names in use.
std::string disk_xml(const GuestDisk& disk, const std::set<std::string>& taken);
std::string nic_xml(const GuestNic& nic);
std::string seed_xml(const std::filesystem::path& seed);
// The part of the memory that can be hot-plugged, as libvirt wants it for an update of how much of it is `requested`.
std::string memory_device_xml(Bytes size, Bytes requested, const std::string& address);

struct ParsedDomain {
  // As far as the XML tells it: NICs with a VLAN come back with their VLAN's bridge and no tag, kvm and so on as they
  // are.
  GuestConfig config;
  Pinned pinned;
  GuestMetadata metadata;
  Bytes boot_memory;       // without what can be hot-plugged
  Bytes memory_device;     // size of the virtio-mem device; 0 = none
  Bytes memory_requested;  // how much of that the guest should use
  bool agent_connected = false;
  bool cpus_added = false;  // some of its CPUs came while it ran
};
// Errors: data_corrupt when it isn't one of our domains.
Result<ParsedDomain> parse_domain(std::string_view xml);

// The bridge that carries one VLAN of `bridge` (see vlan_bridge.h), and the VLAN device below it; both fit 15
// characters.
std::string vlan_bridge_name(const std::string& bridge, std::uint16_t vlan);
std::string vlan_device_name(const std::string& bridge, std::uint16_t vlan);

}  // namespace bridgehead::hypervisor
