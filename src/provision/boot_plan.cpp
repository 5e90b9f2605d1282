#include "provision/boot_plan.h"

#include <algorithm>

#include "model/enum_names.h"
#include "netboot/boot_values.h"

namespace bridgehead::provision {
namespace {

std::string with_prefix(const model::NetbootSettings& settings, const std::string& address) {
  const auto slash = settings.address.find('/');
  if (address.empty() || slash == std::string::npos) return {};
  return address + settings.address.substr(slash);
}

// The MACs that a discovered machine reported, its boot NIC first: "eth0 52:54:00:12:34:56 virtio_net ...".
std::string bond_of(const model::Profile& profile, const model::Netboot& machine) {
  if (profile.bond_mode.empty()) return {};
  std::string macs = machine.mac;
  for (const auto& nic : machine.hardware.nics) {
    const auto begin = nic.find(' ');
    if (begin == std::string::npos) continue;
    const auto mac = nic.substr(begin + 1, 17);
    if (mac != machine.mac && netboot::canonical_mac(mac)) macs += "," + mac;
  }
  return fmt::format("{}:{}", profile.bond_mode, macs);
}

}  // namespace

std::string own_address(const model::NetbootSettings& settings) {
  return settings.address.substr(0, settings.address.find('/'));
}

std::string server_url(const model::NetbootSettings& settings) {
  return fmt::format("http://{}:{}", own_address(settings), settings.http_port);
}

Status check_order(const BootOrder& order) {
  const auto& has = order.image.transports;
  if (std::find(has.begin(), has.end(), order.profile.root) != has.end()) return {};
  return fail_with_hint(
      ErrorCode::failed_precondition,
      fmt::format("node image '{}' can't be a root by {}", order.image.name, model::to_string(order.profile.root)),
      "Build it again with its tree (nfs), or choose another root: bh profile set NAME --root nbd");
}

std::string plan_text(const BootOrder& order, const std::string& join_token, const Bundle& bundle) {
  const auto& settings = order.settings;
  std::string text;
  const auto put = [&](std::string_view key, std::string_view value) { text += fmt::format("{}={}\n", key, value); };
  put("boot", order.token);
  put("hostname", order.node.name);
  put("image", order.image.name);
  put("root", model::to_string(order.profile.root));
  switch (order.profile.root) {
    case model::RootTransport::nbd:
      put("nbd.server", fmt::format("{}:{}", own_address(settings), settings.nbd_port));
      for (const auto& server : settings.nbd_servers) put("nbd.server", server);
      put("nbd.export", order.image.id.str());
      put("nbd.reads", fmt::format("{}/boot/v1/reads?boot={}", server_url(settings), order.token));
      break;
    case model::RootTransport::nfs:
      put("nfs.source", fmt::format("{}:/images/{}", own_address(settings), order.image.id));
      put("nfs.options", "vers=4.1");
      break;
    case model::RootTransport::ram:
      put("ram.url", fmt::format("{}/boot/files/{}/{}", server_url(settings), order.image.id, kRootUrlName));
      put("ram.sha256", order.image.root_sha256);
      put("ram.size", std::to_string(order.image.root_size.count()));
      break;
  }
  put("overlay", order.profile.overlay);
  if (!bundle.url.empty()) {
    put("bundle.url", bundle.url);
    put("bundle.sha256", bundle.sha256);
  }
  put("join", join_token);
  return text;
}

std::string discovery_plan(const std::string& token, const std::string& hostname) {
  return fmt::format("boot={0}\nhostname={1}\nroot=none\nmessage=node '{1}' waits for approval: bh node approve {1}\n",
                     token, hostname);
}

netboot::KernelCommandLine command_line(const BootOrder& order, const std::string& address) {
  const auto& machine = *order.node.netboot;
  auto line = discovery_command_line(order.settings, machine.mac, address);
  line.boot = order.token;
  line.bridge = order.profile.bridge;
  line.vlan = order.profile.vlan;
  line.bond = bond_of(order.profile, machine);
  line.failure = order.profile.on_failure;
  line.arguments.insert(line.arguments.end(), order.profile.arguments.begin(), order.profile.arguments.end());
  if (line.vlan != 0) {  // the address is of the network that it boots from, not of the VLAN
    line.address.clear();
    line.gateway.clear();
  }
  return line;
}

netboot::KernelCommandLine discovery_command_line(const model::NetbootSettings& settings, const std::string& mac,
                                                  const std::string& address) {
  netboot::KernelCommandLine line;
  line.server = server_url(settings);
  line.mac = mac;
  line.address = with_prefix(settings, address);
  if (settings.mode == model::NetbootMode::full && !line.address.empty()) line.gateway = own_address(settings);
  line.arguments = {"console=tty0", "console=ttyS0"};
  return line;
}

}  // namespace bridgehead::provision
