#include "hypervisor/vlan_bridge.h"

#include <fcntl.h>

#include "base/file.h"
#include "hypervisor/domain_xml.h"

namespace bridgehead::hypervisor {
namespace {

bool is_there(const std::filesystem::path& path) {
  std::error_code error;
  return std::filesystem::exists(path, error);
}

// A bridge that filters VLANs drops a tag until its own port is a member of it.
bool filters_vlans(const std::string& bridge, const NetworkDevices& devices) {
  const auto value = read_file(devices.sys / bridge / "bridge/vlan_filtering");
  return value && value->starts_with('1');
}

}  // namespace

Status check_bridge(const std::string& bridge, const NetworkDevices& devices) {
  if (!bridge.empty() && bridge.find('/') == std::string::npos && is_there(devices.sys / bridge / "bridge")) return {};
  return fail_with_hint(ErrorCode::failed_precondition, fmt::format("this node has no bridge '{}'", bridge),
                        "Make the bridge on the node, or use a network whose bridge exists there.");
}

Status ensure_vlan_bridge(CommandRunner& commands, const std::string& bridge, std::uint16_t vlan,
                          const NetworkDevices& devices) {
  if (vlan < 1 || vlan > 4094) return fail(ErrorCode::invalid_argument, "{} is not a VLAN; use 1 to 4094", vlan);
  if (auto checked = check_bridge(bridge, devices); !checked) return checked;
  const auto device = vlan_device_name(bridge, vlan);
  const auto upper = vlan_bridge_name(bridge, vlan);
  if (is_there(devices.sys / upper / "brif" / device)) return {};

  const auto run = [&](std::string program, std::vector<std::string> arguments) -> Status {
    const auto ran = commands.run({.program = std::move(program), .arguments = std::move(arguments)});
    if (!ran) return forward(ran);
    return {};
  };
  if (filters_vlans(bridge, devices)) {
    if (auto added = run("bridge", {"vlan", "add", "dev", bridge, "vid", std::to_string(vlan), "self"}); !added)
      return added;
  }
  if (!is_there(devices.sys / device)) {
    auto made = run("ip", {"link", "add", "link", bridge, "name", device, "type", "vlan", "id", std::to_string(vlan)});
    if (!made && made.error().message.find("Unknown device type") != std::string::npos) {
      return fail_with_hint(ErrorCode::unsupported, "this node's kernel can't make VLAN devices",
                            "Load the module 8021q.");
    }
    if (!made) return made;
  }
  if (!is_there(devices.sys / upper)) {
    if (auto made = run("ip", {"link", "add", upper, "type", "bridge"}); !made) return made;
  }
  // The node itself must not take an address in a guest's VLAN.
  for (const auto& name : {device, upper}) {
    const auto file = devices.proc / "ipv6/conf" / name / "disable_ipv6";
    if (!is_there(file)) continue;
    const auto opened = open_file(file, O_WRONLY | O_CLOEXEC);
    if (!opened) return forward(opened);
    if (auto written = write_all(opened->get(), "1", file.string()); !written) return written;
  }
  if (auto joined = run("ip", {"link", "set", device, "master", upper, "up"}); !joined) return joined;
  return run("ip", {"link", "set", upper, "up"});
}

}  // namespace bridgehead::hypervisor
