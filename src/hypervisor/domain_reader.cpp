// The reading half of domain_xml.h.
#include <algorithm>
#include <charconv>
#include <sstream>

#include <pugixml.hpp>

#include "hypervisor/device_key.h"
#include "hypervisor/domain_xml.h"
#include "hypervisor/xml_build.h"
#include "model/enum_names.h"

namespace bridgehead::hypervisor {
namespace {

using pugi::xml_node;

std::string raw_xml(xml_node node) {
  std::ostringstream out;
  node.print(out, "", pugi::format_raw | pugi::format_no_declaration);
  return out.str();
}

// libvirt writes KiB and names the unit.
Bytes read_kib(xml_node node) { return Bytes(node.text().as_ullong() << 10); }

std::string our_alias(xml_node device) {
  const std::string_view alias = device.child("alias").attribute("name").value();
  return alias.starts_with("ua-") ? std::string(alias.substr(3)) : std::string();
}

std::optional<GuestDisk> read_disk(xml_node node) {
  GuestDisk disk;
  disk.name = our_alias(node);
  if (disk.name.empty() || std::string_view(node.attribute("device").value()) != "disk") return std::nullopt;
  const auto driver = node.child("driver");
  if (const auto format = model::parse_enum<model::ImageFormat>(driver.attribute("type").value()))
    disk.format = *format;
  disk.direct_io = std::string_view(driver.attribute("cache").value()) == "none";
  disk.path = node.child("source").attribute("file").value();
  disk.backing = node.child("backingStore").child("source").attribute("file").value();
  return disk;
}

std::optional<GuestNic> read_nic(xml_node node) {
  GuestNic nic;
  nic.name = our_alias(node);
  if (nic.name.empty()) return std::nullopt;
  nic.mac = node.child("mac").attribute("address").value();
  const auto source = node.child("source");
  // A running NIC of a libvirt network shows that network's bridge as well; the network is what was asked for.
  nic.network = source.attribute("network").value();
  if (nic.network.starts_with("bh-") && is_uuid(nic.network.substr(3))) nic.network.erase(0, 3);
  if (nic.network.empty()) nic.bridge = source.attribute("bridge").value();
  return nic;
}

void read_device(xml_node device, ParsedDomain& parsed) {
  const std::string_view kind = device.name();
  if (const auto address = device.child("address")) parsed.pinned.addresses[device_key(device)] = raw_xml(address);
  if (kind == "disk") {
    if (auto disk = read_disk(device)) {
      parsed.pinned.targets[disk->name] = device.child("target").attribute("dev").value();
      parsed.config.disks.push_back(std::move(*disk));
    } else if (our_alias(device) == "seed") {
      parsed.config.seed = device.child("source").attribute("file").value();
    }
  } else if (kind == "interface") {
    if (auto nic = read_nic(device)) parsed.config.nics.push_back(std::move(*nic));
  } else if (kind == "controller") {
    if (std::string_view(device.attribute("model").value()) == "pcie-root-port") ++parsed.pinned.root_ports;
  } else if (kind == "serial") {
    parsed.config.console_log = device.child("log").attribute("file").value();
  } else if (kind == "memory") {
    parsed.memory_device = read_kib(device.child("target").child("size"));
    parsed.memory_requested = read_kib(device.child("target").child("requested"));
  } else if (kind == "watchdog") {
    parsed.config.watchdog = model::Watchdog::reset;
  } else if (kind == "channel") {
    parsed.agent_connected = std::string_view(device.child("target").attribute("state").value()) == "connected";
  }
}

template <typename Number>
Number read_number(xml_node node, const char* attribute) {
  return static_cast<Number>(node.attribute(attribute).as_ullong());
}

GuestMetadata read_metadata(xml_node element) {
  GuestMetadata metadata;
  metadata.id = model::VmId(element.attribute("id").value());
  metadata.generation = read_number<std::uint64_t>(element, "generation");
  metadata.lease = read_number<std::uint64_t>(element, "lease");
  metadata.restart_required = element.attribute("restart").as_bool();
  metadata.seed = element.attribute("seed").value();
  for (const auto node : element.children()) {
    if (std::string_view(node.name()) == "vlan") {
      metadata.vlans.emplace_back(node.attribute("bridge").value(), read_number<std::uint16_t>(node, "tag"));
    }
  }
  return metadata;
}

}  // namespace

std::string device_key(xml_node device) {
  const std::string kind = device.name();
  const std::string_view alias = device.child("alias").attribute("name").value();
  if (alias.starts_with("ua-")) return fmt::format("{}/{}", kind, alias);
  if (kind == "controller") {
    return fmt::format("{}/{}/{}", kind, device.attribute("type").value(), device.attribute("index").as_uint());
  }
  const auto target = device.child("target");
  return fmt::format("{}/{}/{}{}", kind,
                     device.attribute("model") ? device.attribute("model").value() : device.attribute("type").value(),
                     target.attribute("name").value(), target.attribute("port").value());
}

std::string metadata_xml(const GuestMetadata& metadata, bool with_namespace) {
  pugi::xml_document document;
  auto element = document.append_child(with_namespace ? "bh:vm" : "vm");
  const auto set = [](xml_node node, const char* name, const std::string& value) {
    node.append_attribute(name).set_value(value.c_str());
  };
  if (with_namespace) set(element, "xmlns:bh", kMetadataUri);
  set(element, "id", metadata.id.str());
  set(element, "generation", std::to_string(metadata.generation));
  set(element, "lease", std::to_string(metadata.lease));
  if (metadata.restart_required) set(element, "restart", "true");
  if (!metadata.seed.empty()) set(element, "seed", metadata.seed);
  for (const auto& [bridge, tag] : metadata.vlans) {
    auto vlan = element.append_child("vlan");
    set(vlan, "bridge", bridge);
    set(vlan, "tag", std::to_string(tag));
  }
  return raw_xml(element);
}

Result<GuestMetadata> parse_metadata(std::string_view xml) {
  pugi::xml_document document;
  if (!document.load_buffer(xml.data(), xml.size()))
    return fail(ErrorCode::data_corrupt, "the domain's metadata is not XML");
  auto metadata = read_metadata(document.document_element());
  if (!is_uuid(metadata.id.str())) return fail(ErrorCode::data_corrupt, "the domain's metadata names no VM");
  return metadata;
}

Result<ParsedDomain> parse_domain(std::string_view xml) {
  pugi::xml_document document;
  if (!document.load_buffer(xml.data(), xml.size()))
    return fail(ErrorCode::data_corrupt, "the domain's definition is not XML");
  const auto domain = document.child("domain");
  ParsedDomain parsed;
  for (const auto element : domain.child("metadata").children()) {
    for (const auto attribute : element.attributes()) {
      if (std::string_view(attribute.value()) == kMetadataUri) parsed.metadata = read_metadata(element);
    }
  }
  auto& config = parsed.config;
  config.id = parsed.metadata.id;
  if (!is_uuid(config.id.str())) return fail(ErrorCode::data_corrupt, "the domain isn't one of ours");
  config.generation = parsed.metadata.generation;
  config.lease = parsed.metadata.lease;
  config.name = domain.child_value("title");
  config.kvm = std::string_view(domain.attribute("type").value()) == "kvm";
  const auto vcpu = domain.child("vcpu");
  config.max_cpus = vcpu.text().as_uint();
  config.cpus = vcpu.attribute("current").as_uint(config.max_cpus);
  for (const auto one : domain.child("vcpus").children("vcpu")) {
    parsed.cpus_added |= one.attribute("enabled").as_bool() && one.attribute("hotpluggable").as_bool();
  }
  const std::string_view mode = domain.child("cpu").attribute("mode").value();
  config.cpu_model = mode == "custom" ? model::CpuModel::baseline : model::CpuModel::host;
  const auto os = domain.child("os");
  config.nvram = os.child_value("nvram");
  config.firmware = config.nvram.empty() ? model::Firmware::bios : model::Firmware::uefi;
  parsed.pinned.machine = os.child("type").attribute("machine").value();
  parsed.pinned.genid = domain.child_value("genid");
  for (const auto device : domain.child("devices").children()) read_device(device, parsed);
  config.max_memory = read_kib(domain.child("memory"));
  parsed.boot_memory = config.max_memory - parsed.memory_device;
  config.memory = parsed.boot_memory + parsed.memory_requested;
  return parsed;
}

}  // namespace bridgehead::hypervisor
