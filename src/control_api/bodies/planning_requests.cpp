#include "control_api/bodies/read_body.h"
#include "control_api/bodies/requests.h"

namespace bridgehead::control_api {

Result<reconcile::AddRule> read_add_rule(std::string_view body) {
  return read_body<reconcile::AddRule>(body, [](ObjectReader& reader, reconcile::AddRule& request) {
    reader.text("name", request.name);
    reader.require("name");
    reader.choice("kind", request.kind);
    reader.require("kind");
    reader.choice("domain", request.domain);
    reader.flag("hard", request.hard);
    reader.real("weight", request.weight);
    reader.texts("vms", request.vms);
    reader.labels("labels", request.labels);
    reader.texts("nodes", request.nodes);
  });
}

Result<reconcile::PolicyChange> read_policy_change(std::string_view body) {
  return read_body<reconcile::PolicyChange>(body, [](ObjectReader& reader, reconcile::PolicyChange& change) {
    reader.choice("repair", change.repair);
    reader.choice("balance", change.balance);
    reader.choice("consolidate", change.consolidate);
    reader.choice("power", change.power);
    reader.flag("power_at_night_only", change.power_at_night_only);
    reader.number("night_from", change.night_from);
    reader.number("night_to", change.night_to);
    reader.choice("evenness", change.evenness);
    reader.real("ceiling", change.ceiling);
    reader.real("move_price", change.move_price);
    reader.number("most_moves", change.most_moves);
    reader.number("failures", change.failures);
    reader.number("moves_per_node", change.moves_per_node);
    reader.number("horizon", change.horizon_seconds);
    reader.number("interval", change.interval_seconds);
    reader.number("sustained", change.sustained_seconds);
    reader.flag("restart_against_rules", change.restart_against_rules);
  });
}

Result<reconcile::SetPowerProfile> read_set_power_profile(std::string_view body) {
  return read_body<reconcile::SetPowerProfile>(body, [](ObjectReader& reader, reconcile::SetPowerProfile& request) {
    reader.real("idle_watts", request.idle_watts);
    reader.require("idle_watts");
    reader.real("busy_watts", request.busy_watts);
    reader.require("busy_watts");
    reader.real("off_watts", request.off_watts);
  });
}

Result<reconcile::WhatIf> read_what_if(std::string_view body) {
  return read_body<reconcile::WhatIf>(body, [](ObjectReader& reader, reconcile::WhatIf& request) {
    reader.texts("remove_nodes", request.remove_nodes);
    reader.objects("add_nodes", [&](ObjectReader& one) {
      auto& node = request.add_nodes.emplace_back();
      one.number("count", node.count);
      one.number("cpus", node.cpus);
      one.require("cpus");
      one.size("memory", node.memory);
      one.require("memory");
    });
    reader.objects(
        "add_vms",
        [&](ObjectReader& one) {
          auto& vm = request.add_vms.emplace_back();
          one.text("name", vm.name);
          one.number("cpus", vm.cpus);
          one.size("memory", vm.memory);
          one.require("memory");
          one.real("cpu_use", vm.cpu_use);
        },
        kLongestTrace);
  });
}

}  // namespace bridgehead::control_api
