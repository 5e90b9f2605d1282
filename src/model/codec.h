// The one codec of all typed records: for the state store, the agent stream, the agent's journal and the netboot
// helper. encode gives {"kind":"vm","version":1,"data":{...}}; decode checks the kind, migrates older versions and
// refuses newer ones. Stateless, thread-safe. Errors: data_corrupt for anything that isn't what encode writes, naming
// what is wrong.
#pragma once

#include <string>
#include <string_view>

#include "model/json.h"

namespace bridgehead::model {

// Kind and current version of each record; raise the version with a migration in codec.cpp when its meaning changes.
// (A new field with a default needs no new version.)
template <typename T>
struct RecordTraits;

#define BRIDGEHEAD_RECORD(Type, Kind, Version)                 \
  template <>                                                  \
  struct RecordTraits<Type> {                                  \
    static constexpr std::string_view kind = Kind;             \
    static constexpr int version = Version;                    \
  };                                                           \
  extern template Result<Type> decode<Type>(std::string_view); \
  extern template std::string encode<Type>(const Type&)

template <typename T>
std::string encode(const T& value);

template <typename T>
Result<T> decode(std::string_view text);

BRIDGEHEAD_RECORD(Node, "node", 1);
BRIDGEHEAD_RECORD(NodeImage, "node_image", 1);
BRIDGEHEAD_RECORD(Profile, "profile", 1);
BRIDGEHEAD_RECORD(Boot, "boot", 1);
BRIDGEHEAD_RECORD(NetbootSettings, "netboot_settings", 1);
BRIDGEHEAD_RECORD(Bmc, "bmc", 1);
BRIDGEHEAD_RECORD(Rule, "rule", 1);
BRIDGEHEAD_RECORD(PlanningPolicy, "policy", 1);
BRIDGEHEAD_RECORD(Plan, "plan", 1);
BRIDGEHEAD_RECORD(PlanInput, "plan_input", 1);
BRIDGEHEAD_RECORD(Benchmark, "benchmark", 1);
BRIDGEHEAD_RECORD(AvailabilityState, "availability", 1);
BRIDGEHEAD_RECORD(EnergyPeriod, "energy_period", 1);
BRIDGEHEAD_RECORD(PowerProfile, "power_profile", 1);
BRIDGEHEAD_RECORD(Alert, "alert", 1);
BRIDGEHEAD_RECORD(Webhook, "webhook", 1);
BRIDGEHEAD_RECORD(Pool, "pool", 1);
BRIDGEHEAD_RECORD(Image, "image", 1);
BRIDGEHEAD_RECORD(PoolSurvey, "pool_survey", 1);
BRIDGEHEAD_RECORD(Network, "network", 1);
BRIDGEHEAD_RECORD(Vm, "vm", 1);
BRIDGEHEAD_RECORD(VmStatus, "vm_status", 1);
BRIDGEHEAD_RECORD(Operation, "operation", 1);
BRIDGEHEAD_RECORD(Token, "token", 1);
BRIDGEHEAD_RECORD(JoinToken, "join_token", 1);
BRIDGEHEAD_RECORD(Event, "event", 1);
BRIDGEHEAD_RECORD(Assignment, "assignment", 1);
BRIDGEHEAD_RECORD(AssignmentReport, "assignment_report", 1);
BRIDGEHEAD_RECORD(ObservedVm, "observed_vm", 1);
BRIDGEHEAD_RECORD(NodeReport, "node_report", 1);
BRIDGEHEAD_RECORD(NodeLoad, "node_load", 1);
BRIDGEHEAD_RECORD(NodeUse, "node_use", 1);
BRIDGEHEAD_RECORD(ServingPlan, "serving_plan", 1);
BRIDGEHEAD_RECORD(ServingStatus, "serving_status", 1);
BRIDGEHEAD_RECORD(AddressGiven, "address_given", 1);
BRIDGEHEAD_RECORD(ForeignDhcpServers, "foreign_dhcp_servers", 1);
BRIDGEHEAD_RECORD(NodeImageOrder, "node_image_order", 1);
BRIDGEHEAD_RECORD(NodeImageComparison, "node_image_comparison", 1);
BRIDGEHEAD_RECORD(NodeImageDifference, "node_image_difference", 1);

#undef BRIDGEHEAD_RECORD

}  // namespace bridgehead::model
