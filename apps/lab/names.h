// Names, limits and places that the parts of a lab share. Pure.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "base/result.h"

namespace bridgehead::lab {

inline constexpr std::string_view kQemu = "qemu-system-x86_64";
inline constexpr std::string_view kBridge = "prov0";  // the provisioning network, inside the lab's namespace
inline constexpr std::string_view kUplink = "up0";    // the lab's end of the link to the host
inline constexpr unsigned kMostMachines = 200;
inline constexpr char kDefaultBase[] = "/var/lib/bridgehead/lab";

// Names become interface names (15 characters with their prefix), directories and host names. Errors: invalid_argument.
Status check_name(std::string_view kind, std::string_view name);

// Where a lab keeps its things. Everything is below directory().
class Places {
 public:
  Places(std::filesystem::path base, std::string lab) : base_(std::move(base)), lab_(std::move(lab)) {}

  const std::string& lab() const { return lab_; }
  const std::filesystem::path& base() const { return base_; }
  std::filesystem::path directory() const { return base_ / lab_; }
  std::filesystem::path state_file() const { return directory() / "state.json"; }
  std::filesystem::path manager_state() const { return directory() / "manager"; }
  std::filesystem::path manager_config() const { return directory() / "manager.toml"; }
  std::filesystem::path manager_log() const { return directory() / "manager.log"; }
  std::filesystem::path netboot_directory() const { return directory() / "netboot"; }
  std::filesystem::path token_file() const { return manager_state() / "admin.token"; }
  std::filesystem::path ca_file() const { return manager_state() / "ca" / "ca.pem"; }

  std::filesystem::path machine(std::string_view name) const { return directory() / "machines" / name; }
  std::filesystem::path serial_socket(std::string_view name) const { return machine(name) / "serial.sock"; }
  std::filesystem::path serial_log(std::string_view name) const { return machine(name) / "serial.log"; }
  std::filesystem::path qmp_socket(std::string_view name) const { return machine(name) / "qmp.sock"; }
  std::filesystem::path qemu_log(std::string_view name) const { return machine(name) / "qemu.log"; }
  std::filesystem::path firmware_variables(std::string_view name) const { return machine(name) / "firmware.vars"; }

  // Of a host, which sees the directories in it in place of this machine's.
  std::filesystem::path host(std::string_view name) const { return directory() / "hosts" / name; }
  std::filesystem::path host_log(std::string_view name) const { return host(name) / "log"; }
  std::filesystem::path storage() const { return directory() / "storage"; }

  std::string network_namespace() const { return "bh-" + lab_; }
  std::filesystem::path namespace_file() const { return std::filesystem::path("/run/netns") / network_namespace(); }
  // Of a host or a storage server. The dot is in no lab's name, so that it is never another lab's.
  std::string member_namespace(std::string_view name) const { return network_namespace().append(".").append(name); }
  std::filesystem::path namespace_file_of(std::string_view name) const {
    return std::filesystem::path("/run/netns") / member_namespace(name);
  }
  std::string host_link() const { return "bhl-" + lab_; }
  std::string nat_table() const;  // nftables has no dashes in names

 private:
  std::filesystem::path base_;
  std::string lab_;
};

}  // namespace bridgehead::lab
