#include "provision/reservations.h"

#include <algorithm>

#include "reconcile/commands/netboot.h"

namespace bridgehead::provision {
namespace {

bool is_host_label(std::string_view name) {
  return name.size() <= 63 && std::all_of(name.begin(), name.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
         });
}

}  // namespace

std::vector<model::BootReservation> reservations(const state::Inventory& inventory,
                                                 const model::NetbootSettings& settings) {
  std::vector<model::BootReservation> result;
  for (const auto& node : inventory.all<model::Node>()) {
    const auto& machine = node->value.netboot;
    if (!machine) continue;
    const auto profile = reconcile::find_profile(inventory, machine->profile);
    const bool fits = reconcile::can_be_reserved(settings, machine->address);
    result.push_back({.mac = machine->mac,
                      .address = fits ? machine->address : "",
                      .hostname = is_host_label(node->value.name) ? node->value.name : "",
                      .method = profile ? profile->method : model::BootMethod::ipxe});
  }
  return result;
}

}  // namespace bridgehead::provision
