// What boot loaders are told: iPXE scripts, GRUB and pxelinux configurations, and the kernel's command line (contract:
// docs/boot-protocol.md). Pure functions. invalid_argument: a value that could end a line, an argument or a quotation,
// or that isn't what it should be (MAC, address); nothing is escaped silently.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "model/netboot.h"

namespace bridgehead::netboot {

// Empty fields are left out.
struct KernelCommandLine {
  std::string server;   // "http://10.20.0.1:7480"; required
  std::string boot;     // 64 hex digits
  std::string mac;      // 52:54:00:12:34:56
  std::string address;  // "10.20.0.101/22"
  std::string gateway;
  std::string bridge;  // "br0"
  std::uint16_t vlan = 0;
  std::string bond;  // "802.3ad:<mac>,<mac>"
  std::optional<std::chrono::seconds> wait;
  std::optional<model::OnBootFailure> failure;
  std::vector<std::string> arguments;  // as they are: "console=ttyS0"; none may begin with "bh."
  bool operator==(const KernelCommandLine&) const = default;
};

// At most 2,000 bytes, since x86 kernels cut at 2,048.
Result<std::string> kernel_command_line(const KernelCommandLine& line);

// One thing to boot: an image's kernel and initramfs.
struct BootEntry {
  std::string title;     // "debian-12:3"
  std::string image_id;  // in /boot/files/<image_id>/ and TFTP images/<image_id>/
  // None: iPXE asks the server for this image's script (its own URL with &image=<image_id>), so that a boot is only
  // made when it is chosen; pxelinux and GRUB (Debian's signed one has TFTP only) leave the entry out.
  std::optional<KernelCommandLine> command_line;
  bool operator==(const BootEntry&) const = default;
};

struct BootChoice {
  std::string server;    // "http://10.20.0.1:7480"
  std::string hostname;  // for the menu's title; "" = not known yet
  std::string mac;
  // The first is booted after the timeout and must have its command line; the others are older versions.
  std::vector<BootEntry> entries;
  // 0: no menu, boots at once (iPXE: unless a key is pressed within 0.3 s; a key shows the menu).
  std::chrono::seconds menu_timeout{0};
  bool discovery = false;  // unknown machine: says so
  bool memtest = false;    // offered; served as kFirstStagePath/memtest.{bin,efi} and TFTP memtest.{bin,efi}
  bool operator==(const BootChoice&) const = default;
};

// For GET /boot/v1/ipxe. Waits and asks anew when the server is away.
Result<std::string> ipxe_script(const BootChoice& choice);
// For TFTP grub/grub.cfg-01-<mac>, to which grub_first_config leads. Kernel and initramfs by TFTP too.
Result<std::string> grub_config(const BootChoice& choice);
// For TFTP pxelinux.cfg/01-<mac>.
Result<std::string> pxelinux_config(const BootChoice& choice);

// A script that only shows a message for a while and asks the server again: machines that are refused or whose image is
// gone. Text beyond printable ASCII is replaced.
std::string ipxe_wait_script(const std::string& server, const std::string& message, std::chrono::seconds pause);

// bridgehead.ipxe, the same for all machines: what DHCP names to iPXE. By TFTP from dnsmasq, so that a machine that
// starts while the boot server is away waits for it instead of trying its next boot device. `server` must be valid.
std::string ipxe_first_script(const std::string& server);
// grub/grub.cfg, the same for all machines: the machine's own file, else grub/discovery.cfg. (Debian's signed GRUB has
// no search for files by MAC, though GRUB's manual describes one.)
std::string grub_first_config();
// For machines that have no pxelinux or GRUB file of their own and while there is no image: a message, then again.
std::string pxelinux_wait_config(const std::string& message, std::chrono::seconds pause);
std::string grub_wait_config(const std::string& message, std::chrono::seconds pause);

// ${...} query that our iPXE scripts send: "mac=...&uuid=...&serial=...&arch=...".
std::string ipxe_query();

}  // namespace bridgehead::netboot
