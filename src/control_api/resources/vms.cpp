// Guests: listing, making, changing, power.
#include "control_api/bodies/requests.h"
#include "control_api/resources/answers.h"
#include "control_api/resources/handlers.h"
#include "model/enum_names.h"
#include "model/json.h"
#include "reconcile/commands/migration.h"

namespace bridgehead::control_api {
namespace {

struct Filter {
  std::optional<model::NodeId> node;
  std::optional<model::VmPhase> phase;
  std::vector<std::pair<std::string, std::string>> labels;

  bool takes(const model::Vm& vm) const {
    if (node && vm.node != *node) return false;
    if (phase && vm.status.phase != *phase) return false;
    return std::all_of(labels.begin(), labels.end(), [&](const auto& wanted) {
      const auto found = vm.labels.find(wanted.first);
      return found != vm.labels.end() && found->second == wanted.second;
    });
  }
};

Result<Filter> filter_of(const Services& services, const Call& call) {
  Filter filter;
  if (const auto name = call.request().query("node"); name && !name->empty()) {
    const auto node = reconcile::resolve<model::Node>(services.inventory(), *name);
    if (!node) return forward(node);
    filter.node = (*node)->value.id;
  }
  if (const auto text = call.request().query("state")) {
    const auto phase = model::parse_enum<model::VmPhase>(*text);
    if (!phase) {
      return fail_with_hint(ErrorCode::invalid_argument, fmt::format("state: {}", phase.error().message),
                            phase.error().hint);
    }
    filter.phase = *phase;
  }
  for (const auto& [name, value] : call.request().target.query) {
    if (name != "label") continue;
    const auto equals = value.find('=');
    if (equals == std::string::npos || equals == 0) {
      return fail(ErrorCode::invalid_argument, "label: must be KEY=VALUE");
    }
    filter.labels.emplace_back(value.substr(0, equals), value.substr(equals + 1));
  }
  return filter;
}

Result<http::Response> power(Services& services, const Call& call, reconcile::PowerAction action) {
  return change_vm(services, call, read_power(call.body, action),
                   [&](auto& commander, const auto& caller, const auto& request) {
                     return reconcile::power_vm(commander, caller, call.parameters[0], request);
                   });
}

std::optional<model::GuestUse> use_of(const Services& services, const model::Vm& vm) {
  const auto* use = services.commander.use;
  return use == nullptr ? std::nullopt : use->newest(vm.id, services.commander.clock.now());
}

// Adds "use", or null where nothing was measured.
nlohmann::json view_with_use(const Services& services, const model::Vm& vm) {
  auto json = view_of(vm, services.inventory());
  json["use"] = nullptr;
  if (const auto use = use_of(services, vm)) {
    json["use"] = {{"cpus", use->cpus}, {"memory", use->memory}, {"storage", use->storage}, {"network", use->network}};
  }
  return json;
}

}  // namespace

Result<http::Response> list_vms(Services& services, const Call& call) {
  const auto& inventory = services.inventory();
  const auto summary = query_flag(call, "summary", false);
  if (!summary) return forward(summary);
  const auto filter = filter_of(services, call);
  if (!filter) return forward(filter);
  // Read before the list: the list may be newer, never older.
  const auto revision = inventory.revision();
  const auto tag = fmt::format("\"{}\"", revision);
  if (call.request().header("if-none-match") == tag) {
    http::Response unchanged{.status = 304};
    unchanged.with("ETag", tag);
    return unchanged;
  }
  std::unordered_map<model::NodeId, std::string> node_names;
  for (const auto& node : inventory.all<model::Node>()) node_names.emplace(node->value.id, node->value.name);
  auto answer =
      list_answer(revision, inventory.all<model::Vm>(), [&](std::string& out, const state::Record<model::Vm>& record) {
        const auto& vm = record->value;
        if (!filter->takes(vm)) return false;
        if (*summary) {
          const auto name = node_names.find(vm.node);
          const auto use = use_of(services, vm);
          append_summary(out, vm, name == node_names.end() ? std::string_view() : name->second,
                         use ? std::optional(use->cpus) : std::nullopt);
        } else {
          out += dump(view_with_use(services, vm));
        }
        return true;
      });
  answer.with("ETag", tag);
  return answer;
}

Result<http::Response> create_vm(Services& services, const Call& call) {
  const auto request = read_create_vms(call.body, services.commander.random);
  if (!request) return forward(request);
  const auto caller = caller_of(call);
  if (!caller) return forward(caller);
  const auto created = reconcile::create_vms(services.commander, *caller, *request);
  if (!created) return forward(created);
  nlohmann::json body = {{"vms", nlohmann::json::array()}, {"operations", nlohmann::json::array()}};
  for (const auto& vm : created->vms) body["vms"].push_back(view_of(vm, services.inventory()));
  for (const auto& operation : created->operations) body["operations"].push_back(view_of(operation));
  if (caller->dry_run) {
    body["dry_run"] = true;
    return json_answer(200, body);
  }
  auto answer = json_answer(202, body);
  if (created->vms.size() == 1) answer.with("Location", location_of("vms", created->vms.front().id.str()));
  return answer;
}

Result<http::Response> get_vm(Services& services, const Call& call) {
  const auto vm = reconcile::resolve<model::Vm>(services.inventory(), call.parameters[0]);
  if (!vm) return forward(vm);
  return json_answer(200, view_with_use(services, (*vm)->value));
}

Result<http::Response> patch_vm(Services& services, const Call& call) {
  return change_vm(services, call, read_update_vm(call.body, services.commander.random),
                   [&](auto& commander, const auto& caller, const auto& request) {
                     return reconcile::update_vm(commander, caller, call.parameters[0], request);
                   });
}

Result<http::Response> delete_vm_by_name(Services& services, const Call& call) {
  return change_vm(services, call, query_flag(call, "keep_disks", false),
                   [&](auto& commander, const auto& caller, bool keep_disks) {
                     return reconcile::delete_vm(commander, caller, call.parameters[0], keep_disks);
                   });
}

Result<http::Response> migrate_vm_by_name(Services& services, const Call& call) {
  return change_vm(services, call, read_migrate_vm(call.body),
                   [&](auto& commander, const auto& caller, const auto& request) {
                     return reconcile::migrate_vm(commander, caller, call.parameters[0], request);
                   });
}

Result<http::Response> get_vm_migration_checks(Services& services, const Call& call) {
  const reconcile::MigrateVm request{.to = std::string(call.request().query("to").value_or("")),
                                     .pool = std::string(call.request().query("pool").value_or(""))};
  const auto all =
      reconcile::check_migration(services.inventory(), services.commander.limits, call.parameters[0], request);
  if (!all) return forward(all);
  auto items = nlohmann::json::array();
  for (const auto& node : *all) {
    auto checks = nlohmann::json::array();
    for (const auto& one : node.checks) {
      checks.push_back({{"name", one.name}, {"passed", one.passed}, {"message", one.message}, {"fix", one.fix}});
    }
    items.push_back(nlohmann::json{{"node", node.node.str()},
                                   {"node_name", node.node_name},
                                   {"passed", node.passed()},
                                   {"checks", std::move(checks)}});
  }
  return json_answer(200, nlohmann::json{{"items", std::move(items)}});
}

Result<http::Response> start_vm(Services& services, const Call& call) {
  return power(services, call, reconcile::PowerAction::start);
}
Result<http::Response> stop_vm(Services& services, const Call& call) {
  return power(services, call, reconcile::PowerAction::stop);
}
Result<http::Response> reboot_vm(Services& services, const Call& call) {
  return power(services, call, reconcile::PowerAction::reboot);
}
Result<http::Response> pause_vm(Services& services, const Call& call) {
  return power(services, call, reconcile::PowerAction::pause);
}
Result<http::Response> resume_vm(Services& services, const Call& call) {
  return power(services, call, reconcile::PowerAction::resume);
}

}  // namespace bridgehead::control_api
