// rule: which guests belong together, apart, on which nodes.
#include "cli/commands/commands.h"
#include "cli/commands/noun.h"

namespace bridgehead::cli {
namespace {

std::string selected_by(const nlohmann::json& rule) {
  std::string all;
  const auto labels = rule.value("labels", nlohmann::json::object());  // items() keeps no temporary alive
  for (const auto& [key, value] : labels.items()) {
    all += fmt::format("{}{}={}", all.empty() ? "" : ", ", key, value.get<std::string>());
  }
  return all;
}

std::string strength(const nlohmann::json& rule) {
  return text(rule, "/hard") == "yes" ? "hard" : fmt::format("soft, weight {}", text(rule, "/weight"));
}

std::string where(const nlohmann::json& rule) {
  const auto kind = text(rule, "/kind");
  return kind == "together" || kind == "apart" ? text(rule, "/domain") : text(rule, "/node_names");
}

void add_rule_add(CLI::App& rule, Context& context) {
  struct Options {
    std::string name, kind, domain;
    std::vector<std::string> vms, labels, nodes;
    std::optional<double> soft;
    bool dry_run = false;
  };
  const auto options = std::make_shared<Options>();
  auto* add = rule.add_subcommand("add", "Keep guests together, apart, on or off nodes, or alone on theirs");
  add->add_option("name", options->name, "Its name")->required();
  add->add_option("kind", options->kind, "together, apart, on, off or exclusive")
      ->required()
      ->check(CLI::IsMember({"together", "apart", "on", "off", "exclusive"}));
  add->add_option("--vm", options->vms, "A guest that it is about (repeatable)")->allow_extra_args(false);
  add->add_option("--label", options->labels, "All guests with KEY=VALUE, also later ones (repeatable: with all)")
      ->allow_extra_args(false);
  add->add_option("--node", options->nodes, "A node of on and off (repeatable)")->allow_extra_args(false);
  add->add_option("--domain", options->domain, "Of together and apart: host (default), rack or power-feed")
      ->check(CLI::IsMember({"host", "rack", "power-feed"}));
  add->add_option("--soft", options->soft, "May be broken, at this price (1 = as much as moving an idle guest)");
  add->add_flag("--dry-run", options->dry_run, "Check everything; change nothing");
  on_chosen(*add, context, [&context, options](ApiClient& api) -> Status {
    nlohmann::json body = {{"name", options->name},
                           {"kind", options->kind},
                           {"vms", options->vms},
                           {"nodes", options->nodes},
                           {"hard", !options->soft.has_value()}};
    if (!options->domain.empty()) body["domain"] = options->domain;
    if (options->soft) body["weight"] = *options->soft;
    for (const auto& label : options->labels) {
      const auto equals = label.find('=');
      if (equals == std::string::npos || equals == 0) {
        return fail(ErrorCode::invalid_argument, "--label: write KEY=VALUE, not '{}'", label);
      }
      body["labels"][label.substr(0, equals)] = label.substr(equals + 1);
    }
    const auto answer = api.post(options->dry_run ? "/rules?dry_run=true" : "/rules", body);
    if (!answer) return forward(answer);
    if (context.format() != OutputFormat::table) return context.print_object(answer->at("rule"), {});
    const auto members = text(*answer, "/rule/members");
    context.say(fmt::format("Rule '{}' is about {}. See what it takes to hold: bh plan show", options->name,
                            members.empty() ? "no guest yet" : members));
    return {};
  });
}

void add_rule_remove(CLI::App& rule, Context& context) {
  auto* remove = rule.add_subcommand("remove", "Remove rules; no guest moves because of it");
  const auto names = std::make_shared<std::vector<std::string>>();
  remove->add_option("rule", *names, "Names or ids")->required();
  on_chosen(*remove, context, [names](ApiClient& api) -> Status {
    for (const auto& name : *names) {
      const auto answer = api.remove("/rules/" + path_segment(name));
      if (!answer) return forward(answer);
    }
    return {};
  });
}

}  // namespace

void add_rule_commands(CLI::App& root, Context& context) {
  const Noun words{.singular = "rule",
                   .collection = "/rules",
                   .columns = {column("NAME", "/name"),
                               column("KIND", "/kind"),
                               {"WHERE", where},
                               {"STRENGTH", strength},
                               {"LABELS", selected_by},
                               column("VMS", "/members")},
                   .details = {column("CREATED", "/created"), column("ID", "/id")}};
  auto& rule = add_noun(root, "rule", "Which guests belong together, apart, on which nodes");
  add_rule_add(rule, context);
  add_list(rule, context, words);
  add_show(rule, context, words);
  add_rule_remove(rule, context);
}

}  // namespace bridgehead::cli
