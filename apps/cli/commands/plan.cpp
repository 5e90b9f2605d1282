// plan: what would be done now, and doing it.
#include "base/file.h"
#include "cli/commands/commands.h"
#include "cli/commands/noun.h"
#include "cli/plan_view.h"

namespace bridgehead::cli {
namespace {

Status print_moves_plan(const Context& context, const nlohmann::json& plan) {
  if (context.format() != OutputFormat::table) return context.print_object(plan, {column("STATE", "/state")});
  fmt::print("{}", show_plan(plan, terminal_width()));
  return {};
}

void add_plan_show(CLI::App& plan, Context& context) {
  auto* show = plan.add_subcommand("show", "What would be done now, why, what it brings; or one plan in full");
  const auto name = std::make_shared<std::string>();
  show->add_option("plan", *name, "Name or id of a plan (default: what would be done now)");
  on_chosen(*show, context, [&context, name](ApiClient& api) -> Status {
    const auto answer = api.get(name->empty() ? "/plan" : "/plans/" + path_segment(*name));
    if (!answer) return forward(answer);
    if (auto printed = print_moves_plan(context, *answer); !printed) return printed;
    if (name->empty() && !answer->at("actions").empty()) {
      context.say(fmt::format("Do it: bh plan apply {}", text(*answer, "/name")));
    }
    return {};
  });
}

void add_plan_apply(CLI::App& plan, Context& context) {
  struct Options {
    std::string plan;
    ChangeFlags flags;
  };
  const auto options = std::make_shared<Options>();
  auto* apply = plan.add_subcommand("apply", "Do what a shown plan says, if the cluster still is as it takes it to be");
  apply->add_option("plan", options->plan, "Its name or id (default: what would be done now)");
  add_change_flags(*apply, options->flags);
  on_chosen(*apply, context, [&context, options](ApiClient& api) -> Status {
    auto name = options->plan;
    if (name.empty()) {
      const auto now = api.get("/plan");
      if (!now) return forward(now);
      if (now->at("actions").empty()) return print_moves_plan(context, *now);
      name = text(*now, "/name");
    }
    const auto answer = api.post(fmt::format("/plans/{}/apply{}", path_segment(name), options->flags.query()));
    if (!answer) return forward(answer);
    return context.follow(*answer, options->flags.wait);
  });
}

void add_plan_cancel(CLI::App& plan, Context& context) {
  auto* cancel = plan.add_subcommand("cancel", "Stop a plan: moves under way end, none begins");
  const auto name = std::make_shared<std::string>();
  add_object_argument(*cancel, "plan", name);
  on_chosen(*cancel, context, [&context, name](ApiClient& api) -> Status {
    const auto answer = api.post(fmt::format("/plans/{}/cancel", path_segment(*name)));
    if (!answer) return forward(answer);
    context.say("Asked to stop. Follow it with: bh operation watch " + text(*answer, "/operation/id"));
    return {};
  });
}

void add_plan_replay(CLI::App& plan, Context& context) {
  auto* replay = plan.add_subcommand("replay", "Make a plan again from the record of what it was made from");
  struct Options {
    std::string plan;
    bool input = false;
  };
  const auto options = std::make_shared<Options>();
  replay->add_option("plan", options->plan, "Name or id")->required();
  replay->add_flag("--input", options->input, "Print that record (JSON) instead");
  on_chosen(*replay, context, [&context, options](ApiClient& api) -> Status {
    const auto path = "/plans/" + path_segment(options->plan);
    if (options->input) {
      const auto input = api.get_text(path + "/input");
      if (!input) return forward(input);
      fmt::print("{}", *input);
      return {};
    }
    const auto answer = api.get(path + "/replay");
    if (!answer) return forward(answer);
    if (context.format() != OutputFormat::table) return context.print_object(*answer, {column("SAME", "/same")});
    fmt::print("{}\n", show_plan(answer->at("plan"), terminal_width()));
    if (!answer->at("same").get<bool>()) {
      return fail(ErrorCode::internal, "this isn't the plan that was made then: another version made it");
    }
    context.say("The same plan as then.");
    return {};
  });
}

void add_plan_what_if(CLI::App& plan, Context& context) {
  struct Options {
    std::vector<std::string> remove, add;
    std::filesystem::path vms;
  };
  const auto options = std::make_shared<Options>();
  auto* what_if =
      plan.add_subcommand("what-if", "What would be planned in another cluster than there is; changes nothing");
  what_if->add_option("--remove", options->remove, "Without this node (repeatable)")->allow_extra_args(false);
  what_if->add_option("--add-node", options->add, "With a node such as 64c/512G, or several: 4x64c/512G (repeatable)")
      ->allow_extra_args(false);
  what_if->add_option("--vms-from", options->vms, "With guests from a CSV file: columns cpus, memory; name, cpu_use");
  on_chosen(*what_if, context, [&context, options](ApiClient& api) -> Status {
    nlohmann::json body = {{"remove_nodes", options->remove}};
    for (const auto& one : options->add) {
      auto node = node_from(one);
      if (!node) return forward(node);
      body["add_nodes"].push_back(std::move(*node));
    }
    if (!options->vms.empty()) {
      const auto file = read_file(options->vms);
      if (!file) return forward(file);
      auto vms = vms_from_csv(*file);
      if (!vms) return forward(vms);
      body["add_vms"] = std::move(*vms);
    }
    const auto answer = api.post("/plan/what-if", body);
    if (!answer) return forward(answer);
    return print_moves_plan(context, *answer);
  });
}

std::string actions(const nlohmann::json& plan) {
  std::size_t done = 0;
  for (const auto& action : plan.at("actions")) done += text(action, "/state") == "done" ? 1 : 0;
  return fmt::format("{}/{}", done, plan.at("actions").size());
}

}  // namespace

void add_plan_commands(CLI::App& root, Context& context) {
  const Noun words{.singular = "plan",
                   .collection = "/plans",
                   .columns = {column("NAME", "/name"),
                               column("STATE", "/state"),
                               {"DONE", actions},
                               column("BY", "/created_by"),
                               age_column("AGE", "/created"),
                               column("MESSAGE", "/message")},
                   .details = {}};
  auto& plan = add_noun(root, "plan", "Where guests should be: what would be done, and doing it");
  add_plan_show(plan, context);
  add_plan_apply(plan, context);
  add_plan_cancel(plan, context);
  add_list(plan, context, words);
  add_plan_replay(plan, context);
  add_plan_what_if(plan, context);
}

}  // namespace bridgehead::cli
