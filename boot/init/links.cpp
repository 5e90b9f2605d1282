#include "links.h"

#include <arpa/inet.h>
#include <linux/if.h>
#include <linux/if_arp.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>

#include <algorithm>
#include <cstring>

#include "text.h"

namespace bridgehead::init {
namespace {

constexpr std::uint8_t bond_lacp_rate_fast = 1;
constexpr std::uint8_t bond_xmit_layer34 = 1;
constexpr std::uint32_t bond_miimon_ms = 100;

ifinfomsg link_header(int index, unsigned flags = 0, unsigned change = 0) {
  ifinfomsg header{};
  header.ifi_family = AF_UNSPEC;
  header.ifi_index = index;
  header.ifi_flags = flags;
  header.ifi_change = change;
  return header;
}

std::string_view bytes_of(const Mac& mac) {
  return {reinterpret_cast<const char*>(mac.bytes.data()), mac.bytes.size()};
}

std::optional<Link> read_link(const NetlinkReply& reply) {
  if (reply.type != RTM_NEWLINK || reply.payload.size() < sizeof(ifinfomsg)) return std::nullopt;
  ifinfomsg header;
  std::memcpy(&header, reply.payload.data(), sizeof header);
  Link link;
  link.index = header.ifi_index;
  link.ethernet = header.ifi_type == ARPHRD_ETHER;
  link.up = (header.ifi_flags & IFF_UP) != 0;
  link.carrier = (header.ifi_flags & IFF_LOWER_UP) != 0;
  for (const auto& attribute : netlink_attributes(std::string_view(reply.payload).substr(sizeof header))) {
    if (attribute.type == IFLA_IFNAME) link.name = text_of(attribute);
    if (attribute.type == IFLA_MTU) link.mtu = number_of<std::uint32_t>(attribute).value_or(link.mtu);
    if (attribute.type == IFLA_MASTER) link.master = number_of<std::int32_t>(attribute).value_or(0);
    if (attribute.type == IFLA_ADDRESS && attribute.data.size() == link.mac.bytes.size()) {
      std::memcpy(link.mac.bytes.data(), attribute.data.data(), link.mac.bytes.size());
    }
    if (attribute.type == IFLA_LINKINFO) {
      for (const auto& info : netlink_attributes(attribute.data)) {
        if (info.type == IFLA_INFO_KIND) link.kind = text_of(info);
      }
    }
  }
  return link;
}

// A message that creates a link; `name` and `kind` are in it, the kind's data follows between begin and end.
NetlinkMessage new_link(const std::string& name) {
  NetlinkMessage message(RTM_NEWLINK, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL);
  message.header(link_header(0));
  message.put_string(IFLA_IFNAME, name);
  return message;
}

}  // namespace

Result<Links> Links::open() {
  auto socket = NetlinkSocket::open(NETLINK_ROUTE);
  if (!socket) return fail(socket.error());
  return Links(std::move(*socket));
}

Status Links::change(NetlinkMessage& message, const std::string& what) {
  auto done = socket_.exchange(message);
  if (!done) return fail(what, done.error().why);
  return {};
}

Result<std::vector<Link>> Links::list() {
  NetlinkMessage message(RTM_GETLINK, NLM_F_DUMP);
  message.header(link_header(0));
  auto replies = socket_.exchange(message);
  if (!replies) return fail("list the network interfaces", replies.error().why);
  std::vector<Link> links;
  for (const auto& reply : *replies) {
    if (auto link = read_link(reply)) links.push_back(std::move(*link));
  }
  std::sort(links.begin(), links.end(), [](const Link& a, const Link& b) { return a.index < b.index; });
  return links;
}

Result<Link> Links::find(const std::string& name) {
  auto links = list();
  if (!links) return fail(links.error());
  for (auto& link : *links) {
    if (link.name == name) return std::move(link);
  }
  return fail(concat("find the interface ", name), "there is none");
}

Result<Link> Links::find(int index) {
  auto links = list();
  if (!links) return fail(links.error());
  for (auto& link : *links) {
    if (link.index == index) return std::move(link);
  }
  return fail("find an interface", "it is gone");
}

Status Links::set_flags(int index, unsigned flags, const std::string& what) {
  NetlinkMessage message(RTM_NEWLINK, NLM_F_ACK);
  message.header(link_header(index, flags, IFF_UP));
  return change(message, what);
}

Status Links::set_up(int index) { return set_flags(index, IFF_UP, "bring the interface up"); }
Status Links::set_down(int index) { return set_flags(index, 0, "bring the interface down"); }

Status Links::set_mtu(int index, unsigned mtu) {
  NetlinkMessage message(RTM_NEWLINK, NLM_F_ACK);
  message.header(link_header(index));
  message.put_number(IFLA_MTU, static_cast<std::uint32_t>(mtu));
  return change(message, "set the MTU");
}

Status Links::set_master(int index, int master) {
  NetlinkMessage message(RTM_NEWLINK, NLM_F_ACK);
  message.header(link_header(index));
  message.put_number(IFLA_MASTER, static_cast<std::uint32_t>(master));
  return change(message, "make the interface a port");
}

Result<Link> Links::create_bridge(const std::string& name, const Mac& mac) {
  auto message = new_link(name);
  message.put(IFLA_ADDRESS, bytes_of(mac));
  const auto info = message.begin(IFLA_LINKINFO);
  message.put_string(IFLA_INFO_KIND, "bridge");
  const auto data = message.begin(IFLA_INFO_DATA);
  message.put_number(IFLA_BR_FORWARD_DELAY, std::uint32_t{0});
  message.put_number(IFLA_BR_STP_STATE, std::uint32_t{0});
  message.end(data);
  message.end(info);
  if (auto done = change(message, concat("create the bridge ", name)); !done) {
    return fail(done.error().what, done.error().why, "is the module 'bridge' in the initramfs?");
  }
  return find(name);
}

Result<Link> Links::create_vlan(const std::string& name, int below, std::uint16_t vlan) {
  auto message = new_link(name);
  message.put_number(IFLA_LINK, static_cast<std::uint32_t>(below));
  const auto info = message.begin(IFLA_LINKINFO);
  message.put_string(IFLA_INFO_KIND, "vlan");
  const auto data = message.begin(IFLA_INFO_DATA);
  message.put_number(IFLA_VLAN_ID, vlan);
  message.end(data);
  message.end(info);
  if (auto done = change(message, concat("create the VLAN ", name)); !done) {
    return fail(done.error().what, done.error().why, "is the module '8021q' in the initramfs?");
  }
  return find(name);
}

Result<Link> Links::create_bond(const std::string& name, const std::string& mode, const Mac& mac) {
  auto message = new_link(name);
  message.put(IFLA_ADDRESS, bytes_of(mac));
  const auto info = message.begin(IFLA_LINKINFO);
  message.put_string(IFLA_INFO_KIND, "bond");
  const auto data = message.begin(IFLA_INFO_DATA);
  message.put_number(IFLA_BOND_MODE, bond_mode_number(mode).value_or(1));
  message.put_number(IFLA_BOND_MIIMON, bond_miimon_ms);
  if (mode == "802.3ad") message.put_number(IFLA_BOND_AD_LACP_RATE, bond_lacp_rate_fast);
  if (mode == "802.3ad" || mode == "balance-xor") message.put_number(IFLA_BOND_XMIT_HASH_POLICY, bond_xmit_layer34);
  message.end(data);
  message.end(info);
  if (auto done = change(message, concat("create the bond ", name)); !done) {
    return fail(done.error().what, done.error().why, "is the module 'bonding' in the initramfs?");
  }
  return find(name);
}

Status Links::remove(int index) {
  NetlinkMessage message(RTM_DELLINK, NLM_F_ACK);
  message.header(link_header(index));
  return change(message, "remove the interface");
}

Status Links::add_address(int index, const HostAddress& address) {
  NetlinkMessage message(RTM_NEWADDR, NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE);
  ifaddrmsg header{};
  header.ifa_family = AF_INET;
  header.ifa_prefixlen = static_cast<std::uint8_t>(address.prefix);
  header.ifa_index = static_cast<std::uint32_t>(index);
  message.header(header);
  message.put_number(IFA_LOCAL, htonl(address.address.value));
  message.put_number(IFA_ADDRESS, htonl(address.address.value));
  if (address.prefix < 31) message.put_number(IFA_BROADCAST, htonl(address.broadcast().value));
  return change(message, concat("set the address ", address.text()));
}

Status Links::flush_addresses(int index) {
  NetlinkMessage ask(RTM_GETADDR, NLM_F_DUMP);
  ifaddrmsg all{};
  all.ifa_family = AF_INET;
  ask.header(all);
  auto replies = socket_.exchange(ask);
  if (!replies) return fail("list the addresses", replies.error().why);
  for (const auto& reply : *replies) {
    if (reply.type != RTM_NEWADDR || reply.payload.size() < sizeof(ifaddrmsg)) continue;
    ifaddrmsg header;
    std::memcpy(&header, reply.payload.data(), sizeof header);
    if (header.ifa_index != static_cast<std::uint32_t>(index)) continue;
    NetlinkMessage remove(RTM_DELADDR, NLM_F_ACK);
    remove.header(header);
    for (const auto& attribute : netlink_attributes(std::string_view(reply.payload).substr(sizeof header))) {
      if (attribute.type == IFA_LOCAL || attribute.type == IFA_ADDRESS) remove.put(attribute.type, attribute.data);
    }
    if (auto done = change(remove, "remove an address"); !done) return done;
  }
  return {};
}

Status Links::add_default_route(int index, const Ipv4& gateway) {
  NetlinkMessage message(RTM_NEWROUTE, NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE);
  rtmsg header{};
  header.rtm_family = AF_INET;
  header.rtm_table = RT_TABLE_MAIN;
  header.rtm_protocol = RTPROT_STATIC;
  header.rtm_scope = RT_SCOPE_UNIVERSE;
  header.rtm_type = RTN_UNICAST;
  message.header(header);
  message.put_number(RTA_GATEWAY, htonl(gateway.value));
  message.put_number(RTA_OIF, static_cast<std::uint32_t>(index));
  return change(message, concat("set the gateway ", gateway.text()));
}

}  // namespace bridgehead::init
