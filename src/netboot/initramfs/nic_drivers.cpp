// Which NIC drivers there are in servers, by name.
#include <algorithm>

#include "netboot/initramfs/initramfs.h"
#include "netboot/initramfs/lines.h"

namespace bridgehead::netboot {

// What each costs is measured in README.md.
const std::vector<std::string>& server_drivers() {
  static const std::vector<std::string> drivers{"virtio_net", "vmxnet3",  // virtual machines, for labs
                                                "e1000",      "e1000e",  "igb",     "igc", "ixgbe", "i40e",  // Intel
                                                "tg3",        "bnx2",    "bnxt_en",                          // Broadcom
                                                "mlx5_core",  "be2net",  "enic",  // NVIDIA, Emulex, Cisco
                                                "r8169"};                         // boards with one on them
  return drivers;
}

const std::vector<std::string>& other_server_drivers() {
  static const std::vector<std::string> drivers{
      "ice",       "bnx2x", "qede",   "mlx4_en",      "cxgb4", "sfc",  // fat
      "atlantic",  "ionic",                                            // rare
      "hv_netvsc", "ena",   "gve",    "xen_netfront",  // virtual machines that seldom boot over the network
      "igbvf",     "iavf",  "ixgbevf"};
  return drivers;
}

Result<NicDrivers> parse_nic_drivers(std::string_view text) {
  NicDrivers drivers;
  drivers.kind = NicDrivers::Kind::named;
  for (const auto word : split(text, ',')) {
    if (word == "servers") {
      drivers.kind = NicDrivers::Kind::servers;
    } else if (word == "all") {
      drivers.kind = NicDrivers::Kind::all;
    } else if (word.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") !=
               std::string_view::npos) {
      return fail_with_hint(
          ErrorCode::invalid_argument, fmt::format("'{}' is not the name of a NIC driver", word),
          "Give 'servers', 'all', or drivers as lsmod names them, with commas between: 'servers,mlx5_core'.");
    } else {
      drivers.names.emplace_back(word);
    }
  }
  if (drivers.kind == NicDrivers::Kind::named && drivers.names.empty()) {
    return fail_with_hint(ErrorCode::invalid_argument, "no NIC driver is named",
                          "Give 'servers', 'all', or drivers as lsmod names them, with commas between.");
  }
  return drivers;
}

}  // namespace bridgehead::netboot
