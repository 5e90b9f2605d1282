// UseHistory: what guests and nodes have used, in memory only: the newest samples, CPU means and peaks of each five
// minutes of a day, and means of each hour of two weeks; of nodes all of each five minutes of a day. 4.5 KB a guest, 3
// KB a node. Thread-safe; nothing here fails. A guest that nothing was heard of is unknown; its history outlives its
// moves.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "base/clock.h"
#include "model/use.h"

namespace bridgehead::reconcile {

class UseHistory {
 public:
  static constexpr std::chrono::seconds kStep{300};
  static constexpr std::size_t kSteps = 288;  // a day
  static constexpr std::size_t kHours = 336;  // two weeks: then weekends can be told from workdays

  UseHistory();
  ~UseHistory();

  // `memory_taken`: of the node, by its last heartbeat.
  void note(const model::NodeId& node, const model::NodeUse& use, Bytes memory_taken, Timestamp now);
  // Guests that nothing was heard of for a week are forgotten.
  void trim(Timestamp now);

  // None when it is older than a minute or so: the guest is off, or its node doesn't tell.
  std::optional<model::GuestUse> newest(const model::VmId& vm, Timestamp now) const;
  std::optional<double> node_cpus(const model::NodeId& node, Timestamp now) const;
  // What its CPUs count for themselves and the memory; none where they don't.
  std::optional<double> node_rapl_watts(const model::NodeId& node, Timestamp now) const;

  struct Cpu {
    double mean = 0;
    double peak = 0;
  };
  struct Use {
    Cpu cpus;
    double memory = 0;   // bytes
    double storage = 0;  // bytes per second
    double network = 0;  // 0 in hours() of a guest
  };
  // Of steps or hours that lie on the clock (a step begins at a multiple of kStep), oldest first, up to the one before
  // now's; none where nothing was measured.
  std::vector<std::optional<Cpu>> steps(const model::VmId& vm, Timestamp now, std::size_t count) const;
  std::vector<std::optional<Use>> hours(const model::VmId& vm, Timestamp now, std::size_t count) const;
  // The same of a node: memory is what is taken of it, storage and network are its guests'.
  std::vector<std::optional<Use>> steps(const model::NodeId& node, Timestamp now, std::size_t count) const;
  // Mean over the last `span`: of CPUs to the step where it is longer than one, of all else over a step at most. None
  // when nothing was measured in it.
  std::optional<Use> recent(const model::VmId& vm, Timestamp now, std::chrono::seconds span) const;

  std::size_t guests() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace bridgehead::reconcile
