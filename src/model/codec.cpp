#include "model/codec.h"

#include <nlohmann/json.hpp>

#include "model/past_boots.h"

namespace bridgehead::model {
namespace {

// Brings `data` of an older version to the current one, a version at a time. None exist yet: every record is at 1.
Status migrate(std::string_view kind, int from, int to, nlohmann::json&) {
  if (from == to) return {};
  if (from > to) {
    return fail_with_hint(ErrorCode::unsupported,
                          fmt::format("a {} of version {} was written by a newer Bridgehead", kind, from),
                          fmt::format("This one knows versions up to {}; install the newer one again.", to));
  }
  return fail(ErrorCode::data_corrupt, "a {} says it has version {}, which never existed", kind, from);
}

// Deeply nested input would overflow the parser's callers' stack when copied; no record comes near this.
constexpr int kDeepest = 32;

}  // namespace

template <typename T>
std::string encode(const T& value) {
  const nlohmann::json json = {{"kind", RecordTraits<T>::kind}, {"version", RecordTraits<T>::version}, {"data", value}};
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

template <typename T>
Result<T> decode(std::string_view text) {
  constexpr auto kind = RecordTraits<T>::kind;
  try {
    bool too_deep = false;
    auto json =
        nlohmann::json::parse(text.begin(), text.end(), [&](int depth, nlohmann::json::parse_event_t, nlohmann::json&) {
          too_deep = too_deep || depth > kDeepest;
          return depth <= kDeepest;
        });
    if (too_deep) return fail(ErrorCode::data_corrupt, "not a {}: nested too deeply", kind);
    if (!json.is_object() || json.value("kind", std::string()) != kind) {
      return fail(ErrorCode::data_corrupt, "not a {} record", kind);
    }
    auto& data = json.at("data");
    if (auto migrated = migrate(kind, json.value("version", 0), RecordTraits<T>::version, data); !migrated) {
      return forward(migrated);
    }
    return data.template get<T>();
  } catch (const std::exception& error) {
    return fail(ErrorCode::data_corrupt, "a {} record can't be read: {}", kind, error.what());
  }
}

#define BRIDGEHEAD_RECORD(Type)                         \
  template Result<Type> decode<Type>(std::string_view); \
  template std::string encode<Type>(const Type&)

BRIDGEHEAD_RECORD(Node);
BRIDGEHEAD_RECORD(NodeImage);
BRIDGEHEAD_RECORD(Profile);
BRIDGEHEAD_RECORD(Boot);
BRIDGEHEAD_RECORD(PastBoots);
BRIDGEHEAD_RECORD(NetbootSettings);
BRIDGEHEAD_RECORD(Bmc);
BRIDGEHEAD_RECORD(Rule);
BRIDGEHEAD_RECORD(PlanningPolicy);
BRIDGEHEAD_RECORD(Plan);
BRIDGEHEAD_RECORD(PlanInput);
BRIDGEHEAD_RECORD(Benchmark);
BRIDGEHEAD_RECORD(AvailabilityState);
BRIDGEHEAD_RECORD(EnergyPeriod);
BRIDGEHEAD_RECORD(Alert);
BRIDGEHEAD_RECORD(Webhook);
BRIDGEHEAD_RECORD(PowerProfile);
BRIDGEHEAD_RECORD(Pool);
BRIDGEHEAD_RECORD(Image);
BRIDGEHEAD_RECORD(PoolSurvey);
BRIDGEHEAD_RECORD(Network);
BRIDGEHEAD_RECORD(Vm);
BRIDGEHEAD_RECORD(VmStatus);
BRIDGEHEAD_RECORD(Operation);
BRIDGEHEAD_RECORD(Token);
BRIDGEHEAD_RECORD(JoinToken);
BRIDGEHEAD_RECORD(Event);
BRIDGEHEAD_RECORD(Assignment);
BRIDGEHEAD_RECORD(AssignmentReport);
BRIDGEHEAD_RECORD(ObservedVm);
BRIDGEHEAD_RECORD(NodeReport);
BRIDGEHEAD_RECORD(NodeLoad);
BRIDGEHEAD_RECORD(NodeUse);
BRIDGEHEAD_RECORD(ServingPlan);
BRIDGEHEAD_RECORD(ServingStatus);
BRIDGEHEAD_RECORD(AddressGiven);
BRIDGEHEAD_RECORD(ForeignDhcpServers);
BRIDGEHEAD_RECORD(NodeImageOrder);
BRIDGEHEAD_RECORD(NodeImageComparison);
BRIDGEHEAD_RECORD(NodeImageDifference);

}  // namespace bridgehead::model
