#include "hypervisor/domain_xml.h"

#include <algorithm>
#include <sstream>

#include <pugixml.hpp>

#include "hypervisor/device_key.h"
#include "hypervisor/xml_build.h"
#include "model/enum_names.h"

namespace bridgehead::hypervisor {
namespace {

using pugi::xml_node;

constexpr unsigned kSpareRootPorts = 6;  // devices that can be added while the guest runs

void set_kib(xml_node parent, const char* name, Bytes size) {
  set(child(parent, name, std::to_string(size.count() >> 10)), "unit", "KiB");
}

std::string print(xml_node node) {
  std::ostringstream out;
  node.print(out, "  ", pugi::format_default | pugi::format_no_declaration);
  return out.str();
}

// The part of the memory that can be plugged in while the guest runs.
Bytes memory_device_size(const GuestConfig& config) {
  if (config.max_memory <= config.memory) return {};
  return Bytes((config.max_memory - config.memory).count() / kMemoryBlock * kMemoryBlock);
}

void add_memory(xml_node domain, const GuestConfig& config) {
  const auto pluggable = memory_device_size(config);
  if (pluggable.count() > 0) {
    auto limit = child(domain, "maxMemory", std::to_string((config.memory + pluggable).count() >> 10));
    set(limit, "slots", "1");
    set(limit, "unit", "KiB");
  }
  set_kib(domain, "memory", config.memory + pluggable);
  set_kib(domain, "currentMemory", config.memory);
}

void add_memory_device(xml_node devices, Bytes size, Bytes requested) {
  auto memory = devices.append_child("memory");
  set(memory, "model", "virtio-mem");
  auto target = memory.append_child("target");
  set_kib(target, "size", size);
  child(target, "node", "0");
  set_kib(target, "block", Bytes(kMemoryBlock));
  set_kib(target, "requested", Bytes(requested.count() / kMemoryBlock * kMemoryBlock));
  set(memory.append_child("alias"), "name", "ua-memory");
}

void add_cpu(xml_node domain, const GuestConfig& config) {
  auto cpu = domain.append_child("cpu");
  if (config.cpu_model == model::CpuModel::host) {
    set(cpu, "mode", config.kvm ? "host-passthrough" : "maximum");
    set(cpu, "check", "none");
    if (config.kvm) set(cpu, "migratable", "on");
    // Emulated five-level page tables cost a fifth of the speed and buy nothing below 64 TiB.
    if (!config.kvm) {
      auto feature = cpu.append_child("feature");
      set(feature, "policy", "disable");
      set(feature, "name", "la57");
    }
  } else {
    // x86-64-v2 (System V ABI, AMD64 supplement), every flag named: the same on every node and under emulation.
    set(cpu, "mode", "custom");
    set(cpu, "match", "exact");
    set(cpu, "check", "none");
    set(child(cpu, "model", "qemu64"), "fallback", "forbid");
    for (const char* name : {"cx16", "lahf_lm", "popcnt", "pni", "sse4.1", "sse4.2", "ssse3"}) {
      auto feature = cpu.append_child("feature");
      set(feature, "policy", "require");
      set(feature, "name", name);
    }
    auto feature = cpu.append_child("feature");
    set(feature, "policy", "disable");
    set(feature, "name", "svm");
  }
  // One socket with all that may ever be plugged: operating systems limit sockets, not cores.
  auto topology = cpu.append_child("topology");
  for (const char* level : {"sockets", "dies", "threads"}) set(topology, level, "1");
  set(topology, "cores", std::to_string(std::max(config.cpus, config.max_cpus)));
  if (memory_device_size(config).count() == 0) return;
  auto cell = cpu.append_child("numa").append_child("cell");  // memory can be plugged into NUMA cells only
  set(cell, "id", "0");
  const auto last_cpu = std::max(config.cpus, config.max_cpus) - 1;
  set(cell, "cpus", last_cpu > 0 ? fmt::format("0-{}", last_cpu) : "0");
  set(cell, "memory", std::to_string(config.memory.count() >> 10));
  set(cell, "unit", "KiB");
}

void add_machine(xml_node domain, const GuestConfig& config, const Pinned& pinned) {
  auto os = domain.append_child("os");
  if (config.firmware == model::Firmware::uefi) set(os, "firmware", "efi");
  auto type = child(os, "type", "hvm");
  set(type, "arch", "x86_64");
  set(type, "machine", pinned.machine);
  if (config.firmware == model::Firmware::uefi) {
    auto feature = os.append_child("firmware").append_child("feature");
    set(feature, "enabled", "no");
    set(feature, "name", "secure-boot");
    child(os, "nvram", config.nvram.string());
  }
  auto features = domain.append_child("features");
  features.append_child("acpi");
  features.append_child("apic");
  set(features.append_child("vmport"), "state", "off");
}

void add_clock(xml_node domain) {
  auto clock = domain.append_child("clock");
  set(clock, "offset", "utc");
  const auto timer = [&](const char* name, const char* attribute, const char* value) {
    auto node = clock.append_child("timer");
    set(node, "name", name);
    set(node, attribute, value);
  };
  timer("rtc", "tickpolicy", "catchup");
  timer("pit", "tickpolicy", "delay");
  timer("hpet", "present", "no");  // slow to emulate; guests have kvmclock, TSC and the ACPI timer
}

void add_lifecycle(xml_node domain) {
  child(domain, "on_poweroff", "destroy");
  child(domain, "on_reboot", "restart");
  child(domain, "on_crash", "destroy");  // seen as "crashed"; starting it again is the reconciler's decision
  auto pm = domain.append_child("pm");
  set(pm.append_child("suspend-to-mem"), "enabled", "no");
  set(pm.append_child("suspend-to-disk"), "enabled", "no");
}

void set_target(xml_node disk, const GuestDisk& config, const Pinned* pinned, std::set<std::string>& taken) {
  std::string name;
  if (pinned != nullptr) {
    if (const auto found = pinned->targets.find(config.name); found != pinned->targets.end()) name = found->second;
  }
  for (int i = 0; name.empty(); ++i) {
    auto candidate =
        i < 26 ? fmt::format("vd{:c}", 'a' + i) : fmt::format("vd{:c}{:c}", 'a' + i / 26 - 1, 'a' + i % 26);
    if (!taken.contains(candidate)) name = std::move(candidate);
  }
  taken.insert(name);
  auto target = disk.append_child("target");
  set(target, "dev", name);
  set(target, "bus", "virtio");
}

// What its bytes are and where; first among the disk's elements.
void add_file(xml_node disk, const GuestDisk& config) {
  auto driver = disk.append_child("driver");
  set(driver, "name", "qemu");
  set(driver, "type", std::string(model::to_string(config.format)));
  set(driver, "cache", config.direct_io ? "none" : "writeback");
  set(driver, "io", config.direct_io ? "native" : "threads");
  set(driver, "discard", "unmap");
  set(driver, "detect_zeroes", "unmap");
  set(driver, "iothread", "1");
  set(disk.append_child("source"), "file", config.path.string());
  // The whole chain is said here, so that libvirt and QEMU never guess one from bytes that a guest wrote.
  if (!config.backing.empty()) {
    auto backing = disk.append_child("backingStore");
    set(backing, "type", "file");
    set(backing.append_child("format"), "type", "raw");
    set(backing.append_child("source"), "file", config.backing.string());
    backing.append_child("backingStore");
  } else if (config.format == model::ImageFormat::raw) {
    disk.append_child("backingStore");
  }
}

xml_node add_disk(xml_node devices, const GuestDisk& config, const Pinned* pinned, std::set<std::string>& taken) {
  auto disk = devices.append_child("disk");
  set(disk, "type", "file");
  set(disk, "device", "disk");
  add_file(disk, config);
  set_target(disk, config, pinned, taken);
  child(disk, "serial", config.name);
  set(disk.append_child("alias"), "name", "ua-" + config.name);
  return disk;
}

void add_seed(xml_node devices, const std::filesystem::path& seed) {
  auto cdrom = devices.append_child("disk");
  set(cdrom, "type", "file");
  set(cdrom, "device", "cdrom");
  auto driver = cdrom.append_child("driver");
  set(driver, "name", "qemu");
  set(driver, "type", "raw");
  if (!seed.empty()) {
    set(cdrom.append_child("source"), "file", seed.string());
    cdrom.append_child("backingStore");
  }
  auto target = cdrom.append_child("target");
  set(target, "dev", "sda");
  set(target, "bus", "scsi");  // Debian's cloud kernel has no AHCI driver
  cdrom.append_child("readonly");
  set(cdrom.append_child("alias"), "name", "ua-seed");
}

void add_nic(xml_node devices, const GuestNic& config) {
  auto nic = devices.append_child("interface");
  auto source = nic.append_child("source");
  if (!config.network.empty()) {
    set(nic, "type", "network");
    set(source, "network",
        is_uuid(config.network) ? nat_network_name(model::NetworkId(config.network)) : config.network);
  } else {
    set(nic, "type", "bridge");
    set(source, "bridge", config.vlan ? vlan_bridge_name(config.bridge, *config.vlan) : config.bridge);
  }
  set(nic.append_child("mac"), "address", config.mac);
  set(nic.append_child("model"), "type", "virtio");
  set(nic.append_child("rom"), "enabled", "no");  // nobody boots from it, and the option ROM costs boot time
  set(nic.append_child("alias"), "name", "ua-" + config.name);
}

void add_controllers(xml_node devices, const GuestConfig& config, const Pinned& pinned) {
  const auto controller = [&](const char* type, std::optional<unsigned> index, const char* model) {
    auto node = devices.append_child("controller");
    set(node, "type", type);
    if (index) set(node, "index", std::to_string(*index));
    if (model != nullptr) set(node, "model", model);
  };
  // Channel, balloon, rng, the memory device and the seed's controller need ports too.
  const auto needed = static_cast<unsigned>(5 + config.disks.size() + config.nics.size() + kSpareRootPorts);
  controller("pci", 0, "pcie-root");
  for (unsigned port = 1; port <= std::max(needed, pinned.root_ports); ++port)
    controller("pci", port, "pcie-root-port");
  controller("scsi", 0, "virtio-scsi");
  controller("virtio-serial", 0, nullptr);
  controller("usb", std::nullopt, "none");
}

void add_console(xml_node devices, const GuestConfig& config) {
  auto serial = devices.append_child("serial");
  set(serial, "type", "pty");
  if (!config.console_log.empty()) {
    auto log = serial.append_child("log");
    set(log, "file", config.console_log.string());
    set(log, "append", "on");
  }
  auto target = serial.append_child("target");
  set(target, "type", "isa-serial");
  set(target, "port", "0");
  auto console = devices.append_child("console");
  set(console, "type", "pty");
  auto console_target = console.append_child("target");
  set(console_target, "type", "serial");
  set(console_target, "port", "0");
}

void add_services(xml_node devices) {
  auto channel = devices.append_child("channel");
  set(channel, "type", "unix");
  auto target = channel.append_child("target");
  set(target, "type", "virtio");
  set(target, "name", "org.qemu.guest_agent.0");

  auto rng = devices.append_child("rng");
  set(rng, "model", "virtio");
  set(child(rng, "backend", "/dev/urandom"), "model", "random");

  auto balloon = devices.append_child("memballoon");
  set(balloon, "model", "virtio");
  set(balloon, "autodeflate", "on");
  set(balloon, "freePageReporting", "on");

  // Reached through virDomainOpenGraphicsFD only: no socket anywhere that could be connected to.
  auto graphics = devices.append_child("graphics");
  set(graphics, "type", "vnc");
  set(graphics.append_child("listen"), "type", "none");
  auto model = devices.append_child("video").append_child("model");
  set(model, "type", "vga");
  set(model, "vram", "16384");

  set(devices.append_child("panic"), "model", "isa");  // a guest kernel's panic is reported
}

// Not a PCI Express device: beside the root ports, so that it needs no bridge. The place is far behind the last of
// them.
void add_watchdog(xml_node devices) {
  auto watchdog = devices.append_child("watchdog");
  set(watchdog, "model", "i6300esb");
  set(watchdog, "action", "reset");
  auto address = watchdog.append_child("address");
  set(address, "type", "pci");
  set(address, "domain", "0x0000");
  set(address, "bus", "0x00");
  set(address, "slot", "0x10");
  set(address, "function", "0x0");
}

void add_devices(xml_node domain, const GuestConfig& config, const Pinned& pinned) {
  auto devices = domain.append_child("devices");
  std::set<std::string> taken;
  for (const auto& [name, target] : pinned.targets) taken.insert(target);
  unsigned order = 1;
  for (const auto& disk : config.disks) {
    set(add_disk(devices, disk, &pinned, taken).append_child("boot"), "order", std::to_string(order++));
  }
  if (!config.seed.empty()) add_seed(devices, config.seed);
  add_controllers(devices, config, pinned);
  for (const auto& nic : config.nics) add_nic(devices, nic);
  add_console(devices, config);
  add_services(devices);
  if (config.watchdog != model::Watchdog::off) add_watchdog(devices);
  if (const auto size = memory_device_size(config); size.count() > 0) add_memory_device(devices, size, {});
  for (auto device : devices.children()) {
    const auto found = pinned.addresses.find(device_key(device));
    if (found != pinned.addresses.end()) {
      device.remove_child("address");
      device.append_buffer(found->second.data(), found->second.size(), pugi::parse_default | pugi::parse_fragment);
    }
  }
}

}  // namespace

std::string domain_name(const model::VmId& id) { return "bh-" + id.str(); }

std::string domain_xml(const GuestConfig& config, const Pinned& pinned, const GuestMetadata& metadata) {
  pugi::xml_document document;
  auto domain = document.append_child("domain");
  set(domain, "type", config.kvm ? "kvm" : "qemu");
  child(domain, "name", domain_name(config.id));
  child(domain, "uuid", config.id.str());
  pinned.genid.empty() ? (void)domain.append_child("genid") : (void)child(domain, "genid", pinned.genid);
  if (!config.name.empty()) child(domain, "title", config.name);
  const auto ours = metadata_xml(metadata);
  domain.append_child("metadata").append_buffer(ours.data(), ours.size(), pugi::parse_default | pugi::parse_fragment);
  add_memory(domain, config);
  auto vcpu = child(domain, "vcpu", std::to_string(std::max(config.cpus, config.max_cpus)));
  set(vcpu, "placement", "static");
  set(vcpu, "current", std::to_string(config.cpus));
  child(domain, "iothreads", "1");
  add_machine(domain, config, pinned);
  add_cpu(domain, config);
  add_clock(domain);
  add_lifecycle(domain);
  add_devices(domain, config, pinned);
  return print(domain);
}

Result<std::string> with_disk_file(const std::string& domain, const GuestDisk& disk) {
  pugi::xml_document document;
  if (!document.load_string(domain.c_str())) {
    return fail(ErrorCode::data_corrupt, "the domain's definition is not XML");
  }
  const auto alias = "ua-" + disk.name;
  for (auto node : document.child("domain").child("devices").children("disk")) {
    if (alias != node.child("alias").attribute("name").value()) continue;
    for (const char* part : {"driver", "source", "backingStore"}) node.remove_child(part);
    add_file(node, disk);
    return print(document.first_child());
  }
  return fail(ErrorCode::not_found, "the guest has no disk '{}'", disk.name);
}

std::string disk_xml(const GuestDisk& disk, const std::set<std::string>& taken) {
  pugi::xml_document document;
  auto names = taken;
  return print(add_disk(document, disk, nullptr, names));
}

std::string nic_xml(const GuestNic& nic) {
  pugi::xml_document document;
  add_nic(document, nic);
  return print(document.first_child());
}

std::string seed_xml(const std::filesystem::path& seed) {
  pugi::xml_document document;
  add_seed(document, seed);
  return print(document.first_child());
}

std::string memory_device_xml(Bytes size, Bytes requested, const std::string& address) {
  pugi::xml_document document;
  add_memory_device(document, size, requested);
  document.first_child().append_buffer(address.data(), address.size(), pugi::parse_default | pugi::parse_fragment);
  return print(document.first_child());
}

std::string vlan_device_name(const std::string& bridge, std::uint16_t vlan) {
  auto name = fmt::format("{}.{}", bridge, vlan);
  if (name.size() <= 15) return name;
  // FNV-1a, so that every node of every version chooses the same name.
  std::uint32_t hash = 2166136261u;
  for (const char c : bridge) hash = (hash ^ static_cast<unsigned char>(c)) * 16777619u;
  return fmt::format("bh{:07x}.{}", hash & 0xfffffffu, vlan);
}

std::string vlan_bridge_name(const std::string& bridge, std::uint16_t vlan) {
  auto name = vlan_device_name(bridge, vlan);
  name[name.rfind('.')] = 'v';
  return name;
}

}  // namespace bridgehead::hypervisor
