// RolloutStep: one pass over a rollout, what all kinds of them have in common: the canaries first, all others only when
// these are well, so many at once, each by an operation of its own; the first that fails, and being cancelled, end it
// after those that are under way. Who derives from it says what one node's turn is. Pure; lives for one pass.
#pragma once

#include "reconcile/operations/logic.h"
#include "reconcile/operations/rollout_state.h"

namespace bridgehead::reconcile::operations {

class RolloutStep {
 public:
  RolloutStep(const View& view, Changes& changes, RolloutProgress& progress)
      : view_(view), changes_(changes), progress_(progress) {}
  RolloutStep(const RolloutStep&) = delete;
  RolloutStep& operator=(const RolloutStep&) = delete;

  // Notes what has ended, begins what may, and says whether and how all of it has ended.
  std::optional<Ended> go_on();
  // As people follow it. `phase`: in place of the names of the nodes under way; "" = those.
  Progress progress(const std::string& phase = {}) const;

 protected:
  ~RolloutStep() = default;

  virtual bool is_well(const model::Node& node) const = 0;                 // runs what is rolled out
  virtual std::string goal() const = 0;                                    // what that is, for people
  virtual std::string where_to_look(const RolloutNode& failed) const = 0;  // the hint of a rollout that failed
  // `one` has its turn: `started`, `done` or `failed`, or nothing of these: its turn comes later.
  virtual void begin(RolloutNode& one) = 0;
  virtual std::optional<Ended> all_done() { return Ended{}; }  // none: there is more to wait for

  void started(RolloutNode& one, model::Operation child);
  void done(RolloutNode& one, std::string why);
  void failed(RolloutNode& one, std::string_view why);
  // False: nothing can be begun on its node now, by which `one` has failed, unless the manager has just started.
  bool is_ready(RolloutNode& one, const model::Node& node);
  const View& view() const { return view_; }
  Changes& changes() { return changes_; }

 private:
  void follow();
  void begin_more();
  std::optional<Ended> end();
  bool stopping() const { return view_.operation().cancel_requested || count("failed") != 0; }
  std::size_t count(std::string_view state) const;

  const View& view_;
  Changes& changes_;
  RolloutProgress& progress_;
};

}  // namespace bridgehead::reconcile::operations
