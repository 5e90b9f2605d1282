// The seam between the API and what adds up energy (energy_desk). Implementations are thread-safe.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "model/energy.h"

namespace bridgehead::reconcile {

struct EnergyOfDay {
  std::string day;        // "2026-11-29"; "2026-09" where only months are left
  model::NodeEnergy all;  // nodes; without a name
};

// A plan that switched nodes, and what it said about that.
struct PlanPromise {
  model::PlanId id;
  std::string name;
  Timestamp finished{};
  double watts_before = 0;
  double watts_after = 0;
  std::vector<std::string> off;  // names of nodes
  std::vector<std::string> on;
};

struct EnergyReport {
  model::TimeSpan span;  // what the figures are of: whole hours, of times long ago whole days or months
  std::map<model::NodeId, model::NodeEnergy> nodes;
  std::map<model::VmId, model::GuestEnergy> guests;
  std::vector<EnergyOfDay> days;      // oldest first
  std::vector<model::TimeSpan> away;  // when nobody counted: what was used then is unknown
  std::vector<PlanPromise> plans;     // that ended in it, oldest first
};

class EnergyPort {
 public:
  virtual ~EnergyPort() = default;
  virtual Result<EnergyReport> report(Timestamp from) const = 0;
  // What the node's BMC has said within the last minutes that it takes.
  virtual std::optional<double> watts_by_bmc(const model::NodeId& node) const = 0;
};

}  // namespace bridgehead::reconcile
