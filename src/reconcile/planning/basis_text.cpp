#include <nlohmann/json.hpp>

#include "model/enum_names.h"
#include "reconcile/planning/basis.h"

namespace bridgehead::scheduler {
namespace {

// Durations and enumerations as the numbers that they are: this text is for programs.
double plain(Seconds value) { return value.count(); }

}  // namespace

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(MoveUnderWay, guest, to)

void to_json(nlohmann::json& json, const PowerModel& value) {
  json = {value.idle_watts,  value.busy_watts,           value.asleep_watts,
          plain(value.wake), plain(value.least_time_on), value.can_be_switched};
}
void from_json(const nlohmann::json& json, PowerModel& value) {
  value.idle_watts = json.at(0);
  value.busy_watts = json.at(1);
  value.asleep_watts = json.at(2);
  value.wake = Seconds(json.at(3).get<double>());
  value.least_time_on = Seconds(json.at(4).get<double>());
  value.can_be_switched = json.at(5);
}

void to_json(nlohmann::json& json, const Host& value) {
  json = {{"id", value.id},
          {"name", value.name},
          {"limits", value.limits},
          {"ready", value.ready},
          {"open", value.open},
          {"evacuate", value.evacuate},
          {"why_not", value.why_not},
          {"cell_cpus", value.cell_cpus},
          {"cell_memory", value.cell_memory},
          {"pools", value.pools},
          {"networks", value.networks},
          {"cpu_features", value.cpu_features},
          {"rack", value.rack},
          {"power_feed", value.power_feed},
          {"power", static_cast<int>(value.power)},
          {"power_since", value.power_since.time_since_epoch().count()},
          {"power_model", value.power_model}};
}
void from_json(const nlohmann::json& json, Host& value) {
  json.at("id").get_to(value.id);
  json.at("name").get_to(value.name);
  json.at("limits").get_to(value.limits);
  json.at("ready").get_to(value.ready);
  json.at("open").get_to(value.open);
  json.at("evacuate").get_to(value.evacuate);
  json.at("why_not").get_to(value.why_not);
  json.at("cell_cpus").get_to(value.cell_cpus);
  json.at("cell_memory").get_to(value.cell_memory);
  json.at("pools").get_to(value.pools);
  json.at("networks").get_to(value.networks);
  json.at("cpu_features").get_to(value.cpu_features);
  json.at("rack").get_to(value.rack);
  json.at("power_feed").get_to(value.power_feed);
  value.power = static_cast<HostPower>(json.at("power").get<int>());
  value.power_since = Timestamp(std::chrono::milliseconds(json.at("power_since").get<std::int64_t>()));
  json.at("power_model").get_to(value.power_model);
}

// A list without names: there are many, and most fields of most guests are the same.
void to_json(nlohmann::json& json, const Guest& value) {
  json = {value.id,
          value.name,
          value.host,
          value.demand,
          value.priority,
          value.may_move,
          value.why_not,
          value.memory_to_copy,
          plain(value.downtime),
          value.move_cost,
          value.numa_cpus,
          value.pools,
          value.networks,
          value.cpu_features,
          value.starts_after,
          value.moves_of_a_day};
}
void from_json(const nlohmann::json& json, Guest& value) {
  json.at(0).get_to(value.id);
  json.at(1).get_to(value.name);
  json.at(2).get_to(value.host);
  json.at(3).get_to(value.demand);
  json.at(4).get_to(value.priority);
  json.at(5).get_to(value.may_move);
  json.at(6).get_to(value.why_not);
  json.at(7).get_to(value.memory_to_copy);
  value.downtime = Seconds(json.at(8).get<double>());
  json.at(9).get_to(value.move_cost);
  json.at(10).get_to(value.numa_cpus);
  json.at(11).get_to(value.pools);
  json.at(12).get_to(value.networks);
  json.at(13).get_to(value.cpu_features);
  json.at(14).get_to(value.starts_after);
  json.at(15).get_to(value.moves_of_a_day);
}

void to_json(nlohmann::json& json, const Rule& value) {
  json = {{"name", value.name},
          {"kind", static_cast<int>(value.kind)},
          {"domain", static_cast<int>(value.domain)},
          {"hard", value.hard},
          {"weight", value.weight},
          {"guests", value.guests},
          {"hosts", value.hosts}};
}
void from_json(const nlohmann::json& json, Rule& value) {
  json.at("name").get_to(value.name);
  value.kind = static_cast<RuleKind>(json.at("kind").get<int>());
  value.domain = static_cast<Domain>(json.at("domain").get<int>());
  json.at("hard").get_to(value.hard);
  json.at("weight").get_to(value.weight);
  json.at("guests").get_to(value.guests);
  json.at("hosts").get_to(value.hosts);
}

void to_json(nlohmann::json& json, const Cluster& value) {
  json = {{"hosts", value.hosts},
          {"guests", value.guests},
          {"rules", value.rules},
          {"moves", value.moves},
          {"pools", value.pools},
          {"networks", value.networks},
          {"cpu_features", value.cpu_features},
          {"forecast_step", plain(value.forecast_step)},
          {"forecast", value.forecast}};
}
void from_json(const nlohmann::json& json, Cluster& value) {
  json.at("hosts").get_to(value.hosts);
  json.at("guests").get_to(value.guests);
  json.at("rules").get_to(value.rules);
  json.at("moves").get_to(value.moves);
  json.at("pools").get_to(value.pools);
  json.at("networks").get_to(value.networks);
  json.at("cpu_features").get_to(value.cpu_features);
  value.forecast_step = Seconds(json.at("forecast_step").get<double>());
  json.at("forecast").get_to(value.forecast);
}

void to_json(nlohmann::json& json, const Policy& value) {
  json = {{"repair", model::to_string(value.repair)},
          {"balance", model::to_string(value.balance)},
          {"consolidate", model::to_string(value.consolidate)},
          {"power", model::to_string(value.power)},
          {"power_at_night_only", value.power_at_night_only},
          {"night_from", value.night_from},
          {"night_to", value.night_to},
          {"evenness", model::to_string(value.evenness)},
          {"weights", value.weights},
          {"ceiling", value.ceiling},
          {"move_price", value.move_price},
          {"most_moves", value.most_moves},
          {"failures", value.failures},
          {"horizon", plain(value.horizon)},
          {"moves_per_host", value.moves_per_host},
          {"link", value.link},
          {"urgent_only", value.urgent_only},
          {"effort", value.effort}};
}
void from_json(const nlohmann::json& json, Policy& value) {
  const auto choice = [&](const char* name, auto& out) {
    const auto parsed = model::parse_enum<std::decay_t<decltype(out)>>(json.at(name).get_ref<const std::string&>());
    if (!parsed) throw std::invalid_argument(parsed.error().message);
    out = *parsed;
  };
  choice("repair", value.repair);
  choice("balance", value.balance);
  choice("consolidate", value.consolidate);
  choice("power", value.power);
  choice("evenness", value.evenness);
  json.at("power_at_night_only").get_to(value.power_at_night_only);
  json.at("night_from").get_to(value.night_from);
  json.at("night_to").get_to(value.night_to);
  json.at("weights").get_to(value.weights);
  json.at("ceiling").get_to(value.ceiling);
  json.at("move_price").get_to(value.move_price);
  json.at("most_moves").get_to(value.most_moves);
  json.at("failures").get_to(value.failures);
  value.horizon = Seconds(json.at("horizon").get<double>());
  json.at("moves_per_host").get_to(value.moves_per_host);
  json.at("link").get_to(value.link);
  json.at("urgent_only").get_to(value.urgent_only);
  json.at("effort").get_to(value.effort);
}

}  // namespace bridgehead::scheduler

namespace bridgehead::reconcile {

std::string encode_basis(const PlanBasis& basis) {
  const nlohmann::json json = {
      {"cluster", basis.cluster}, {"policy", basis.policy}, {"now", to_rfc3339(basis.now)}, {"seed", basis.seed}};
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

Result<PlanBasis> decode_basis(std::string_view text) {
  try {
    const auto json = nlohmann::json::parse(text);
    PlanBasis basis;
    json.at("cluster").get_to(basis.cluster);
    json.at("policy").get_to(basis.policy);
    const auto now = parse_rfc3339(json.at("now").get_ref<const std::string&>());
    if (!now) return forward(now);
    basis.now = *now;
    json.at("seed").get_to(basis.seed);
    return basis;
  } catch (const std::exception& error) {
    return fail(ErrorCode::data_corrupt, "what the plan was made from can't be read: {}", error.what());
  }
}

}  // namespace bridgehead::reconcile
