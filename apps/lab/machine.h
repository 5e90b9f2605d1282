// One machine of a lab as a value, and how QEMU is told of it. Pure functions; nothing is run or opened here.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/command.h"
#include "base/result.h"
#include "base/units.h"
#include "model/enum_names.h"

namespace bridgehead::lab {

// uefi_secure: Secure Boot is on, with Microsoft's keys.
enum class Firmware { bios, uefi, uefi_secure };
// What the NIC brings to boot from: iPXE, or nothing (then the firmware's own PXE and HTTP client, UEFI only).
enum class NicRom { ipxe, none };
enum class NicModel { virtio, e1000, e1000e };
// How it asks for what it boots. http: UEFI HTTP Boot alone, with PXE switched off as a person does in the firmware's
// setup.
enum class NetworkBoot { pxe, http };
enum class Accelerator { kvm, tcg };

struct Machine {
  std::string name;     // "m1"
  unsigned number = 1;  // from 1; MAC, UUID and serial follow from it and the lab's name
  Firmware firmware = Firmware::bios;
  NicRom rom = NicRom::ipxe;
  NicModel nic = NicModel::virtio;
  NetworkBoot boot = NetworkBoot::pxe;
  Bytes memory = 1_GiB;
  unsigned cpus = 1;
  std::string uuid;
  std::string serial;
  std::vector<std::string> macs;  // of each NIC, all on the provisioning network; it boots from the first
  std::vector<std::string> taps;  // the lab's end of each NIC
  bool operator==(const Machine&) const = default;
};

// What a user may say of a machine; the rest follows.
struct MachineWish {
  std::string name;  // "" = m<number>
  Firmware firmware = Firmware::bios;
  std::optional<NicRom>
      rom;  // none with Secure Boot, which refuses QEMU's unsigned iPXE, and with boot=http; else ipxe
  NicModel nic = NicModel::virtio;
  NetworkBoot boot = NetworkBoot::pxe;
  unsigned nics = 1;
  Bytes memory = 1_GiB;
  unsigned cpus = 1;
};

// "firmware=uefi,rom=none,boot=http,memory=2GiB,cpus=2,nic=e1000,nics=2,name=db": what it leaves out is as in
// `defaults`. Errors: invalid_argument.
Result<MachineWish> parse_wish(std::string_view text, const MachineWish& defaults);

// A locally administered MAC: the same for a lab's number and NIC on every machine and in every version.
std::string mac_address(std::string_view lab, unsigned number, unsigned nic);

// Errors: invalid_argument for a wish that no machine can fulfil.
Result<Machine> make_machine(std::string_view lab, unsigned number, const MachineWish& wish);

// A machine's files. `firmware_*` are empty with BIOS.
struct MachineFiles {
  std::filesystem::path serial_socket;
  std::filesystem::path serial_log;
  std::filesystem::path qmp_socket;
  std::filesystem::path firmware_code;
  std::filesystem::path firmware_variables;
};

// To be started in the lab's network namespace, where the taps are.
Command qemu_command(const Machine& machine, const MachineFiles& files, Accelerator accelerator);

}  // namespace bridgehead::lab

namespace bridgehead::model {
template <>
struct EnumNames<lab::Firmware> {
  static constexpr std::string_view kind = "firmware";
  static constexpr auto values = std::to_array<std::pair<lab::Firmware, std::string_view>>(
      {{lab::Firmware::bios, "bios"}, {lab::Firmware::uefi, "uefi"}, {lab::Firmware::uefi_secure, "uefi-secure"}});
};
template <>
struct EnumNames<lab::NicRom> {
  static constexpr std::string_view kind = "NIC ROM";
  static constexpr auto values = std::to_array<std::pair<lab::NicRom, std::string_view>>(
      {{lab::NicRom::ipxe, "ipxe"}, {lab::NicRom::none, "none"}});
};
template <>
struct EnumNames<lab::NicModel> {
  static constexpr std::string_view kind = "NIC model";
  static constexpr auto values = std::to_array<std::pair<lab::NicModel, std::string_view>>(
      {{lab::NicModel::virtio, "virtio"}, {lab::NicModel::e1000, "e1000"}, {lab::NicModel::e1000e, "e1000e"}});
};
template <>
struct EnumNames<lab::NetworkBoot> {
  static constexpr std::string_view kind = "network boot";
  static constexpr auto values = std::to_array<std::pair<lab::NetworkBoot, std::string_view>>(
      {{lab::NetworkBoot::pxe, "pxe"}, {lab::NetworkBoot::http, "http"}});
};
template <>
struct EnumNames<lab::Accelerator> {
  static constexpr std::string_view kind = "accelerator";
  static constexpr auto values = std::to_array<std::pair<lab::Accelerator, std::string_view>>(
      {{lab::Accelerator::kvm, "kvm"}, {lab::Accelerator::tcg, "tcg"}});
};
}  // namespace bridgehead::model
