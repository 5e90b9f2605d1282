// Policy: what the cluster's owner wants of the planner. A value; read by plan() and by what runs a plan.
#pragma once

#include <cstdint>

#include "base/clock.h"
#include "scheduler/cluster.h"

namespace bridgehead::scheduler {

// A guest that was moved so often within a day is moved again only for rules, limits and evacuation.
inline constexpr std::size_t kMostMovesInADay = 2;

using Mode = model::PlanMode;
using model::Evenness;

struct Policy {
  Mode repair = Mode::automatic;  // rules and limits that are violated, hosts to be emptied, guests to be placed
  Mode balance = Mode::propose;
  Mode consolidate = Mode::propose;  // gather guests on fewer hosts
  Mode power = Mode::off;            // switch hosts off that are empty, and on in time
  bool power_at_night_only = false;
  int night_from = 22;  // hour of the day, UTC
  int night_to = 6;

  Evenness evenness = Evenness::deviation;
  Amounts weights{1, 1, 1, 1, 1, 1};
  double ceiling = 0.85;  // of a host's limit of *_used resources up to which guests are gathered or moved there
  // What one move of an idle guest must win of the objective at least, in parts of one host: in a cluster of n hosts,
  // 1/n of it. 0.02: a move must even out a host by about two per cent. A guest costs `move_cost` times as much, and as
  // much again for each minute that its copy takes on the link and for each second of its pause.
  double move_price = 0.02;
  std::uint32_t most_moves = 0xffffffff;  // of one plan; where it cuts a plan short, the next one goes on
  std::uint32_t failures = 1;             // so many hosts may fail, and all guests still have room (N+k)
  Seconds horizon{1800};                  // demand of guests is meant up to then
  std::uint32_t moves_per_host = 2;       // at once, in and out together
  double link = 125e6;                    // bytes per second of migration traffic that a host's link is given
  // What can wait isn't planned: only repairs, hosts that are needed are woken, and hosts that get too busy relieved.
  bool urgent_only = false;
  // How long to search on from the first good plan, in changes looked at (one to five million a second): the plan gets
  // better with more. Less than 64 a guest finds nothing, so large clusters want more.
  std::uint64_t effort = 1'000'000;
};

}  // namespace bridgehead::scheduler
