// SecretCourier: brings nodes the secret files that they should have (reconcile::secret_files_for_node), whole sets
// over their own streams. Level-triggered: a set has a digest, agents report the one they have, and a set is sent when
// it isn't what the node has or was last sent on this stream. The only place where a secret is opened. Not thread-safe:
// belongs to one worker. Fails by logging; the node then isn't ready and says so.
#pragma once

#include <string>
#include <unordered_map>

#include "agent_gateway/session_registry.h"
#include "pki/secret_box.h"
#include "state/inventory.h"

namespace bridgehead::agent_gateway {

class SecretCourier {
 public:
  // `box` may be null: then there are no secrets.
  SecretCourier(const state::Inventory& inventory, const pki::SecretBox* box, const SessionRegistry& sessions)
      : inventory_(inventory), box_(box), sessions_(sessions) {}

  // The node says on this stream what it has.
  void reported(const model::NodeId& node, std::uint64_t session, const std::string& digest);
  // What the node should have may have changed.
  void look(const model::NodeId& node);

 private:
  struct Told {
    std::uint64_t session = 0;
    std::string digest;  // what it reported; after that, what it was sent on this stream
  };

  const state::Inventory& inventory_;
  const pki::SecretBox* const box_;
  const SessionRegistry& sessions_;
  std::unordered_map<model::NodeId, Told> told_;
};

}  // namespace bridgehead::agent_gateway
