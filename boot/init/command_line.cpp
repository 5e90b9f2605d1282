#include "command_line.h"

#include <algorithm>
#include <array>

#include "http_message.h"
#include "text.h"

namespace bridgehead::init {
namespace {

constexpr std::array<std::string_view, 7> bond_modes{"balance-rr", "active-backup", "balance-xor", "broadcast",
                                                     "802.3ad",    "balance-tlb",   "balance-alb"};

// Arguments are separated by blanks; "..." keeps blanks and goes away, as in the kernel.
std::vector<std::string> arguments_of(std::string_view text) {
  std::vector<std::string> arguments;
  std::string current;
  bool quoted = false;
  for (const char c : text) {
    if (c == '"') {
      quoted = !quoted;
    } else if (!quoted && (c == ' ' || c == '\t' || c == '\n')) {
      if (!current.empty()) arguments.push_back(std::move(current));
      current.clear();
    } else {
      current += c;
    }
  }
  if (!current.empty()) arguments.push_back(std::move(current));
  return arguments;
}

tl::unexpected<Failure> bad_argument(std::string_view key, std::string_view value, std::string_view wanted) {
  return fail("read the kernel command line", concat(key, "=", value, " isn't ", wanted),
              "correct it in the machine's boot script or profile");
}

bool is_interface_name(std::string_view name) {
  return !name.empty() && name.size() <= 15 && name != "." && name != ".." &&
         std::all_of(name.begin(), name.end(), [](char c) { return c > ' ' && c <= '~' && c != '/' && c != ':'; });
}

Status read_bond(std::string_view value, CommandLine& line) {
  Bond bond;
  auto rest = value;
  bond.mode = take_until(rest, ':');
  for (const auto text : split(rest, ',')) {
    const auto port = Mac::parse(text);
    if (!port) return bad_argument("bh.bond", value, "MODE:MAC,MAC");
    bond.ports.push_back(*port);
  }
  if (!bond_mode_number(bond.mode)) {
    return bad_argument("bh.bond", value, "of a mode that the kernel knows (802.3ad, active-backup, balance-xor)");
  }
  line.bond = std::move(bond);
  return {};
}

// pxelinux: ip=<address>:<server>:<gateway>:<netmask>. The kernel's other forms ("ip=dhcp") aren't for us.
void read_ip(std::string_view value, CommandLine& line) {
  const auto parts = split(value, ':');
  if (parts.size() < 4 || line.address) return;
  line.address = HostAddress::with_netmask(parts[0], parts[3]);
  const auto gateway = Ipv4::parse(parts[2]);
  if (line.address && gateway && gateway->value != 0 && !line.gateway) line.gateway = gateway;
}

Status read_network(std::string_view key, std::string_view value, CommandLine& line) {
  if (key == "bh.mac") {
    line.mac = Mac::parse(value);
    if (!line.mac) return bad_argument(key, value, "a MAC address");
  } else if (key == "bh.address") {
    line.address = HostAddress::parse(value);
    if (!line.address) return bad_argument(key, value, "an IPv4 address with its prefix length");
  } else if (key == "bh.lease") {
    if (value != "dhcp" && value != "static") return bad_argument(key, value, "dhcp or static");
    line.static_address = value == "static";
  } else if (key == "bh.gateway") {
    line.gateway = Ipv4::parse(value);
    if (!line.gateway) return bad_argument(key, value, "an IPv4 address");
  } else if (key == "bh.bridge") {
    if (!is_interface_name(value)) return bad_argument(key, value, "an interface's name");
    line.bridge = value;
  } else if (key == "bh.vlan") {
    const auto vlan = parse_number(value);
    if (!vlan || *vlan > 4094) return bad_argument(key, value, "a VLAN's number (1 to 4094)");
    line.vlan = static_cast<std::uint16_t>(*vlan);
  } else if (key == "bh.bond") {
    return read_bond(value, line);
  }
  return {};
}

Status read_own(std::string_view key, std::string_view value, CommandLine& line) {
  if (value.empty()) return {};  // scripts may leave a value empty
  if (key == "bh.server") {
    while (value.ends_with('/')) value.remove_suffix(1);
    if (!Url::parse(value)) return bad_argument(key, value, "http:// and a numeric IPv4 address");
    line.server = value;
  } else if (key == "bh.boot") {
    if (!is_hex(value, 64)) return bad_argument(key, value, "64 hex digits");
    line.boot = value;
  } else if (key == "bh.hostname") {
    line.hostname = value;
  } else if (key == "bh.wait") {
    const auto seconds = parse_number(value);
    if (!seconds || *seconds < 1 || *seconds > 3600) return bad_argument(key, value, "seconds (1 to 3600)");
    line.wait = std::chrono::seconds(*seconds);
  } else {
    return read_network(key, value, line);
  }
  return {};
}

void read_module_parameter(std::string_view argument, CommandLine& line) {
  const auto dot = argument.find('.');
  if (dot == std::string_view::npos || dot == 0 || dot > argument.find('=')) return;
  std::string module(argument.substr(0, dot));
  std::replace(module.begin(), module.end(), '-', '_');
  auto& parameters = line.module_parameters[module];
  if (!parameters.empty()) parameters += ' ';
  parameters += argument.substr(dot + 1);
}

}  // namespace

std::optional<std::uint8_t> bond_mode_number(std::string_view mode) {
  const auto found = std::find(bond_modes.begin(), bond_modes.end(), mode);
  if (found == bond_modes.end()) return std::nullopt;
  return static_cast<std::uint8_t>(found - bond_modes.begin());
}

Result<CommandLine> parse_command_line(std::string_view text) {
  CommandLine line;
  std::optional<Mac> loaders_mac;
  for (const auto& argument : arguments_of(text)) {
    if (argument == "--") break;  // the rest is init's
    std::string_view value = argument;
    const auto key = take_until(value, '=');
    if (key.starts_with("bh.")) {
      if (auto read = read_own(key, value, line); !read) return fail(read.error());
    } else if (key == "BOOTIF") {
      if (value.size() == 20) loaders_mac = Mac::parse(value.substr(3));
    } else if (key == "ip") {
      read_ip(value, line);
    } else if (key == "init") {
      line.init = value;
    } else {
      read_module_parameter(argument, line);
    }
  }
  if (!line.mac) line.mac = loaders_mac;
  if (line.server.empty()) {
    return fail("read the kernel command line", "bh.server is missing",
                "the boot script must pass bh.server=http://ADDRESS:PORT");
  }
  return line;
}

OnFailure on_failure(std::string_view text) {
  auto policy = OnFailure::retry;
  for (const auto& argument : arguments_of(text)) {
    if (argument == "bh.failure=reboot") policy = OnFailure::reboot;
    if (argument == "bh.failure=shell") policy = OnFailure::shell;
    if (argument == "bh.failure=retry") policy = OnFailure::retry;
  }
  return policy;
}

}  // namespace bridgehead::init
