#include "network.h"

#include <algorithm>

#include "files.h"
#include "process.h"
#include "text.h"

namespace bridgehead::init {
namespace {

constexpr auto bond_name = "bond0";

bool is_nic(const Link& link) { return link.ethernet && link.kind.empty() && link.name != "lo"; }

// Where udev runs (in dracut's initramfs), a NIC that it hasn't looked at yet may still get another name.
bool named(const Link& link) { return !exists("/run/udev/control") || exists(concat("/run/udev/data/n", link.index)); }

const Link* find_by_mac(const std::vector<Link>& nics, const Mac& mac) {
  const auto found = std::find_if(nics.begin(), nics.end(), [&](const Link& link) { return link.mac == mac; });
  return found == nics.end() ? nullptr : &*found;
}

// What carries the bridge has no address of its own, of either family.
void without_ipv6(const std::string& name) {
  write_value(concat("/proc/sys/net/ipv6/conf/", name, "/disable_ipv6"), "1");
}

std::string names_of(const std::vector<Link>& links) {
  std::string text;
  for (const auto& link : links) text += concat(text.empty() ? "" : ", ", link.name, " ", link.mac.text());
  return text.empty() ? "none" : text;
}

}  // namespace

Status Network::open() {
  if (!links_) {
    auto links = Links::open();
    if (!links) return fail(links.error());
    links_.emplace(std::move(*links));
  }
  if (!events_) {
    // Before the first look: nothing that comes meanwhile is missed.
    auto events = DeviceEvents::open(loader_);
    if (!events) return fail(events.error());
    events_.emplace(std::move(*events));
    loader_.load_for_devices();
    // A link needs seconds to come up; the modules are loaded meanwhile.
    if (auto nics = usable_nics(); nics && *nics && !wanted_.bond) {
      for (const auto& nic : **nics) static_cast<void>(links_->set_up(nic.index));
    }
    for (const auto name : {"af_packet", "bridge"}) loader_.load(name);
    if (wanted_.bond) loader_.load("bonding");
    if (wanted_.vlan != 0) loader_.load("8021q");
    if (auto loopback = links_->find("lo")) static_cast<void>(links_->set_up(loopback->index));
  }
  return {};
}

// The NICs that are to be used, if they are all there: the bond's ports, the one with bh.mac, or every one with a link.
Result<std::optional<Network::Nics>> Network::usable_nics() {
  auto links = links_->list();
  if (!links) return fail(links.error());
  std::erase_if(*links, [](const Link& link) { return !is_nic(link) || !named(link); });
  Nics chosen;
  std::vector<Mac> macs = wanted_.bond ? wanted_.bond->ports : std::vector<Mac>{};
  if (macs.empty() && wanted_.mac) macs = {*wanted_.mac};
  for (const auto& mac : macs) {
    const auto* nic = find_by_mac(*links, mac);
    if (nic == nullptr) return std::optional<Nics>();
    chosen.push_back(*nic);
  }
  if (macs.empty()) {
    for (const auto& link : *links) {
      if (!link.up) static_cast<void>(links_->set_up(link.index));
      if (link.carrier) chosen.push_back(link);
    }
    if (chosen.empty()) return std::optional<Nics>();
  }
  return std::optional<Nics>(std::move(chosen));
}

Result<Network::Nics> Network::wait_for_nics(Deadline deadline) {
  for (;;) {
    auto nics = usable_nics();
    if (!nics) return fail(nics.error());
    if (*nics) return std::move(**nics);
    if (!events_->wait(deadline)) break;
  }
  auto present = links_->list();
  if (present) std::erase_if(*present, [](const Link& link) { return !is_nic(link); });
  const auto found = present ? names_of(*present) : std::string("none");
  if (wanted_.bond)
    return fail("find the bond's NICs", concat("not all are there; present: ", found), "correct bh.bond");
  if (wanted_.mac) {
    return fail(concat("find the NIC ", wanted_.mac->text()), concat("present: ", found),
                "is the NIC's driver in the initramfs (build the image with its kernel module), is bh.mac right?");
  }
  return fail("find a NIC with a link", concat("present: ", found), "look at cable and switch port, or pass bh.mac");
}

Status Network::wait_for_carrier(int index, Deadline deadline) {
  for (;;) {
    auto link = links_->find(index);
    if (!link) return fail(link.error());
    if (link->carrier) return {};
    if (!events_->wait(deadline)) {
      return fail(concat("wait for the link of ", link->name), "no carrier", "look at cable and switch port");
    }
  }
}

// The NIC itself, or the bond and the VLAN over it; up. `uplink.below` gets the names.
Result<Link> Network::build_port(const Nics& nics, Uplink& uplink) {
  Link port = nics.front();
  for (const auto& nic : nics) {
    uplink.below.push_back(nic.name);
    used_.push_back(nic.index);
    without_ipv6(nic.name);
  }
  if (wanted_.bond) {
    // The driver makes one of that name when it is loaded, of another mode.
    if (auto present = links_->find(bond_name); present && present->kind == "bond") {
      static_cast<void>(links_->remove(present->index));
    }
    auto bond = links_->create_bond(bond_name, wanted_.bond->mode, uplink.mac);
    if (!bond) return fail(bond.error());
    built_.push_back(bond->index);
    for (const auto& nic : nics) {
      if (auto done = links_->set_down(nic.index); !done) return fail(done.error());
      if (auto done = links_->set_master(nic.index, bond->index); !done) return fail(done.error());
      if (auto done = links_->set_up(nic.index); !done) return fail(done.error());
    }
    port = *bond;
    uplink.below.push_back(port.name);
    without_ipv6(port.name);
  }
  if (auto done = links_->set_up(port.index); !done) return fail(done.error());
  if (wanted_.vlan != 0) {
    auto vlan = links_->create_vlan(concat(port.name, ".", wanted_.vlan), port.index, wanted_.vlan);
    if (!vlan) return fail(vlan.error());
    built_.push_back(vlan->index);
    port = *vlan;
    uplink.below.push_back(port.name);
    without_ipv6(port.name);
    if (auto done = links_->set_up(port.index); !done) return fail(done.error());
  }
  return port;
}

Result<Link> Network::build_bridge(const Link& port, Uplink& uplink) {
  auto bridge = links_->create_bridge(wanted_.bridge, uplink.mac);
  if (!bridge) return fail(bridge.error());
  built_.push_back(bridge->index);
  // A bridge whose MTU was never changed by hand takes the smallest of its ports': a guest's tap would change it.
  // Setting what it has already counts as no change.
  if (auto done = links_->set_mtu(bridge->index, port.mtu - 1); !done) return fail(done.error());
  if (auto done = links_->set_mtu(bridge->index, port.mtu); !done) return fail(done.error());
  if (auto done = links_->set_master(port.index, bridge->index); !done) return fail(done.error());
  if (auto done = links_->set_up(bridge->index); !done) return fail(done.error());
  return bridge;
}

// Gives the address to the interface and looks whether the manager answers through it.
Status Network::configure(const Link& link, Uplink& uplink, const Check& check, Deadline deadline) {
  uplink.interface = link.name;
  if (auto carrier = wait_for_carrier(link.index, deadline); !carrier) return carrier;
  if (wanted_.address) {
    uplink.lease = Lease{.address = *wanted_.address, .gateway = wanted_.gateway};
  } else {
    auto lease = ask_dhcp(link.name, wanted_.hostname, deadline);
    if (!lease) return fail(lease.error());
    uplink.lease = std::move(*lease);
    uplink.by_dhcp = true;
    if (wanted_.gateway) uplink.lease.gateway = wanted_.gateway;
  }
  if (auto done = links_->add_address(link.index, uplink.lease.address); !done) return done;
  if (uplink.lease.gateway) {
    if (auto done = links_->add_default_route(link.index, *uplink.lease.gateway); !done) {
      journal_.complain({done.error().what, done.error().why, "going on without it"});
    }
  }
  if (check(deadline)) return {};
  return fail(concat("reach the manager at ", wanted_.server, " from ", uplink.lease.address.text(), " on ", link.name),
              "no answer", "look at address, gateway, VLAN and the manager's firewall");
}

Result<Uplink> Network::connect_by(const Nics& nics, const Check& check) {
  Uplink uplink;
  uplink.mac = nics.front().mac;
  if (wanted_.bond && wanted_.mac && find_by_mac(nics, *wanted_.mac) != nullptr) uplink.mac = *wanted_.mac;
  auto port = build_port(nics, uplink);
  if (!port) return fail(port.error());
  if (auto carrier = wait_for_carrier(port->index, Deadline(wanted_.wait)); !carrier) return fail(carrier.error());
  auto bridge = build_bridge(*port, uplink);
  Failure why;
  if (bridge) {
    auto configured = configure(*bridge, uplink, check, Deadline(wanted_.wait));
    if (configured) return uplink;
    why = configured.error();
  } else {
    why = bridge.error();
  }
  journal_.complain(why);
  journal_.say(concat("trying without the bridge, by ", port->name));
  if (auto left = links_->find(wanted_.bridge); left && left->kind == "bridge") {
    static_cast<void>(links_->remove(left->index));
    std::erase(built_, left->index);
  }
  std::erase(uplink.below, port->name);
  if (auto configured = configure(*port, uplink, check, Deadline(wanted_.wait)); !configured) return fail(why);
  uplink.fallback = why;
  return uplink;
}

void Network::tear_down() {
  for (auto index = built_.rbegin(); index != built_.rend(); ++index) static_cast<void>(links_->remove(*index));
  for (const int index : used_) {
    static_cast<void>(links_->flush_addresses(index));
    static_cast<void>(links_->set_down(index));
  }
  built_.clear();
  used_.clear();
}

Result<Uplink> Network::connect(const Check& manager_answers) {
  if (auto opened = open(); !opened) return fail(opened.error());
  tear_down();
  auto nics = wait_for_nics(Deadline(wanted_.wait));
  if (!nics) return fail(nics.error());
  if (wanted_.bond || wanted_.mac) return connect_by(*nics, manager_answers);
  Failure last;
  for (const auto& nic : *nics) {
    auto uplink = connect_by({nic}, manager_answers);
    if (uplink) return uplink;
    journal_.complain(last = uplink.error());
    tear_down();
  }
  return fail(last);
}

}  // namespace bridgehead::init
