#include "dhcp.h"

#include <unistd.h>

#include <array>
#include <cstdlib>

#include "files.h"
#include "process.h"
#include "text.h"

namespace bridgehead::init {
namespace {

constexpr auto lease_file = "/run/bridgehead/lease";
constexpr std::array<const char*, 8> lease_keys{"ip",     "subnet", "router",   "dns",
                                                "domain", "lease",  "serverid", "interface"};

// Options of a DHCP server end in files of the node: one word, nothing that steers a parser.
bool is_domain(std::string_view text) {
  return text.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_") ==
         std::string_view::npos;
}

}  // namespace

Result<Lease> parse_lease(std::string_view text) {
  Lease lease;
  std::string_view ip;
  std::string_view netmask = "255.255.255.255";
  while (!text.empty()) {
    auto value = take_until(text, '\n');
    const auto key = take_until(value, '=');
    if (key == "ip") ip = value;
    if (key == "subnet") netmask = value;
    if (key == "domain" && is_domain(value)) lease.domain = value;
    for (const auto word : words(value)) {
      const auto address = Ipv4::parse(word);
      if (!address || address->value == 0) continue;
      if (key == "router" && !lease.gateway) lease.gateway = address;
      if (key == "dns") lease.name_servers.push_back(*address);
    }
  }
  const auto address = HostAddress::with_netmask(ip, netmask);
  if (!address) return fail("read the DHCP lease", concat("no usable address in it: '", ip, "' / '", netmask, "'"));
  lease.address = *address;
  return lease;
}

std::string resolv_conf(const Lease& lease) {
  std::string text;
  if (lease.name_servers.empty()) return text;
  if (!lease.domain.empty()) text += concat("search ", lease.domain, "\n");
  for (const auto& server : lease.name_servers) text += concat("nameserver ", server.text(), "\n");
  return text;
}

Result<Lease> ask_dhcp(const std::string& interface, const std::string& hostname, Deadline deadline) {
  const auto what = concat("get an address by DHCP on ", interface);
  const std::string hint = "is there a DHCP server on this network, and has it a free address for this machine?";
  ::unlink(lease_file);
  make_directories("/run/bridgehead");
  Command client{
      "/bin/busybox",
      {"udhcpc", "-f", "-q", "-n", "-i", interface, "-s", own_program(), "-t", "4", "-T", "2", "-V", "bridgehead"}};
  if (!hostname.empty()) {
    client.arguments.emplace_back("-x");
    client.arguments.push_back(concat("hostname:", hostname));
  }
  while (!deadline.passed()) {
    auto child = start(client);
    if (!child) return fail(child.error());
    const int code = wait_for(*child, deadline);
    if (code == 127) return fail(what, "busybox can't be run", "is /bin/busybox in the initramfs?");
    if (code == 0) {
      auto text = read_file(lease_file);
      if (!text) return fail(what, "udhcpc ended without a lease", hint);
      return parse_lease(*text);
    }
    pause_for(deadline.at_most(std::chrono::milliseconds(200)).left());
  }
  return fail(what, "no server answered", hint);
}

bool is_dhcp_script_call(int count, char** arguments) {
  if (count != 2 || std::getenv("interface") == nullptr) return false;
  const std::string_view event = arguments[1];
  return event == "deconfig" || event == "bound" || event == "renew" || event == "leasefail" || event == "nak";
}

int run_as_dhcp_script(std::string_view event) {
  if (event != "bound" && event != "renew") return 0;
  std::string text;
  for (const char* key : lease_keys) {
    if (const char* value = std::getenv(key)) text += concat(key, "=", value, "\n");
  }
  return write_file(lease_file, text) ? 0 : 1;
}

}  // namespace bridgehead::init
