// Machines that boot over the network: what they boot (node images), how (profiles, methods), and how far they are.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/units.h"
#include "model/ids.h"

namespace bridgehead::model {

enum class RootTransport { nbd, nfs, ram };

// What the firmware loads first. ipxe: BIOS and UEFI; pxelinux: BIOS, kernel by TFTP; shim: UEFI with Secure Boot,
// GRUB.
enum class BootMethod { ipxe, pxelinux, shim };

// What a machine does when its boot can't go on.
enum class OnBootFailure { retry, reboot, shell };

enum class NodeImageState { building, ready, failed, deleting };

// Kernel, initramfs and root file system that nodes boot; immutable once ready. Its files lie in the manager's image
// directory under its id: vmlinuz, initramfs.img, root.squashfs, manifest.json and, for nfs, the tree root/.
struct NodeImage {
  NodeImageId id;
  std::string name;  // "debian-12:3"
  std::string base;  // "debian-12"
  std::uint32_t version = 1;
  std::string role;    // "compute", "storage"
  std::string source;  // the recipe's name, or where it was imported from
  NodeImageState state = NodeImageState::building;
  std::string message;  // why it failed
  std::string os;       // PRETTY_NAME of the tree
  std::string kernel_version;
  std::vector<std::string> nic_drivers;   // in its initramfs, as the kernel names them; sorted
  std::vector<RootTransport> transports;  // nfs only where the tree was kept
  Bytes kernel_size;
  Bytes initramfs_size;
  Bytes root_size;          // of the packed root
  std::string root_sha256;  // hex
  Timestamp created{};

  bool operator==(const NodeImage&) const = default;
};

// A file laid over a node's root at boot. ${node}, ${address}, ${mac} and ${image} in its content are replaced.
struct OverlayFile {
  std::string path;  // absolute
  std::string content;
  std::uint32_t mode = 0644;
  bool operator==(const OverlayFile&) const = default;
};

// A file that must be seen neither on the provisioning network nor in the store: the node's agent writes it once it has
// joined, as it is. `sealed` is its content as pki::SecretBox sealed it.
struct SecretFile {
  std::string path;  // absolute
  std::uint32_t mode = 0600;
  Bytes size;
  std::string sealed;
  bool operator==(const SecretFile&) const = default;
};

// The one kernel argument of Bridgehead's own that a profile may give: only people know that an address is nobody's
// lease (docs/boot-protocol.md).
inline constexpr char kStaticAddress[] = "bh.lease=static";

// Boot settings shared by nodes.
struct Profile {
  ProfileId id;
  std::string name;
  RootTransport root = RootTransport::nbd;
  BootMethod method = BootMethod::ipxe;
  OnBootFailure on_failure = OnBootFailure::retry;
  std::string bridge = "br0";
  std::uint16_t vlan = 0;              // 0 = none
  std::string bond_mode;               // "" = no bond; "802.3ad", "active-backup", "balance-xor"
  std::string overlay = "50%";         // of the node's RAM, or a size as tmpfs writes it
  std::vector<std::string> arguments;  // kernel arguments
  std::vector<OverlayFile> files;
  std::vector<SecretFile> secret_files;
  Timestamp created{};

  bool operator==(const Profile&) const = default;
};

enum class Approval { waiting, approved, refused };

// What a discovered machine says of itself.
struct Hardware {
  std::string vendor;
  std::string product;
  std::uint32_t cpus = 0;
  Bytes memory;
  std::vector<std::string> nics;   // "eth0 52:54:00:12:34:56 virtio_net 10000 Mbit/s"
  std::vector<std::string> disks;  // "sda 480 GB INTEL SSDSC2"
  bool operator==(const Hardware&) const = default;
};

// Of a node that boots over the network.
struct Netboot {
  std::string mac;  // of the NIC it boots from; lower case with colons
  std::string uuid;
  std::string serial;
  std::string address;  // reserved for it; "" = as DHCP gives
  Approval approval = Approval::waiting;
  std::string image;    // a node image's name; "" = none assigned yet
  std::string profile;  // "" = default
  // Its own, over those of its profile at the same path.
  std::vector<OverlayFile> files;
  std::vector<SecretFile> secret_files;
  Hardware hardware;
  bool operator==(const Netboot&) const = default;
};

enum class BootStep { dhcp, bootstrap, kernel, bridge, root, handover, agent, ready, fallback, failed };

struct BootEvent {
  BootStep step = BootStep::dhcp;
  std::string message;
  Timestamp time{};
  bool operator==(const BootEvent&) const = default;
};

// What a boot has taken from the manager's host until it was ready; nothing = it couldn't be counted.
struct BootBytes {
  std::optional<std::uint64_t> http;  // from the loader's script on: kernel, initramfs and what those ask for
  std::optional<std::uint64_t> root;  // by NBD or NFS

  bool operator==(const BootBytes&) const = default;
};

// One boot of one node, the newest; its id is the node's.
struct Boot {
  NodeId id;
  std::string token_sha256;  // of the boot's id in URLs
  std::string image;         // whose kernel it boots; "" = none yet
  bool discovery = false;    // only to report its hardware
  RootTransport root = RootTransport::nbd;
  std::vector<BootEvent> events;  // in the order they came
  std::vector<std::string> log;   // the last lines that the initramfs sent
  Timestamp started{};
  BootBytes bytes;
  bool operator==(const Boot&) const = default;
};

enum class NetbootMode { off, full, proxy };

// How the manager boots machines; one record.
struct NetbootSettings {
  NetbootSettingsId id;
  NetbootMode mode = NetbootMode::off;
  std::string interface;
  std::string address;      // the manager's on that interface, with its prefix length: "10.20.0.1/22"
  std::string range_first;  // full: what DHCP gives
  std::string range_last;
  std::uint16_t http_port = 7480;
  std::uint16_t nbd_port = 10809;
  std::vector<std::string> nbd_servers;  // others that serve the same images, "10.20.0.2:10809", tried after ours
  bool auto_approve = false;
  bool operator==(const NetbootSettings&) const = default;
};

}  // namespace bridgehead::model
