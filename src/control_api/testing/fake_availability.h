// FakeAvailability: silent nodes and their guests, as the test says it is. Thread-safe: set it before the server
// starts.
#pragma once

#include "reconcile/availability_port.h"

namespace bridgehead::control_api::testing {

class FakeAvailability final : public reconcile::AvailabilityPort {
 public:
  reconcile::AvailabilityStatus status() const override { return now; }
  Status confirm_off(const model::NodeId& node, const std::string& person) override {
    for (auto& one : now.nodes) {
      if (one.node != node || one.question.empty()) continue;
      one.question.clear();
      confirmed_by = person;
      return {};
    }
    return fail(ErrorCode::failed_precondition, "nobody asks whether it is off");
  }
  Status go_on(const std::string&) override {
    if (now.storm_question.empty()) return fail(ErrorCode::failed_precondition, "nothing is held back");
    now.storm_question.clear();
    return {};
  }
  Status trust(const model::NodeId&, const std::string&) override { return {}; }

  reconcile::AvailabilityStatus now;
  std::string confirmed_by;
};

}  // namespace bridgehead::control_api::testing
