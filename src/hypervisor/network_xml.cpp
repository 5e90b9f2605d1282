#include "hypervisor/network_xml.h"

#include <arpa/inet.h>

#include <charconv>
#include <sstream>

#include <pugixml.hpp>

#include "hypervisor/hypervisor.h"
#include "hypervisor/xml_build.h"

namespace bridgehead::hypervisor {
namespace {

constexpr char kUri[] = "urn:bridgehead:network:1";

struct Subnet {
  std::uint32_t first = 0;  // network address, host byte order
  unsigned prefix = 0;
  std::uint32_t last() const { return first | (prefix == 0 ? ~0u : (1u << (32 - prefix)) - 1); }
};

std::string dotted(std::uint32_t address) {
  return fmt::format("{}.{}.{}.{}", address >> 24, (address >> 16) & 255, (address >> 8) & 255, address & 255);
}

Result<Subnet> parse_subnet(const std::string& text) {
  const auto wrong = [&] {
    return fail_with_hint(ErrorCode::invalid_argument, fmt::format("'{}' is not an IPv4 subnet for guests", text),
                          "Use a private network with a prefix of 16 to 30, such as 192.168.120.0/24.");
  };
  const auto slash = text.find('/');
  if (slash == std::string::npos) return wrong();
  in_addr address{};
  Subnet subnet;
  const auto* end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data() + slash + 1, end, subnet.prefix);
  if (::inet_pton(AF_INET, text.substr(0, slash).c_str(), &address) != 1 || parsed.ec != std::errc() ||
      parsed.ptr != end || subnet.prefix < 16 || subnet.prefix > 30) {
    return wrong();
  }
  subnet.first = ntohl(address.s_addr) & ~((1u << (32 - subnet.prefix)) - 1);
  return subnet;
}

pugi::xml_node our_element(pugi::xml_node network) {
  for (const auto element : network.child("metadata").children()) {
    for (const auto attribute : element.attributes()) {
      if (std::string_view(attribute.value()) == kUri) return element;
    }
  }
  return {};
}

}  // namespace

std::string nat_network_name(const model::NetworkId& id) { return "bh-" + id.str(); }

std::string nat_bridge_name(const model::Network& network) {
  return network.bridge.empty() ? "bh" + network.id.str().substr(0, 8) : network.bridge;
}

Result<std::string> network_xml(const model::Network& network) {
  const auto subnet = parse_subnet(network.subnet);
  if (!subnet) return forward(subnet);
  pugi::xml_document document;
  auto root = document.append_child("network");
  child(root, "name", nat_network_name(network.id));
  child(root, "uuid", network.id.str());
  auto ours = root.append_child("metadata").append_child("bh:network");
  set(ours, "xmlns:bh", kUri);
  set(ours, "subnet", network.subnet);
  set(root.append_child("forward"), "mode", "nat");
  auto bridge = root.append_child("bridge");
  set(bridge, "name", nat_bridge_name(network));
  set(bridge, "stp", "off");  // it has no other bridge to loop with, and STP delays each new guest by seconds
  set(bridge, "delay", "0");
  auto ip = root.append_child("ip");
  set(ip, "address", dotted(subnet->first + 1));
  set(ip, "prefix", std::to_string(subnet->prefix));
  auto range = ip.append_child("dhcp").append_child("range");
  set(range, "start", dotted(subnet->first + 2));
  set(range, "end", dotted(subnet->last() - 1));
  std::ostringstream out;
  root.print(out, "  ", pugi::format_default | pugi::format_no_declaration);
  return out.str();
}

bool is_our_network(std::string_view stored_xml) {
  pugi::xml_document document;
  return document.load_buffer(stored_xml.data(), stored_xml.size()) && our_element(document.child("network"));
}

bool same_network(std::string_view stored_xml, const model::Network& network) {
  pugi::xml_document document;
  if (!document.load_buffer(stored_xml.data(), stored_xml.size())) return false;
  const auto root = document.child("network");
  return network.subnet == our_element(root).attribute("subnet").value() &&
         nat_bridge_name(network) == root.child("bridge").attribute("name").value();
}

}  // namespace bridgehead::hypervisor
