#include "provision/reservations.h"

#include "netboot/dnsmasq.h"
#include "reconcile/commands/netboot.h"

namespace bridgehead::provision {

std::vector<model::BootReservation> reservations(const state::Inventory& inventory,
                                                 const model::NetbootSettings& settings) {
  std::vector<model::BootReservation> result;
  for (const auto& node : inventory.all<model::Node>()) {
    const auto& machine = node->value.netboot;
    if (!machine) continue;
    const auto profile = reconcile::find_profile(inventory, machine->profile);
    const bool fits = reconcile::can_be_reserved(settings, machine->address);
    // A name that isn't fit for DHCP reaches the machine by its boot plan.
    const bool named = netboot::check_reserved_hostname(node->value.name).has_value();
    result.push_back({.mac = machine->mac,
                      .address = fits ? machine->address : "",
                      .hostname = named ? node->value.name : "",
                      .method = profile ? profile->method : model::BootMethod::ipxe});
  }
  return result;
}

}  // namespace bridgehead::provision
