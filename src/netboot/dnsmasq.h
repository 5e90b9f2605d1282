// dnsmasq as a value: from a plan its configuration, its file of reservations and its command; and what its log tells.
// Pure functions except install_dnsmasq and install_reservations, which write files. Thread-safe.
//
// Reservations lie in a file of their own (dhcp-hostsfile): a change there is read at SIGHUP and leaves the leases
// alone. Everything else needs a restart, over which leases are kept in their file.
#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/command.h"
#include "base/result.h"
#include "base/supervisor.h"
#include "model/boot_services.h"
#include "model/netboot.h"

namespace bridgehead::netboot {

// The path under which the boot server shows first-stage files for UEFI HTTP Boot: /boot/first/ipxe.efi,
// /boot/first/shimx64.efi. Files: BootFiles::http_directory (boot_files.h).
inline constexpr std::string_view kFirstStagePath = "/boot/first/";

using Reservation = model::BootReservation;

struct DnsmasqPlan : model::BootSegment {
  std::chrono::seconds lease{std::chrono::hours(12)};
  std::string gateway;                 // "" = our address
  std::vector<std::string> resolvers;  // DNS servers for the machines; none = the option isn't sent
  std::string domain;                  // "" = none

  // All must be reachable for the user `dnsmasq` (every directory above them with o+x), since dnsmasq doesn't run as
  // root.
  std::filesystem::path tftp_root;
  std::filesystem::path directory;  // our generated files: dnsmasq.conf, reservations, leases

  bool operator==(const DnsmasqPlan&) const = default;

  std::filesystem::path config_file() const { return directory / "dnsmasq.conf"; }
  std::filesystem::path reservations_file() const { return directory / "reservations"; }
  std::filesystem::path leases_file() const { return directory / "leases"; }
  std::string boot_url() const;  // "http://10.20.0.1:7480"
};

// The configuration's text. invalid_argument: names what in the plan is wrong (addresses, range outside of the network,
// our own address inside of the range, characters that would end a line or an option, mode off).
Result<std::string> dnsmasq_config(const DnsmasqPlan& plan);

// The text of the reservations' file, sorted by MAC. invalid_argument: a bad MAC, address or host name, or one that
// appears twice; in full mode also an address outside of our network or equal to ours.
Result<std::string> dnsmasq_reservations(const DnsmasqPlan& plan, const std::vector<Reservation>& reservations);

// Whether a reservation's host name is one for dnsmasq, too: a label (RFC 1123) that it doesn't take for a keyword
// ("ignore", "infinite") or for the time of a lease ("10", "5m"). invalid_argument says which.
Status check_reserved_hostname(const std::string& name);

// dnsmasq in the foreground, logging to stderr.
Command dnsmasq_command(const DnsmasqPlan& plan);
// Service "dnsmasq" for base/supervisor.h: as the user `dnsmasq` with the capabilities that it needs.
ServiceSpec dnsmasq_service(const DnsmasqPlan& plan);

// Full mode: gives the interface the address fd77::1/64, without which dnsmasq sends no router advertisements and iPXE
// waits for them (about 16 s a boot). Succeeds if it is there already. Without IPv6 in the kernel it fails; booting
// works, slower.
Command advertised_address_command(const DnsmasqPlan& plan);

// What has to be done so that dnsmasq knows what was installed.
enum class DnsmasqChange { none, reload, restart };  // reload: SIGHUP

// Makes the directory, writes the configuration (after `dnsmasq --test` has accepted it) and the reservations, each
// atomically. invalid_argument: the plan, or dnsmasq's own words; the old files stay.
Result<DnsmasqChange> install_dnsmasq(const DnsmasqPlan& plan, const std::vector<Reservation>& reservations,
                                      CommandRunner& runner);

// What a line of dnsmasq's log says of a machine.
enum class SightingKind {
  discover,  // it looks for an address
  offer,
  request,
  ack,        // it has an address
  pxe,        // proxyDHCP told it what to boot
  tftp_sent,  // it got a file
  tftp_failed,
  refused,  // NAK, no address left, ignored
};

using model::Asker;

struct Sighting {
  SightingKind kind = SightingKind::discover;
  std::string mac;      // "" for TFTP, which knows only the address
  std::string address;  // "" if the line has none
  std::string detail;   // tftp: the file; refused: why; ack: the host name
  Asker asker = Asker::other;
  bool operator==(const Sighting&) const = default;
};

// Reads a log line by line, since dnsmasq tells in lines of their own who sent a message. One thread.
class SightingReader {
 public:
  std::optional<Sighting> read(std::string_view line);

 private:
  std::string transaction_;  // of the DHCP message that the log is at
  Asker asker_ = Asker::other;
};

}  // namespace bridgehead::netboot
