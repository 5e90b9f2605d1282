// PlanBasis: all that a plan is made from, as a value and as text, so that it can be made again: on another machine, by
// a test, in a year. Pure.
#pragma once

#include <string>
#include <string_view>

#include "model/planning.h"
#include "scheduler/cluster.h"
#include "scheduler/plan.h"
#include "scheduler/policy.h"

namespace bridgehead::reconcile {

struct PlanBasis {
  scheduler::Cluster cluster;
  scheduler::Policy policy;
  Timestamp now{};
  std::uint64_t seed = 0;
};

// JSON, compact; doubles in full, so that reading it back gives the same value.
std::string encode_basis(const PlanBasis& basis);
// data_corrupt for anything else than what encode_basis wrote.
Result<PlanBasis> decode_basis(std::string_view text);

// As people and operations need it: with ids and names.
model::Plan plan_record(const scheduler::Plan& plan, const PlanBasis& basis);

// What is no longer as the plan takes it to be, of the guests, hosts, rules and policy that it is about; "" = nothing.
std::string what_changed(const model::Plan& plan, const PlanBasis& then, const PlanBasis& now);

}  // namespace bridgehead::reconcile
