// From the NIC to an address on a bridge. Waits for the hardware, builds bond, VLAN and bridge, and goes back to the
// plain NIC where the bridge can't reach the manager. One thread.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "command_line.h"
#include "device_events.h"
#include "dhcp.h"
#include "journal.h"
#include "links.h"
#include "module_loader.h"

namespace bridgehead::init {

struct Uplink {
  std::string interface;           // has the address: the bridge, or after a fallback its port
  std::vector<std::string> below;  // what is under it, the NICs included
  Mac mac;                         // the NIC's
  Lease lease;                     // also where it is static
  bool by_dhcp = false;
  std::optional<Failure> fallback;  // why there is no bridge
};

class Network {
 public:
  Network(Journal& journal, ModuleLoader& loader, const CommandLine& wanted)
      : journal_(journal), loader_(loader), wanted_(wanted) {}

  // Whether the manager is reached through what is up now; called until its deadline.
  using Check = std::function<bool(Deadline)>;
  // Starts from nothing: what an earlier call has built is removed. Waits bh.wait for the hardware, as long again for
  // the manager through the bridge, and once more through the plain NIC.
  Result<Uplink> connect(const Check& manager_answers);

 private:
  using Nics = std::vector<Link>;
  Status open();
  Result<Nics> wait_for_nics(Deadline deadline);
  Result<std::optional<Nics>> usable_nics();
  Status wait_for_carrier(int index, Deadline deadline);
  Result<Link> build_port(const Nics& nics, Uplink& uplink);
  Result<Link> build_bridge(const Link& port, Uplink& uplink);
  Status configure(const Link& link, Uplink& uplink, const Check& check, Deadline deadline);
  Result<Uplink> connect_by(const Nics& nics, const Check& check);
  void tear_down();

  Journal& journal_;
  ModuleLoader& loader_;
  const CommandLine& wanted_;
  std::optional<Links> links_;
  std::optional<DeviceEvents> events_;
  std::vector<int> built_;  // interfaces that we created, the lowest first
  std::vector<int> used_;   // NICs that we brought up
};

}  // namespace bridgehead::init
