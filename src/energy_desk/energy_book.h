// EnergyBook: the ledger in the store: hours of two days, days of two months, months of two years. Each period is one
// value, so an interval is in it wholly or not at all. Not thread-safe; errors are the store's, and data_corrupt.
#pragma once

#include <vector>

#include "energy_desk/periods.h"
#include "state/state_store.h"

namespace bridgehead::energy_desk {

class EnergyBook {
 public:
  explicit EnergyBook(state::StateStore& store) : store_(store) {}

  // An empty one where none is kept.
  Result<model::EnergyPeriod> find(const model::EnergyPeriodId& id) const;
  Status keep(const model::EnergyPeriod& period);
  // Makes days of hours and months of days that are older than they are kept, and drops older months.
  Status roll_up(Timestamp now);
  // Those that end after `from`, oldest first.
  Result<std::vector<model::EnergyPeriod>> since(Timestamp from) const;

 private:
  state::StateStore& store_;
};

}  // namespace bridgehead::energy_desk
