#include "cli/commands/commands.h"
#include "cli/commands/noun.h"

namespace bridgehead::cli {

void add_vm_snapshot_commands(CLI::App& vm, Context& context) {
  auto& snapshot = add_noun(vm, "snapshot", "Snapshots of a guest: disks, and memory when it runs");

  auto* list = snapshot.add_subcommand("list", "All snapshots of a guest");
  const auto listed = std::make_shared<std::string>();
  add_object_argument(*list, "vm", listed);
  on_chosen(*list, context, [&context, listed](ApiClient& api) -> Status {
    const auto answer = api.get(fmt::format("/vms/{}/snapshots", path_segment(*listed)));
    if (!answer) return forward(answer);
    context.print_list(*answer,
                       {column("NAME", "/name"), age_column("AGE", "/created"), column("MEMORY", "/with_memory")});
    return {};
  });

  struct Options {
    std::string vm, name;
    bool yes = false;
    ChangeFlags flags;
  };
  const auto add = [&](const char* verb, const char* help) {
    auto options = std::make_shared<Options>();
    auto* command = snapshot.add_subcommand(verb, help);
    command->add_option("vm", options->vm, "Name or id")->required();
    command->add_option("name", options->name, "The snapshot's name")->required();
    add_change_flags(*command, options->flags);
    return std::pair(command, options);
  };
  const auto path = [](const Options& options, const std::string& below) {
    return fmt::format("/vms/{}/snapshots{}{}", path_segment(options.vm), below, options.flags.query());
  };

  auto [create, made] = add("create", "Keep the state as it is now");
  on_chosen(*create, context, [&context, path, options = made](ApiClient& api) -> Status {
    const auto answer = api.post(path(*options, ""), {{"name", options->name}});
    if (!answer) return forward(answer);
    return context.follow(*answer, options->flags.wait);
  });
  auto [rollback, back] = add("rollback", "Go back to a snapshot; what came after it is lost");
  rollback->add_flag("-y,--yes", back->yes, "Don't ask");
  on_chosen(*rollback, context, [&context, path, options = back](ApiClient& api) -> Status {
    const auto question =
        fmt::format("Roll {} back to {}? What was written since is lost.", options->vm, options->name);
    if (auto sure = context.confirm(question, options->yes || options->flags.dry_run); !sure) return sure;
    const auto answer = api.post(path(*options, "/" + path_segment(options->name) + "/rollback"));
    if (!answer) return forward(answer);
    return context.follow(*answer, options->flags.wait);
  });
  auto [remove, gone] = add("delete", "Delete a snapshot; the guest stays as it is");
  remove->add_flag("-y,--yes", gone->yes, "Don't ask");
  on_chosen(*remove, context, [&context, path, options = gone](ApiClient& api) -> Status {
    const auto question = fmt::format("Delete the snapshot {} of {}?", options->name, options->vm);
    if (auto sure = context.confirm(question, options->yes || options->flags.dry_run); !sure) return sure;
    const auto answer = api.remove(path(*options, "/" + path_segment(options->name)));
    if (!answer) return forward(answer);
    return context.follow(*answer, options->flags.wait);
  });
}

}  // namespace bridgehead::cli
