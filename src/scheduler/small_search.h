// SmallSearch: places a few guests that rules tie to each other, exactly: a depth-first search for the assignment with
// the fewest moves, within a number of tries. Rules can be left out, which finds out which of them contradict.
#pragma once

#include <optional>

#include "scheduler/state.h"

namespace bridgehead::scheduler {

class SmallSearch {
 public:
  // The guest with those that hard rules tie to it, directly or over others, so many as are few; movable or not placed.
  static std::vector<GuestIndex> concerned(const State& state, GuestIndex guest);

  SmallSearch(State& state, std::vector<GuestIndex> guests);
  void leave_out(std::uint32_t rule, bool out) { left_out_[rule] = out; }
  // Where each guest goes, in the order given; the state is as before. nullopt = impossible, or given up.
  std::optional<Places> solve(std::size_t most_moves);
  bool gave_up() const { return tries_ >= kTries; }
  std::uint64_t evaluated() const { return tries_; }

 private:
  static constexpr std::uint64_t kTries = 20'000;
  void place_next(std::size_t depth, std::size_t moves);
  bool allowed(GuestIndex guest, HostIndex host) const;
  bool rules_hold(GuestIndex guest, HostIndex host) const;
  std::vector<HostIndex> candidates(GuestIndex guest, HostIndex was) const;

  State& state_;
  const Problem& problem_;
  std::vector<GuestIndex> guests_;
  Places was_;
  std::vector<std::uint8_t> left_out_;
  std::vector<HostIndex> least_used_;
  std::size_t most_moves_ = 0;
  std::size_t best_moves_ = 0;
  std::optional<Places> best_;
  std::uint64_t tries_ = 0;
};

}  // namespace bridgehead::scheduler
