// A rack in a box: making and removing a whole lab. One process at a time works on a lab (LabLock); what it makes is
// written down before it is made, so that kill -9 at any point leaves nothing that the next `up` or `down` can't
// remove.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/command.h"
#include "base/result.h"
#include "lab/lab_manager.h"
#include "lab/lab_state.h"
#include "lab/machine.h"
#include "lab/storage.h"

namespace bridgehead::lab {

enum class AcceleratorWish { automatic, kvm, tcg };

struct UpOptions {
  std::vector<MachineWish> machines;
  std::string subnet;                // "" = a free one
  unsigned hosts = 0;                // need the manager
  std::vector<StorageWish> storage;  // each of another kind
  bool pools = true;                 // they become pools where there is a manager
  unsigned nic_mbit = 200;           // of each host and storage server; 0 = no limit
  Upstream upstream = Upstream::host;
  AcceleratorWish accelerator = AcceleratorWish::automatic;
  bool manager = true;
  bool netboot = true;   // needs the manager
  bool power_on = true;  // the machines, at the end
  NetbootWish boot;
  ManagerFiles files;
};

// One line a step, for people.
using Tell = std::function<void(const std::string&)>;

// A lab that crashed under this name is removed first. If it fails, nothing is left. Errors: already_exists (a lab of
// this name is up), permission_denied, not_found (a program or firmware), resource_exhausted, conflict (subnet).
Result<LabState> bring_up(CommandRunner& runner, const Places& places, const UpOptions& options, const Tell& tell);

// Ends every process, removes every link, namespace and file. Repeatable: what can't be removed is named, and the
// record stays. Errors: not_found.
Status bring_down(CommandRunner& runner, const Places& places, const Tell& tell);

}  // namespace bridgehead::lab

namespace bridgehead::model {
template <>
struct EnumNames<lab::AcceleratorWish> {
  static constexpr std::string_view kind = "accelerator";
  static constexpr auto values =
      std::to_array<std::pair<lab::AcceleratorWish, std::string_view>>({{lab::AcceleratorWish::automatic, "auto"},
                                                                        {lab::AcceleratorWish::kvm, "kvm"},
                                                                        {lab::AcceleratorWish::tcg, "tcg"}});
};
}  // namespace bridgehead::model
