#include "netboot/dnsmasq.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <set>

#include "base/file.h"
#include "base/users.h"
#include "netboot/boot_values.h"

namespace bridgehead::netboot {
namespace {

constexpr std::string_view kUser = "dnsmasq";
constexpr std::string_view kPxelinuxTag = "bh-pxelinux";
constexpr std::string_view kShimTag = "bh-shim";

Status check_range(const DnsmasqPlan& plan, const Ipv4Network& network) {
  const auto first = ipv4_number(plan.range_first);
  const auto last = ipv4_number(plan.range_last);
  if (!first) return forward(first);
  if (!last) return forward(last);
  if (!network.usable(*first) || !network.usable(*last) || *first > *last) {
    return fail_with_hint(ErrorCode::invalid_argument,
                          fmt::format("the range {} to {} doesn't lie in the network of {}", plan.range_first,
                                      plan.range_last, plan.address),
                          fmt::format("addresses from {} to {} are possible", ipv4_text(network.first() + 1),
                                      ipv4_text(network.broadcast() - 1)));
  }
  if (network.address >= *first && network.address <= *last) {
    return fail(ErrorCode::invalid_argument, "the range {} to {} holds our own address {}", plan.range_first,
                plan.range_last, plan.own_address());
  }
  return {};
}

Status check_plan(const DnsmasqPlan& plan) {
  if (plan.mode == model::NetbootMode::off) return fail(ErrorCode::invalid_argument, "network boot is off");
  if (auto good = check_interface(plan.interface); !good) return good;
  const auto network = parse_network(plan.address);
  if (!network) return forward(network);
  if (plan.http_port == 0) return fail(ErrorCode::invalid_argument, "the boot server's port may not be 0");
  if (auto good = check_config_path("TFTP directory", plan.tftp_root.string()); !good) return good;
  if (auto good = check_config_path("directory", plan.directory.string()); !good) return good;
  if (plan.mode == model::NetbootMode::proxy) return {};
  if (auto good = check_range(plan, *network); !good) return good;
  if (plan.lease < std::chrono::minutes(2) || plan.lease > std::chrono::hours(24 * 365)) {
    return fail(ErrorCode::invalid_argument, "a lease lasts from 2 minutes to a year");
  }
  if (!plan.gateway.empty()) {
    const auto gateway = ipv4_number(plan.gateway);
    if (!gateway) return forward(gateway);
    if (!network->usable(*gateway)) {
      return fail(ErrorCode::invalid_argument, "the gateway {} doesn't lie in the network of {}", plan.gateway,
                  plan.address);
    }
  }
  for (const auto& resolver : plan.resolvers) {
    if (auto good = check_ipv4(resolver); !good) return good;
  }
  return check_characters("domain", plan.domain, "-.", 253);
}

// What a machine gets, by architecture (RFC 4578, option 93) and by its tags. Tags exclude each other, so that the
// order of the lines means nothing. iPXE is known by option 175 and by its user class.
std::string tag_lines() {
  return R"(
dhcp-match=set:bios,option:client-arch,0
dhcp-match=set:efi,option:client-arch,7
dhcp-match=set:efi,option:client-arch,9
dhcp-match=set:efihttp,option:client-arch,16
dhcp-match=set:ipxe,175
dhcp-userclass=set:ipxe,iPXE
)";
}

// Machines without a reservation, where they don't get iPXE.
std::string strangers_line(const DnsmasqPlan& plan) {
  if (plan.strangers == model::BootMethod::ipxe) return {};
  return fmt::format("tag-if=set:{},tag:!known\n", plan.strangers == model::BootMethod::shim ? kShimTag : kPxelinuxTag);
}

std::string full_mode(const DnsmasqPlan& plan) {
  const auto network = *parse_network(plan.address);
  const auto own = plan.own_address();
  std::string text = fmt::format("\ndhcp-authoritative\ndhcp-range={},{},{},{}s\n", plan.range_first, plan.range_last,
                                 ipv4_text(network.mask()), plan.lease.count());
  text += fmt::format("dhcp-option=option:router,{}\n", plan.gateway.empty() ? own : plan.gateway);
  if (plan.resolvers.empty()) {
    text += "dhcp-option=option:dns-server\n";  // not sent: we answer no DNS
  } else {
    text += fmt::format("dhcp-option=option:dns-server,{}\n", fmt::join(plan.resolvers, ","));
  }
  if (!plan.domain.empty()) text += fmt::format("domain={}\n", plan.domain);
  text += fmt::format("dhcp-hostsfile={}\ndhcp-leasefile={}\n", plan.reservations_file().string(),
                      plan.leases_file().string());
  // iPXE waits about 16 s for router advertisements and for other DHCP servers unless it is told not to: option 175.176
  // is "no-pxedhcp".
  text += "dhcp-option=encap:175,176,1b\n";
  text += "enable-ra\ndhcp-range=fd77::,ra-only\nra-param=" + plan.interface + ",low,60,1200\n";
  text += tag_lines() + strangers_line(plan);
  // shim by UEFI HTTP Boot gets nothing: Debian's GRUB can't go on by HTTP, and the firmware tries PXE next.
  text += fmt::format(R"(
dhcp-boot=tag:{0},tag:!efi,tag:!efihttp,pxelinux.0,,{2}
dhcp-boot=tag:{1},tag:efi,shimx64.efi,,{2}
dhcp-boot=tag:ipxe,tag:!{0},tag:!{1},bridgehead.ipxe,,{2}
dhcp-boot=tag:ipxe,tag:{0},tag:efi,bridgehead.ipxe,,{2}
dhcp-boot=tag:ipxe,tag:{1},tag:bios,bridgehead.ipxe,,{2}
dhcp-boot=tag:bios,tag:!ipxe,tag:!{0},undionly.kpxe,,{2}
dhcp-boot=tag:efi,tag:!ipxe,tag:!{1},snponly.efi,,{2}
dhcp-option-force=tag:efihttp,60,HTTPClient
dhcp-boot=tag:efihttp,tag:!ipxe,tag:!{1},"{3}{4}ipxe.efi"
)",
                      kPxelinuxTag, kShimTag, own, plan.boot_url(), kFirstStagePath);
  return text;
}

