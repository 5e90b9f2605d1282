#include "hardware.h"

#include <sys/sysinfo.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <climits>
#include <cstdlib>

#include "files.h"
#include "text.h"

namespace bridgehead::init {
namespace {

std::string dmi(std::string_view name) { return read_value(concat("/sys/class/dmi/id/", name)); }

// "0000:00:03.0": a virtio device lies below its PCI function, others are it. "" where it is on another bus.
std::string pci_address(const std::string& device) {
  std::array<char, PATH_MAX> path;
  std::string found;
  if (::realpath(device.c_str(), path.data()) == nullptr) return found;
  for (const auto part : split(path.data(), '/')) {
    if (part.size() == 12 && part[4] == ':' && part[7] == ':' && part[10] == '.') found = part;
  }
  return found;
}

// By its module, as images and `bh node-image build --nic-drivers` name it; some drivers call themselves otherwise.
std::string driver_of(const std::string& device) {
  auto module = link_base_name(concat(device, "/driver/module"));
  return module.empty() ? link_base_name(concat(device, "/driver")) : module;
}

std::string nics_json() {
  std::string json;
  for (const auto& name : list_directory("/sys/class/net")) {
    const auto place = concat("/sys/class/net/", name);
    if (!exists(concat(place, "/device"))) continue;
    const auto speed = parse_number(read_value(concat(place, "/speed"))).value_or(0);
    const bool link = read_value(concat(place, "/carrier")) == "1";
    json += concat(json.empty() ? "" : ",", "{\"name\":", json_string(name),
                   ",\"mac\":", json_string(read_value(concat(place, "/address"))),
                   ",\"driver\":", json_string(driver_of(concat(place, "/device"))),
                   ",\"pci\":", json_string(pci_address(concat(place, "/device"))),
                   ",\"link\":", link ? "true" : "false", ",\"speed_mbit\":", speed > 10'000'000 ? 0 : speed, "}");
  }
  return json;
}

std::string disks_json() {
  std::string json;
  constexpr std::array<std::string_view, 8> not_disks{"loop", "ram", "zram", "nbd", "sr", "fd", "dm-", "md"};
  for (const auto& name : list_directory("/sys/block")) {
    const bool skip = std::any_of(not_disks.begin(), not_disks.end(),
                                  [&](std::string_view prefix) { return name.starts_with(prefix); });
    const auto place = concat("/sys/block/", name);
    const auto sectors = parse_number(read_value(concat(place, "/size"))).value_or(0);
    if (skip || sectors == 0) continue;
    json += concat(json.empty() ? "" : ",", "{\"name\":", json_string(name), ",\"size\":", sectors * 512,
                   ",\"model\":", json_string(read_value(concat(place, "/device/model"))), "}");
  }
  return json;
}

}  // namespace

std::string smbios_uuid() { return dmi("product_uuid"); }
std::string smbios_serial() { return dmi("product_serial"); }

std::string hardware_json() {
  struct sysinfo memory {};
  ::sysinfo(&memory);
  return concat("{\"cpus\":", ::sysconf(_SC_NPROCESSORS_ONLN),
                ",\"memory\":", static_cast<std::uint64_t>(memory.totalram) * memory.mem_unit,
                ",\"vendor\":", json_string(dmi("sys_vendor")), ",\"product\":", json_string(dmi("product_name")),
                ",\"nics\":[", nics_json(), "],\"disks\":[", disks_json(), "]}");
}

}  // namespace bridgehead::init
