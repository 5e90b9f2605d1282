// PoolUse: what guests move to and from each pool now. A guest is measured as a whole: one with several disks counts in
// equal parts where they lie. Made for one answer; nothing here fails.
#pragma once

#include <unordered_map>

#include "control_api/services.h"

namespace bridgehead::control_api {

class PoolUse {
 public:
  explicit PoolUse(const Services& services);
  double storage(const model::PoolId& pool) const;  // bytes per second

 private:
  std::unordered_map<model::PoolId, double> storage_;
};

}  // namespace bridgehead::control_api
