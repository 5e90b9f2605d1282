// vm migrate: move running guests to other nodes; or show what would keep them from it, and which disks would go along.
#include "cli/commands/commands.h"
#include "cli/commands/noun.h"

namespace bridgehead::cli {
namespace {

struct MigrateOptions {
  std::vector<std::string> names;
  std::string to;
  std::string pool;
  bool check = false;
  bool post_copy = false;
  ChangeFlags flags;
};

// A row for each check that failed; one for a node where none did.
nlohmann::json rows_of(const nlohmann::json& items) {
  auto rows = nlohmann::json::array();
  const auto add = [&](const nlohmann::json& node, const nlohmann::json& check, const nlohmann::json& message,
                       const nlohmann::json& fix) {
    rows.push_back({{"vm", node.at("vm_name")},
                    {"node", node.at("node_name")},
                    {"check", check},
                    {"message", message},
                    {"fix", fix}});
  };
  for (const auto& node : items) {
    if (node.at("passed").get<bool>()) {
      std::string result = "it can move here";
      for (const auto& check : node.at("checks")) {
        const auto message = check.at("message").get<std::string>();
        if (!message.empty()) result += fmt::format("; {}: {}", check.at("name").get<std::string>(), message);
      }
      add(node, "all", result, "");
    }
    for (const auto& check : node.at("checks")) {
      if (!check.at("passed").get<bool>()) add(node, check.at("name"), check.at("message"), check.at("fix"));
    }
  }
  return rows;
}

// Of all the guests, in one list.
Status show_checks(Context& context, ApiClient& api, const MigrateOptions& options) {
  std::string query;
  for (const auto& [name, value] : {std::pair("to", options.to), std::pair("pool", options.pool)}) {
    if (!value.empty()) query += fmt::format("{}{}={}", query.empty() ? "?" : "&", name, path_segment(value));
  }
  auto items = nlohmann::json::array();
  for (const auto& name : options.names) {
    const auto answer = api.get(fmt::format("/vms/{}/migration-checks{}", path_segment(name), query));
    if (!answer) return forward(answer);
    for (auto node : answer->at("items")) {
      node["vm_name"] = name;
      items.push_back(std::move(node));
    }
  }
  if (context.format() == OutputFormat::table) items = rows_of(items);
  context.print_list({{"items", std::move(items)}},
                     {column("VM", "/vm"), column("NODE", "/node"), column("CHECK", "/check"),
                      column("RESULT", "/message"), column("FIX", "/fix")});
  return {};
}

Status migrate(Context& context, ApiClient& api, const MigrateOptions& options) {
  if (options.check) return show_checks(context, api, options);
  nlohmann::json operations = nlohmann::json::array();
  Status outcome;
  for (const auto& name : options.names) {
    nlohmann::json body = nlohmann::json::object();
    if (!options.to.empty()) body["to"] = options.to;
    if (!options.pool.empty()) body["pool"] = options.pool;
    if (options.post_copy) body["post_copy"] = true;
    const auto answer = api.post(fmt::format("/vms/{}/migrate{}", path_segment(name), options.flags.query()), body);
    if (!answer) {
      if (outcome) outcome = forward(answer);
    } else if (answer->value("dry_run", false)) {
      if (auto shown = context.follow(*answer, false); !shown) return shown;
    } else {
      operations.push_back(answer->at("operation"));
    }
  }
  if (options.flags.dry_run) return outcome;
  const auto followed = context.follow({{"operations", operations}}, options.flags.wait);
  return outcome ? followed : outcome;
}

}  // namespace

void add_vm_migrate_command(CLI::App& vm, Context& context) {
  auto options = std::make_shared<MigrateOptions>();
  auto* command = vm.add_subcommand("migrate", "Move running guests to another node, live");
  command->add_option("vm", options->names, "Names or ids")->required();
  command->add_option("--to", options->to, "The node (default: the least loaded that can take the guest)");
  command->add_option("--pool", options->pool,
                      "Where disks go that must be copied, because the nodes don't share their pool (default: into the "
                      "pool of the same name there)");
  command->add_flag("--check", options->check, "Only show what would keep it from moving, and the fix");
  command->add_flag("--post-copy", options->post_copy,
                    "Once its memory was copied, go on there and fetch the rest from the source. Always ends, however "
                    "much the guest writes; but if a host or the network fails then, the guest has lost its memory");
  add_change_flags(*command, options->flags);
  on_chosen(*command, context, [&context, options](ApiClient& api) { return migrate(context, api, *options); });
}

}  // namespace bridgehead::cli
