// Makes our initramfs (docs/boot-protocol.md, section 6) from any root tree that holds a kernel: Debian, Ubuntu,
// Fedora, CentOS, Rocky. None of the tree's programs is run and nothing in it is trusted: names are resolved inside the
// tree whatever its symbolic links say, its files are data. The same input gives the same bytes. Thread-safe; a build
// takes seconds, mostly in the compressor. Errors: invalid_argument (the request), not_found (no kernel, no such module
// or driver), failed_precondition (the kernel lacks what the boot needs: the message names the driver or option, the
// hint the fix), data_corrupt (a module that doesn't decompress, an index that can't be read), resource_exhausted
// (files of absurd size), io_error.
#pragma once

#include <filesystem>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/units.h"
#include "model/netboot.h"

namespace bridgehead::netboot {

// What our own initramfs is meant to stay below, compressed.
inline constexpr Bytes kInitramfsGoal{5'000'000};

// Which NIC drivers go in.
struct NicDrivers {
  enum class Kind {
    servers,  // server_drivers(), as far as this kernel has them
    all,      // every Ethernet driver that the kernel has
    named,    // exactly `names`; one that the kernel lacks is an error
  };
  Kind kind = Kind::servers;
  std::vector<std::string> names;  // named: all of it; otherwise: added. "mlx5_core"
};

// "servers", "all", "e1000e,igb", and combinations: "servers,mlx5_core".
Result<NicDrivers> parse_nic_drivers(std::string_view text);
// Those common in servers, as many as fit in kInitramfsGoal together with everything else that may be asked for.
const std::vector<std::string>& server_drivers();
// Those that servers have, too, but that don't fit: to be asked for by name, or by Kind::all.
const std::vector<std::string>& other_server_drivers();

enum class InitramfsCompression { none, gzip, xz, zstd };
std::string_view to_string(InitramfsCompression compression);

struct InitramfsRequest {
  std::filesystem::path tree;
  std::string kernel_version;     // "" = the newest in the tree
  std::filesystem::path init;     // a static program, becomes /init
  std::filesystem::path busybox;  // a static program, becomes /bin/busybox
  std::set<model::RootTransport> roots{model::RootTransport::nbd, model::RootTransport::ram};
  NicDrivers nics;
  bool vlan = false;
  bool bond = false;
  std::vector<std::string> modules;  // beside what the rest asks for; in the order given, loaded at the start
  std::string role = "compute";      // compute nodes need KVM and TUN in the tree
};

struct KernelFinding {
  enum class Severity { warning, error };
  Severity severity = Severity::error;
  std::string needed;   // "SQUASHFS", "driver ixgbe"
  std::string message;  // "Kernel 6.1.0 has no squashfs (CONFIG_SQUASHFS; module squashfs)"
  std::string hint;     // what to do
  bool operator==(const KernelFinding&) const = default;
};

// What a kernel of a tree can do for a boot over the network.
struct KernelCheck {
  std::string version;             // "6.1.0-56-amd64"
  std::filesystem::path kernel;    // its file, relative to the tree, no symbolic link: "boot/vmlinuz-6.1.0-56-amd64"
  std::vector<std::string> found;  // all versions in the tree, newest first
  bool has_config = false;         // without it, what is built in is known from modules.builtin only
  std::vector<KernelFinding> findings;

  // The first error, with the others named in it; ok when there are only warnings.
  Status status() const;
};

// Looks at the kernel that build_initramfs() would take. An error only where there is no kernel to look at; what it
// lacks is in the findings. init and busybox of the request aren't looked at.
Result<KernelCheck> check_kernel(const InitramfsRequest& request);

struct InitramfsModule {
  std::string name;  // as in /proc/modules
  std::string path;  // below /lib/modules/<version>, as in the initramfs
  Bytes size;        // not compressed
  bool operator==(const InitramfsModule&) const = default;
};

struct InitramfsReport {
  std::string kernel_version;
  std::filesystem::path kernel;  // relative to the tree, no symbolic link
  std::filesystem::path file;
  Bytes size;           // compressed
  Bytes unpacked_size;  // what it takes of the machine's RAM, about
  InitramfsCompression compression = InitramfsCompression::none;
  std::vector<InitramfsModule> modules;       // sorted by name
  std::vector<std::string> nic_drivers;       // modules and built-in ones, sorted
  std::vector<std::string> firmware;          // included, as below /lib/firmware
  std::vector<std::string> missing_firmware;  // "bnx2/bnx2-mips-09-6.2.1b.fw (bnx2)"
  std::vector<std::string> warnings;
  std::vector<std::string> left_out;  // drivers of servers' NICs that the kernel has and that aren't in; sorted
};

// Writes `output` atomically, mode 0644; when it fails, what was there stays.
Result<InitramfsReport> build_initramfs(const InitramfsRequest& request, const std::filesystem::path& output);

// Instead of making one: `file` of the tree, which dracut has made there with our module in it (boot/dracut), copied to
// `output` as it is. Its kernel is the request's, else the one whose modules are in it, else the one whose version
// stands in the file's name, else the newest; init, busybox and what else is for making one aren't looked at.
// failed_precondition, too, where bridgehead-init isn't in it, where its modules are of a kernel that the tree
// doesn't have, or where squashfs, which the tree has as a module, isn't among them.
Result<InitramfsReport> take_initramfs(InitramfsRequest request, const std::string& file,
                                       const std::filesystem::path& output);

// For --json and the manifest of a node image.
nlohmann::json to_json(const InitramfsReport& report);

}  // namespace bridgehead::netboot
