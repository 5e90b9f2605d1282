// One change that a user may want to see. Written in the same transaction as the change itself.
#pragma once

#include <string>

#include "base/clock.h"

namespace bridgehead::model {

struct Event {
  std::uint64_t revision = 0;  // of the transaction; the SSE event id
  Timestamp time{};
  std::string kind;         // "vm.created", "vm.phase", "operation.finished", "node.joined", ...
  std::string object_kind;  // "vm", "node", ...
  std::string object;       // id; "" where there is no record of it
  std::string object_name;
  std::string message;  // a sentence for a person
  std::string actor;    // token name, node name or "manager"

  bool operator==(const Event&) const = default;
};

}  // namespace bridgehead::model
