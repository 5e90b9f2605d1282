#include "hypervisor/libvirt/nat_networks.h"

#include <net/if.h>
#include <signal.h>

#include <cstdlib>

#include "base/file.h"
#include "hypervisor/hypervisor.h"
#include "hypervisor/network_xml.h"

namespace bridgehead::hypervisor {
namespace {

// Null: there is none.
Result<NetworkPtr> find(virConnectPtr connection, const model::NetworkId& id) {
  if (!is_uuid(id.str())) return fail(ErrorCode::invalid_argument, "'{}' is not a network id", id);
  NetworkPtr network(::virNetworkLookupByUUIDString(connection, id.str().c_str()));
  if (!network && last_libvirt_code() != VIR_ERR_NO_NETWORK) return fail_libvirt("look for the network");
  return network;
}

Result<std::string> definition(virNetworkPtr network) {
  const CString xml(::virNetworkGetXMLDesc(network, VIR_NETWORK_XML_INACTIVE));
  if (!xml) return fail_libvirt("read the network's definition");
  return std::string(xml.get());
}

// Of a network that is not active, as far as libvirt knows. A libvirtd that was killed while it started or stopped it
// has forgotten its bridge, which then keeps it from being started for ever, and its dnsmasq. A bridge with ports
// stays.
Status clear_half_started(CommandRunner& commands, const model::NetworkId& id) {
  const auto name = nat_network_name(id);
  // libvirt has dnsmasq write this (src/network/bridge_driver.c); the command line tells whether the number is still
  // its.
  const auto pid_file = read_file("/run/libvirt/network/" + name + ".pid", 1_KiB);
  const int pid = pid_file ? std::atoi(pid_file->c_str()) : 0;
  if (pid > 1) {
    const auto command_line = read_file(fmt::format("/proc/{}/cmdline", pid), 64_KiB);
    if (command_line && command_line->find("/" + name + ".conf") != std::string::npos) ::kill(pid, SIGTERM);
  }
  const auto bridge = nat_bridge_name({.id = id});  // never one that somebody named: that may be anybody's
  if (::if_nametoindex(bridge.c_str()) == 0) return {};
  const auto ports = commands.run({.program = "ip", .arguments = {"-o", "link", "show", "master", bridge}});
  if (!ports) return forward(ports);
  if (!ports->out.empty()) return {};
  const auto removed =
      commands.run({.program = "ip", .arguments = {"link", "delete", "dev", bridge, "type", "bridge"}});
  if (!removed) return forward(removed);
  return {};
}

Status start(virNetworkPtr network, CommandRunner& commands, const model::Network& wanted) {
  if (::virNetworkIsActive(network) == 1) return {};
  if (auto cleared = clear_half_started(commands, wanted.id); !cleared) return cleared;
  if (::virNetworkCreate(network) == 0) return {};
  const auto message = last_libvirt_message();
  auto failed = fail_libvirt(fmt::format("start network '{}'", wanted.name));
  if (::virNetworkIsActive(network) == 1) return {};  // somebody else was quicker
  if (message.find("already in use") != std::string::npos || message.find("already exists") != std::string::npos) {
    return fail_with_hint(
        ErrorCode::failed_precondition,
        fmt::format("network '{}' ({}) can't be started on this node: {}", wanted.name, wanted.subnet, message),
        "Choose a subnet and a bridge that nothing else uses here.");
  }
  return failed;
}

}  // namespace

Status ensure_nat_network(virConnectPtr connection, CommandRunner& commands, const model::Network& wanted) {
  auto network = find(connection, wanted.id);
  if (!network) return forward(network);
  if (*network) {
    const auto stored = definition(network->get());
    if (!stored) return forward(stored);
    if (!is_our_network(*stored))
      return fail(ErrorCode::conflict, "a network that isn't Bridgehead's has the UUID {}", wanted.id);
    if (same_network(*stored, wanted)) return start(network->get(), commands, wanted);
    if (::virNetworkIsActive(network->get()) == 1 && ::virNetworkDestroy(network->get()) < 0) {
      return fail_libvirt(fmt::format("stop network '{}' to change it", wanted.name));
    }
  }
  const auto xml = network_xml(wanted);
  if (!xml) return forward(xml);
  network->reset(::virNetworkDefineXML(connection, xml->c_str()));
  if (!*network) return fail_libvirt(fmt::format("define network '{}'", wanted.name));
  if (auto set = check(::virNetworkSetAutostart(network->get(), 1), "start the network with the node"); !set)
    return set;
  auto started = start(network->get(), commands, wanted);
  if (!started) ::virNetworkUndefine(network->get());  // one that never worked must not come back with the node
  return started;
}

Status remove_nat_network(virConnectPtr connection, CommandRunner& commands, const model::NetworkId& id) {
  auto network = find(connection, id);
  if (!network) return forward(network);
  if (!*network) return clear_half_started(commands, id);
  const auto stored = definition(network->get());
  if (!stored) return forward(stored);
  if (!is_our_network(*stored))
    return fail(ErrorCode::conflict, "a network that isn't Bridgehead's has the UUID {}", id);
  if (::virNetworkIsActive(network->get()) == 1 && ::virNetworkDestroy(network->get()) < 0)
    return fail_libvirt("stop the network");
  // While it is still defined, so that a failure is tried again.
  if (auto cleared = clear_half_started(commands, id); !cleared) return cleared;
  return check(::virNetworkUndefine(network->get()), "remove the network");
}

}  // namespace bridgehead::hypervisor