// Beside a DHCP server that exists: only what to boot is answered, to broadcasts and on port 4011. Methods are known by
// the reservations' MACs here too; their addresses and host names mean nothing.
std::string proxy_mode(const DnsmasqPlan& plan) {
  const auto network = *parse_network(plan.address);
  const auto own = plan.own_address();
  std::string text =
      fmt::format("\ndhcp-range={},proxy,{}\ndhcp-hostsfile={}\ndhcp-leasefile={}\n", ipv4_text(network.first()),
                  ipv4_text(network.mask()), plan.reservations_file().string(), plan.leases_file().string());
  text += "dhcp-option=encap:175,176,1b\n";
  text += tag_lines() + strangers_line(plan);
  text += fmt::format(R"(
dhcp-boot=tag:{0},tag:!efi,tag:!efihttp,pxelinux.0,,{2}
dhcp-boot=tag:ipxe,tag:!{0},tag:!{1},bridgehead.ipxe,,{2}
dhcp-boot=tag:bios,tag:!ipxe,tag:!{0},undionly.kpxe,,{2}
dhcp-boot=tag:efi,tag:!ipxe,tag:!{1},snponly.efi,,{2}
dhcp-boot=tag:efi,tag:{1},shimx64.efi,,{2}
pxe-prompt=Bridgehead,0
pxe-service=tag:{0},x86PC,Bridgehead,pxelinux.0,{2}
pxe-service=tag:ipxe,tag:!{0},x86PC,Bridgehead,bridgehead.ipxe,{2}
pxe-service=tag:!ipxe,tag:!{0},x86PC,Bridgehead,undionly.kpxe,{2}
pxe-service=tag:{1},X86-64_EFI,Bridgehead,shimx64.efi,{2}
pxe-service=tag:{1},BC_EFI,Bridgehead,shimx64.efi,{2}
pxe-service=tag:ipxe,tag:!{1},X86-64_EFI,Bridgehead,bridgehead.ipxe,{2}
pxe-service=tag:ipxe,tag:!{1},BC_EFI,Bridgehead,bridgehead.ipxe,{2}
pxe-service=tag:!ipxe,tag:!{1},X86-64_EFI,Bridgehead,snponly.efi,{2}
pxe-service=tag:!ipxe,tag:!{1},BC_EFI,Bridgehead,snponly.efi,{2}
)",
                      kPxelinuxTag, kShimTag, own);
  return text;
}

