// vm migrate: move running guests to other nodes; or show what would keep them from it.
#include "cli/commands/commands.h"
#include "cli/commands/noun.h"

namespace bridgehead::cli {
namespace {

struct MigrateOptions {
  std::vector<std::string> names;
  std::string to;
  bool check = false;
  ChangeFlags flags;
};

// A row for each check that failed; one for a node where none did.
nlohmann::json rows_of(const nlohmann::json& answer) {
  auto rows = nlohmann::json::array();
  for (const auto& node : answer.at("items")) {
    if (node.at("passed").get<bool>()) {
      rows.push_back({{"node", node.at("node_name")}, {"check", "all"}, {"message", "it can move here"}, {"fix", ""}});
    }
    for (const auto& check : node.at("checks")) {
      if (check.at("passed").get<bool>()) continue;
      rows.push_back({{"node", node.at("node_name")},
                      {"check", check.at("name")},
                      {"message", check.at("message")},
                      {"fix", check.at("fix")}});
    }
  }
  return {{"items", std::move(rows)}};
}

Status show_checks(Context& context, ApiClient& api, const std::string& name, const std::string& to) {
  const auto query = to.empty() ? std::string() : "?to=" + path_segment(to);
  const auto answer = api.get(fmt::format("/vms/{}/migration-checks{}", path_segment(name), query));
  if (!answer) return forward(answer);
  const bool table = context.format() == OutputFormat::table;
  context.print_list(table ? rows_of(*answer) : *answer, {column("NODE", "/node"), column("CHECK", "/check"),
                                                          column("RESULT", "/message"), column("FIX", "/fix")});
  return {};
}

Status migrate(Context& context, ApiClient& api, const MigrateOptions& options) {
  nlohmann::json operations = nlohmann::json::array();
  Status outcome;
  for (const auto& name : options.names) {
    if (options.check) {
      if (auto shown = show_checks(context, api, name, options.to); !shown) return shown;
      continue;
    }
    nlohmann::json body = nlohmann::json::object();
    if (!options.to.empty()) body["to"] = options.to;
    const auto answer = api.post(fmt::format("/vms/{}/migrate{}", path_segment(name), options.flags.query()), body);
    if (!answer) {
      if (outcome) outcome = forward(answer);
    } else if (answer->value("dry_run", false)) {
      if (auto shown = context.follow(*answer, false); !shown) return shown;
    } else {
      operations.push_back(answer->at("operation"));
    }
  }
  if (options.check || options.flags.dry_run) return outcome;
  const auto followed = context.follow({{"operations", operations}}, options.flags.wait);
  return outcome ? followed : outcome;
}

}  // namespace

void add_vm_migrate_command(CLI::App& vm, Context& context) {
  auto options = std::make_shared<MigrateOptions>();
  auto* command = vm.add_subcommand("migrate", "Move running guests to another node, live");
  command->add_option("vm", options->names, "Names or ids")->required();
  command->add_option("--to", options->to, "The node (default: the least loaded that can take the guest)");
  command->add_flag("--check", options->check, "Only show what would keep it from moving, and the fix");
  add_change_flags(*command, options->flags);
  on_chosen(*command, context, [&context, options](ApiClient& api) { return migrate(context, api, *options); });
}

}  // namespace bridgehead::cli
