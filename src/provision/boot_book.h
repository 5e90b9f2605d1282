// BootBook: which machine is which node, and the story of each node's newest boot. Everything it learns is in the
// inventory before it returns, so a manager that is killed goes on where it was. Thread-safe.
// Errors: not_found (no such boot), permission_denied (refused machine, another machine's boot), resource_exhausted
// (too many machines that nobody lets in), those of the store.
#pragma once

#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/clock.h"
#include "base/random.h"
#include "model/netboot.h"
#include "model/node.h"
#include "netboot/dnsmasq.h"
#include "state/inventory.h"

namespace bridgehead::provision {

// What a machine says of itself; any part may be missing or wrong.
struct MachineIdentity {
  std::string mac;  // lower case with colons
  std::string uuid;
  std::string serial;
};

class BootBook {
 public:
  BootBook(state::Inventory& inventory, const Clock& clock, RandomSource& random);

  // By MAC. Null for a machine that nobody knows.
  state::Record<model::Node> find(std::string_view mac);
  // Makes the node that waits for approval (or is approved and gets the newest image, where the settings say so).
  // `address`: what it has now; reserved for it. A known MAC gives the known node.
  Result<state::Record<model::Node>> discover(const MachineIdentity& machine, const std::string& address);

  // A new boot of this node from `image`. Returns its token; the one before is worth nothing any more.
  Result<std::string> begin(const model::NodeId& node, const std::string& image, bool discovery,
                            model::RootTransport root);
  // Its root after all: the plan follows the profile as it is now, not as it was at the loader's script.
  Status set_root(const model::NodeId& node, model::RootTransport root);
  // The boot that this token is of; null = none.
  state::Record<model::Boot> boot_of(std::string_view token);

  // A machine's firmware or loader got an address: opens a new story when the last one is over, or is its beginning if
  // that has none (dnsmasq's log may reach us after the loader's question). While nobody knows the machine, or in
  // mid-boot, it is also remembered for the moment when the machine asks for its script. What else asks by DHCP (a node
  // that renews its lease, a system on the machine's disk) is no boot.
  Status got_address(const std::string& mac, const std::string& address, netboot::Asker asker);
  // What the manager saw itself. `bytes`: what the node has taken, with the step `ready`.
  Status note(const model::NodeId& node, model::BootStep step, const model::BootBytes& bytes = {});
  // What the machine tells; `age`: how long ago it was, where the manager was away meanwhile.
  Status told(const model::NodeId& node, model::BootStep step, const std::string& message,
              std::chrono::milliseconds age);
  Status add_log(const model::NodeId& node, std::string_view text);
  Status set_hardware(const model::NodeId& node, const model::Hardware& hardware);

  // A token by which this node's agent joins, once; earlier ones of this node end.
  Result<std::string> make_join_token(const model::NodeId& node, const std::string& agent_endpoint,
                                      const std::string& ca_fingerprint);

 private:
  Status change_boot(const model::NodeId& node, const std::function<void(model::Boot&)>& change,
                     const model::BootEvent* told);
  Result<state::Record<model::Node>> give_newest_image(const state::Record<model::Node>& node);
  std::optional<netboot::Asker> remember(const std::string& mac, const model::BootEvent& event, netboot::Asker asker,
                                         bool keep);
  Status check_room() const;
  std::string free_address(const std::string& wanted) const;

  state::Inventory& inventory_;
  const Clock& clock_;
  RandomSource& random_;
  std::mutex mutex_;  // guards the indexes, and makes changes of boots take turns
  std::unordered_map<std::string, model::NodeId> by_mac_;
  std::unordered_map<std::string, model::NodeId> by_token_;  // by its hash
  // By MAC, until the script is asked for: the address with which the boot began, and who has asked last.
  struct Asked {
    model::BootEvent first;
    netboot::Asker asker = netboot::Asker::other;
  };
  std::unordered_map<std::string, Asked> asked_;
};

// Whether this boot is over: its machine may start another one.
bool is_over(const model::Boot& boot, Timestamp now);

}  // namespace bridgehead::provision
