// What the manager and whatever serves machines for it (src/boot_services) tell each other. Plain values: none is a
// command, and none but the source of an import is a path of the manager's choice.
#pragma once

#include <string>
#include <vector>

#include "model/netboot.h"

namespace bridgehead::model {

// What DHCP keeps for one machine.
struct BootReservation {
  std::string mac;
  std::string address;   // "" = any of the range
  std::string hostname;  // "" = none
  BootMethod method = BootMethod::ipxe;
  bool operator==(const BootReservation&) const = default;
};

// What one machine's pxelinux or GRUB reads; an empty MAC: machines that have none of their own.
struct LoaderFile {
  BootMethod method = BootMethod::pxelinux;
  std::string mac;
  std::string text;
  bool operator==(const LoaderFile&) const = default;
};

struct ServedImage {
  NodeImageId id;
  bool by_nfs = false;  // its tree was kept
  bool operator==(const ServedImage&) const = default;
};

// The network that machines boot on, and what they are told there.
struct BootSegment {
  NetbootMode mode = NetbootMode::off;  // off: nothing, and the rest doesn't count
  std::string interface;
  std::string address;      // ours on it, with its prefix length: "10.20.0.1/22"
  std::string range_first;  // full mode
  std::string range_last;
  std::uint16_t http_port = 7480;           // where the manager's boot server is
  BootMethod strangers = BootMethod::ipxe;  // of machines without a reservation
  bool operator==(const BootSegment&) const = default;

  std::string own_address() const { return address.substr(0, address.find('/')); }
};

// All that is to be served, whatever was served before.
struct ServingPlan : BootSegment {
  std::uint16_t nbd_port = 10809;
  bool nfs = false;  // roots by NFS are wanted
  std::vector<BootReservation> reservations;
  std::vector<LoaderFile> loader_files;
  std::vector<ServedImage> images;
  bool operator==(const ServingPlan&) const = default;
};

struct ServingPart {
  std::string name;  // "dhcp", "nbd", "nfs"
  bool running = false;
  std::string message;  // why not; "" = all is well
  bool operator==(const ServingPart&) const = default;
};

struct ServingStatus {
  std::vector<ServingPart> parts;  // those that are wanted
  bool operator==(const ServingStatus&) const = default;
};

// Who asks by DHCP, by what it calls itself.
enum class Asker {
  firmware,  // of a machine that boots over the network: PXE or UEFI HTTP Boot
  loader,    // iPXE, from the NIC's ROM or loaded by the firmware
  other,     // our initramfs, a system that runs, or not known
};

// DHCP gave a machine its address.
struct AddressGiven {
  std::string mac;
  std::string address;
  Asker asker = Asker::other;
  bool operator==(const AddressGiven&) const = default;
};

// Others that answer on the segment: "10.20.0.7 (52:54:00:aa:bb:cc)".
struct ForeignDhcpServers {
  std::vector<std::string> servers;
  bool operator==(const ForeignDhcpServers&) const = default;
};

// A node image to be made. Either `recipe` or `path` is set.
struct NodeImageOrder {
  NodeImageId id;
  std::string base;
  std::uint32_t version = 1;
  std::string role;
  std::string recipe;  // the name of one
  std::string path;    // what is imported
  std::string nic_drivers = "servers";
  std::string initramfs;  // of an import: a file in it, made by dracut with our module; "" = ours is made
  bool operator==(const NodeImageOrder&) const = default;
};

struct NodeImageComparison {
  NodeImageId from;
  NodeImageId to;
  bool operator==(const NodeImageComparison&) const = default;
};

struct NodeImageDifference {
  std::vector<std::string> packages;  // "+ nginx 1.22", "- curl 7.88", "~ libc6 2.36-9 -> 2.36-10"
  std::vector<std::string> files;     // "+ /etc/x", "- /etc/y", "~ /etc/z"
  bool operator==(const NodeImageDifference&) const = default;
};

}  // namespace bridgehead::model
