// How far an operation node.maintain is: what its parameters say, as a value. Pure; nothing fails: only this program
// writes them, and what an older one left out has its default.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "state/inventory.h"

namespace bridgehead::reconcile::operations {

// In this order; the last two only where an image didn't work. The machine is let go of by the end of the operation.
enum class MaintenanceStage { drain, power, boot, back_power, back_boot };

struct MaintenanceState {
  model::AfterDrain then = model::AfterDrain::reboot;
  MaintenanceStage stage = MaintenanceStage::drain;
  std::string image;                            // update: what it is to boot
  std::string before;                           // and what it ran
  std::chrono::seconds boot_deadline{15 * 60};  // from power to all that is checked; after it the image is bad
  bool opens = false;                           // it took guests before, and is to take them again
  bool kvm = false;                             // its agent's trial guest ran on KVM before
  std::vector<std::string> pools;               // ids of those that were ready there before
  model::OperationId power;                     // the operation that switches it now
  Timestamp power_asked{};                      // when that was made
  Timestamp since{};                            // when the machine was last known to have power again
  std::string stuck;                            // why the planner finds no place for guests of it; "" = it does
  Timestamp stuck_since{};
  std::string failure;  // why it goes back to `before`

  bool operator==(const MaintenanceState&) const = default;
};

MaintenanceState maintenance_of(const model::Operation& operation);
void put_maintenance(model::Operation& operation, const MaintenanceState& state);

// What it is for, for people: "be rebooted".
std::string purpose_of(const MaintenanceState& state);

// Of an open node.maintain: it waits for its guests to leave, and can still be cancelled.
bool is_draining(const model::Operation& operation);
// The open one of this node; null = none.
state::Record<model::Operation> maintenance_on(const state::Inventory& inventory, const model::NodeId& node);

}  // namespace bridgehead::reconcile::operations