Status check_reservation(const DnsmasqPlan& plan, const Reservation& reservation) {
  if (auto mac = canonical_mac(reservation.mac); !mac) return forward(mac);
  if (!reservation.hostname.empty()) {
    if (auto good = check_reserved_hostname(reservation.hostname); !good) return good;
  }
  if (reservation.address.empty()) return {};
  const auto address = ipv4_number(reservation.address);
  if (!address) return forward(address);
  if (plan.mode != model::NetbootMode::full) return {};
  const auto network = parse_network(plan.address);
  if (!network) return forward(network);
  if (!network->usable(*address) || *address == network->address) {
    return fail(ErrorCode::invalid_argument, "the address {} for {} can't be had in the network of {}",
                reservation.address, reservation.mac, plan.address);
  }
  return {};
}

// Every directory above must let the user dnsmasq through, or it can't read its files again at SIGHUP.
Status check_reachable(const std::filesystem::path& path) {
  std::filesystem::path upward;
  for (const auto& part : path) {
    upward /= part;
    struct stat info {};
    if (::stat(upward.c_str(), &info) != 0) return fail_errno(errno, upward.string());
    if ((info.st_mode & S_IXOTH) == 0) {
      return fail_with_hint(ErrorCode::failed_precondition,
                            fmt::format("{} can't be entered by the user {}", upward.string(), kUser),
                            fmt::format("chmod o+x {}", upward.string()));
    }
  }
  return {};
}

// dnsmasq writes its leases as its user.
Status make_leases_file(const std::filesystem::path& path) {
  auto file = open_file(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
  if (!file) return forward(file);
  if (::geteuid() != 0) return {};
  const auto user = find_user(std::string(kUser));
  if (!user) {
    return fail_with_hint(ErrorCode::failed_precondition, user.error().message, "install the package dnsmasq-base");
  }
  if (::fchown(file->get(), user->id, user->group) != 0) return fail_errno(errno, path.string());
  return {};
}

// Accepted by dnsmasq itself before it takes the old one's place.
Status test_config(const DnsmasqPlan& plan, const std::string& text, CommandRunner& runner) {
  auto candidate = plan.config_file();
  candidate += ".test";
  if (auto written = write_file_atomic(candidate, text, 0644); !written) return written;
  const auto tested = runner.run({.program = "dnsmasq",
                                  .arguments = {"--test", "--conf-file=" + candidate.string()},
                                  .timeout = std::chrono::seconds(20)});
  if (auto removed = remove_file(candidate); !removed) return removed;
  if (tested) return {};
  if (tested.error().code == ErrorCode::not_found) {
    return fail_with_hint(ErrorCode::failed_precondition, "dnsmasq isn't installed",
                          "install the package dnsmasq-base");
  }
  return fail(ErrorCode::invalid_argument, "dnsmasq refuses its configuration: {}", tested.error().message);
}

}  // namespace

std::string DnsmasqPlan::boot_url() const { return fmt::format("http://{}:{}", own_address(), http_port); }

Result<std::string> dnsmasq_config(const DnsmasqPlan& plan) {
  if (auto good = check_plan(plan); !good) return forward(good);
  // port=0: no DNS. bind-dynamic rather than bind-interfaces: the interface may come later or lose its address.
  std::string text = fmt::format(R"(# Written by bridgehead-manager; changes are lost.
port=0
no-resolv
no-hosts
interface={0}
except-interface=lo
bind-dynamic
no-ping
dhcp-lease-max=65536
log-dhcp
enable-tftp={0}
tftp-root={1}
tftp-no-fail
tftp-max=500
)",
                                 plan.interface, plan.tftp_root.string());
  text += plan.mode == model::NetbootMode::full ? full_mode(plan) : proxy_mode(plan);
  return text;
}

Status check_reserved_hostname(const std::string& name) {
  if (auto good = check_hostname(name); !good) return good;
  const auto word = lower_case(name);
  const auto digits = std::min(word.find_first_not_of("0123456789"), word.size());
  const auto unit = std::string_view(word).substr(digits);
  const bool time =
      digits > 0 &&
      (unit.empty() || (unit.size() == 1 && std::string_view("wdhms").find(unit[0]) != std::string_view::npos));
  if (word != "ignore" && word != "infinite" && !time) return {};
  return fail(ErrorCode::invalid_argument, "dnsmasq would not take '{}' for a host name", name);
}

