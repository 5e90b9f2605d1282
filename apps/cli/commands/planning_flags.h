// What a guest's owner says about placing and moving it, as flags of vm create and vm set.
#pragma once

#include <optional>

#include "cli/context.h"

namespace bridgehead::cli {

struct PlanningFlags {
  std::optional<int> priority;
  std::optional<double> move_cost;
  bool may_move = false, no_move = false;

  void add_to(CLI::App& command);
  // Into the body of a request; nothing for what wasn't given.
  void put(nlohmann::json& body) const;
};

}  // namespace bridgehead::cli
