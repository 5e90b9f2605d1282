// vm start, stop, reboot, pause, resume: each for several guests at once.
#include "cli/commands/commands.h"
#include "cli/commands/noun.h"

namespace bridgehead::cli {
namespace {

struct PowerOptions {
  std::vector<std::string> names;
  bool force = false;
  std::uint32_t grace_seconds = 60;
  ChangeFlags flags;
};

// All are asked first, then followed: guests stop side by side, not one after another.
Status act(Context& context, ApiClient& api, const PowerOptions& options, const std::string& verb,
           const nlohmann::json& body) {
  nlohmann::json operations = nlohmann::json::array();
  Status outcome;
  for (const auto& name : options.names) {
    const auto answer = api.post(fmt::format("/vms/{}/{}{}", path_segment(name), verb, options.flags.query()), body);
    if (!answer) {
      if (outcome) outcome = forward(answer);
      continue;
    }
    if (answer->value("dry_run", false)) {
      if (auto shown = context.follow(*answer, false); !shown) return shown;
    } else if (answer->contains("operation")) {
      operations.push_back(answer->at("operation"));
    }
  }
  const auto followed = context.follow({{"operations", operations}}, options.flags.wait);
  return outcome ? followed : outcome;
}

}  // namespace

void add_vm_power_commands(CLI::App& vm, Context& context) {
  const auto add = [&](const char* verb, const char* help) {
    auto options = std::make_shared<PowerOptions>();
    auto* command = vm.add_subcommand(verb, help);
    command->add_option("vm", options->names, "Names or ids")->required();
    add_change_flags(*command, options->flags);
    return std::pair(command, options);
  };
  for (const auto& [verb, help] :
       {std::pair("start", "Start guests"), std::pair("pause", "Stop guests' CPUs; memory stays"),
        std::pair("resume", "Let paused guests go on")}) {
    auto [command, options] = add(verb, help);
    const std::string action = verb;
    on_chosen(*command, context, [&context, options, action](ApiClient& api) {
      return act(context, api, *options, action, nlohmann::json::object());
    });
  }
  auto [stop, stop_options] = add("stop", "Ask guests to shut down; force them when the grace is over");
  stop->add_flag("--force", stop_options->force, "Cut the power at once");
  stop->add_option("--grace", stop_options->grace_seconds,
                   "Seconds a guest may take (default 60); 0: never force, fail instead");
  on_chosen(*stop, context, [&context, options = stop_options](ApiClient& api) {
    return act(context, api, *options, "stop", {{"force", options->force}, {"grace_seconds", options->grace_seconds}});
  });
  auto [reboot, reboot_options] = add("reboot", "Reboot guests");
  reboot->add_flag("--force", reboot_options->force, "Reset at once");
  on_chosen(*reboot, context, [&context, options = reboot_options](ApiClient& api) {
    return act(context, api, *options, "reboot", {{"force", options->force}});
  });
}

}  // namespace bridgehead::cli