Result<std::string> dnsmasq_reservations(const DnsmasqPlan& plan, const std::vector<Reservation>& reservations) {
  std::set<std::string> macs;
  std::set<std::string> addresses;
  std::set<std::string> names;
  std::vector<std::string> lines;
  for (const auto& reservation : reservations) {
    if (auto good = check_reservation(plan, reservation); !good) return forward(good);
    const auto mac = *canonical_mac(reservation.mac);
    const bool twice = !macs.insert(mac).second ||
                       (!reservation.address.empty() && !addresses.insert(reservation.address).second) ||
                       (!reservation.hostname.empty() && !names.insert(lower_case(reservation.hostname)).second);
    if (twice) {
      return fail(ErrorCode::invalid_argument, "the reservation of {} ({} {}) has what another has already", mac,
                  reservation.address, reservation.hostname);
    }
    std::string line = mac;
    if (reservation.method == model::BootMethod::pxelinux) line += fmt::format(",set:{}", kPxelinuxTag);
    if (reservation.method == model::BootMethod::shim) line += fmt::format(",set:{}", kShimTag);
    if (plan.mode == model::NetbootMode::full) {
      if (!reservation.address.empty()) line += "," + reservation.address;
      if (!reservation.hostname.empty()) line += "," + reservation.hostname;
    }
    // In proxy mode, or with nothing to say, a line of the MAC alone would be refused.
    if (line != mac) lines.push_back(line + "\n");
  }
  std::sort(lines.begin(), lines.end());
  std::string text = "# Written by bridgehead-manager; changes are lost.\n";
  for (const auto& line : lines) text += line;
  return text;
}

Command dnsmasq_command(const DnsmasqPlan& plan) {
  return {.program = "dnsmasq",
          .arguments = {"--keep-in-foreground", "--conf-file=" + plan.config_file().string(), "--log-facility=-",
                        "--pid-file="},
          .environment = {{"LC_ALL", "C"}}};  // its log is read (SightingReader)
}

Command advertised_address_command(const DnsmasqPlan& plan) {
  return {.program = "ip",
          .arguments = {"-6", "address", "replace", "fd77::1/64", "dev", plan.interface, "nodad"},
          .timeout = std::chrono::seconds(10)};
}

ServiceSpec dnsmasq_service(const DnsmasqPlan& plan) {
  ServiceSpec spec{.name = "dnsmasq", .command = dnsmasq_command(plan)};
  if (::geteuid() == 0) {
    spec.run_as = RunAs{.user = std::string(kUser), .capabilities = {CAP_NET_ADMIN, CAP_NET_RAW, CAP_NET_BIND_SERVICE}};
  }
  return spec;
}

Result<DnsmasqChange> install_dnsmasq(const DnsmasqPlan& plan, const std::vector<Reservation>& reservations,
                                      CommandRunner& runner) {
  const auto config = dnsmasq_config(plan);
  if (!config) return forward(config);
  const auto hosts = dnsmasq_reservations(plan, reservations);
  if (!hosts) return forward(hosts);
  for (const auto& directory : {plan.directory, plan.tftp_root}) {
    if (auto made = make_directories(directory); !made) return forward(made);
    if (auto reachable = check_reachable(directory); !reachable) return forward(reachable);
  }
  const bool config_changed = read_file(plan.config_file()).value_or("") != *config;
  const bool hosts_changed = read_file(plan.reservations_file(), 64_MiB).value_or("") != *hosts;
  if (config_changed) {
    if (auto tested = test_config(plan, *config, runner); !tested) return forward(tested);
  }
  if (auto made = make_leases_file(plan.leases_file()); !made) return forward(made);
  if (hosts_changed) {
    if (auto written = write_file_atomic(plan.reservations_file(), *hosts, 0644); !written) return forward(written);
  }
  if (config_changed) {
    if (auto written = write_file_atomic(plan.config_file(), *config, 0644); !written) return forward(written);
    return DnsmasqChange::restart;
  }
  return hosts_changed ? DnsmasqChange::reload : DnsmasqChange::none;
}

}  // namespace bridgehead::netboot
