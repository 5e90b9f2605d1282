#include "cli/commands/noun.h"

namespace bridgehead::cli {

void on_chosen(CLI::App& command, Context& context, std::function<Status(ApiClient&)> action) {
  command.callback([&context, action = std::move(action)] {
    context.chosen = [&context, action]() -> Status {
      auto api = context.client();
      if (!api) return forward(api);
      return action(api->get());
    };
  });
}

CLI::App& add_noun(CLI::App& root, const std::string& name, const std::string& help) {
  auto* noun = root.add_subcommand(name, help);
  noun->require_subcommand(1);
  return *noun;
}

CLI::App& add_object_argument(CLI::App& command, const std::string& singular,
                              const std::shared_ptr<std::string>& name) {
  command.add_option(singular, *name, "Name or id")->required();
  return command;
}

void add_list(CLI::App& noun, Context& context, const Noun& words) {
  auto* list = noun.add_subcommand("list", fmt::format("All {}s", words.singular))->alias("ls");
  on_chosen(*list, context, [&context, words](ApiClient& api) -> Status {
    const auto answer = api.get(words.collection);
    if (!answer) return forward(answer);
    context.print_list(*answer, words.columns);
    return {};
  });
}

void add_show(CLI::App& noun, Context& context, const Noun& words) {
  auto* show = noun.add_subcommand("show", fmt::format("One {} in full", words.singular));
  const auto name = std::make_shared<std::string>();
  add_object_argument(*show, words.singular, name);
  on_chosen(*show, context, [&context, words, name](ApiClient& api) -> Status {
    const auto answer = api.get(words.collection + "/" + path_segment(*name));
    if (!answer) return forward(answer);
    auto fields = words.columns;
    fields.insert(fields.end(), words.details.begin(), words.details.end());
    return context.print_object(*answer, fields);
  });
}

CLI::App& add_delete(CLI::App& noun, Context& context, const Noun& words, const std::string& verb,
                     const std::string& help, const std::string& warning) {
  struct Options {
    std::vector<std::string> names;
    bool yes = false;
    ChangeFlags flags;
  };
  const auto options = std::make_shared<Options>();
  auto* command = noun.add_subcommand(verb, help);
  command->add_option(words.singular, options->names, "Names or ids")->required();
  command->add_flag("-y,--yes", options->yes, "Don't ask");
  add_change_flags(*command, options->flags);
  on_chosen(*command, context, [&context, words, warning, options](ApiClient& api) -> Status {
    std::string all;
    for (const auto& name : options->names) all += (all.empty() ? "" : ", ") + name;
    const bool unasked = options->yes || options->flags.dry_run;
    if (auto sure = context.confirm(fmt::format("Delete the {} {}? {}", words.singular, all, warning), unasked);
        !sure) {
      return sure;
    }
    Status outcome;
    for (const auto& name : options->names) {
      const auto answer = api.remove(words.collection + "/" + path_segment(name) + options->flags.query());
      const Status one = answer ? context.follow(*answer, options->flags.wait) : forward(answer);
      if (!one && outcome) outcome = one;
    }
    return outcome;
  });
  return *command;
}

}  // namespace bridgehead::cli
