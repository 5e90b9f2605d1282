#include "cli/commands/planning_flags.h"

namespace bridgehead::cli {

void PlanningFlags::add_to(CLI::App& command) {
  command
      .add_option("--priority", priority,
                  "Placed, evacuated and started after a node's death before those with less: low (-100), normal (0, "
                  "default), high (100) or a number")
      ->transform(CLI::Transformer(std::map<std::string, int>{{"low", -100}, {"normal", 0}, {"high", 100}}));
  command.add_option("--move-cost", move_cost, "What a move of it costs, in idle guests' moves (default 1)");
  auto* may = command.add_flag("--may-move", may_move, "The planner may move it (default)");
  command.add_flag("--no-move", no_move, "The planner never moves it")->excludes(may);
}

void PlanningFlags::put(nlohmann::json& body) const {
  if (priority) body["priority"] = *priority;
  if (move_cost) body["move_cost"] = *move_cost;
  if (may_move || no_move) body["may_move"] = may_move;
}

}  // namespace bridgehead::cli
