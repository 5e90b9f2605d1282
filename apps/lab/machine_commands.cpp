// power, console, log.
#include "lab/commands.h"
#include "lab/console.h"
#include "lab/host.h"
#include "lab/host_places.h"
#include "lab/lab_host.h"
#include "lab/lab_state.h"
#include "lab/machine_power.h"

namespace bridgehead::lab {
namespace {

constexpr std::chrono::seconds kPowerLockPatience{60};

struct PowerFlags {
  std::string machine;
  std::string action;
  bool soft = false;
  unsigned timeout = 60;
};

Status act(const Places& places, LabState& state, std::size_t index, const PowerFlags& flags) {
  auto& machine = state.machines[index];
  const SaveState save = [&] { return save_state(places, state); };
  const auto off = [&] {
    return flags.soft ? shut_down(places, machine, std::chrono::seconds(flags.timeout), save)
                      : switch_off(places, machine, save);
  };
  if (flags.action == "on") return switch_on(places, state.accelerator, machine, save);
  if (flags.action == "off") return off();
  if (flags.action == "reset") return reset(places, machine);
  if (auto stopped = off(); !stopped) return stopped;
  return switch_on(places, state.accelerator, machine, save);
}

Status act(const Places& places, LabState& state, Member& host, const PowerFlags& flags) {
  if (flags.action == "reset" || flags.soft) {
    return fail(ErrorCode::invalid_argument,
                "a host can be switched on, off and cycled, not reset or shut down softly");
  }
  const SaveState save = [&] { return save_state(places, state); };
  if (flags.action != "on") {
    if (auto off = switch_host_off(places, host, save); !off) return off;
  }
  return flags.action == "off" ? Status() : switch_host_on(places, host, save);
}

Status run_power(const CommandContext& context, const PowerFlags& flags) {
  const auto places = context.places();
  if (auto valid = check_name("lab", context.name); !valid) return valid;
  if (flags.action == "status") {
    const auto state = load_state(places);
    if (!state) return forward(state);
    if (const auto* host = state->find_host(flags.machine)) {
      fmt::print("{}\n", is_on(*host) ? "on" : "off");
      return {};
    }
    const auto index = state->find_machine(flags.machine);
    if (!index) return forward(index);
    const auto& machine = state->machines[*index];
    const auto asleep = is_asleep(places, machine);
    if (!asleep) return forward(asleep);
    fmt::print("{}\n", *asleep ? "sleeping" : is_on(machine) ? "on" : "off");
    return {};
  }
  if (auto root = require_root(); !root) return root;
  const auto lock = LabLock::acquire(places, LabLock::Directory::must_exist, kPowerLockPatience);
  if (!lock) return forward(lock);
  auto state = load_state(places);
  if (!state) return forward(state);
  if (const auto why = why_crashed(*state, look_around(places, *state)); !why.empty() && state->phase != Phase::up) {
    return fail_with_hint(ErrorCode::failed_precondition, fmt::format("lab {} has crashed: {}", context.name, why),
                          "Remove it with bridgehead-lab down, then make it anew.");
  }
  if (auto* host = state->find_host(flags.machine)) return act(places, *state, *host, flags);
  std::vector<std::size_t> chosen;
  if (flags.machine == "all") {
    for (std::size_t i = 0; i < state->machines.size(); ++i) chosen.push_back(i);
  } else {
    const auto index = state->find_machine(flags.machine);
    if (!index) return forward(index);
    chosen.push_back(*index);
  }
  for (const auto index : chosen) {
    if (auto done = act(places, *state, index, flags); !done) return done;
  }
  return {};
}

void add_power(CLI::App& app, CommandContext& context) {
  const auto flags = std::make_shared<PowerFlags>();
  auto* power = app.add_subcommand("power", "A machine's or host's power: on, off, cycle, reset, status");
  power->add_option("machine", flags->machine, "Its name; all: every machine (not for status)")->required();
  power->add_option("action", flags->action, "on (wakes it), off, cycle (off and on), reset, status")
      ->required()
      ->check(CLI::IsMember({"on", "off", "cycle", "reset", "status"}));
  power->add_flag("--soft", flags->soft, "off, cycle: press the power button and wait, instead of pulling the plug");
  power->add_option("--timeout", flags->timeout, "--soft: seconds to wait")->capture_default_str();
  power->callback([&context, flags] { context.chosen = [&context, flags] { return run_power(context, *flags); }; });
}

// The lab knows the machine.
Status require_machine(const CommandContext& context, const std::string& machine) {
  if (auto valid = check_name("lab", context.name); !valid) return valid;
  const auto state = load_state(context.places());
  if (!state) return forward(state);
  const auto index = state->find_machine(machine);
  return index ? Status() : forward(index);
}

// Of a machine its serial line, of a host or storage server what its programs said.
Result<std::filesystem::path> log_of(const CommandContext& context, const std::string& name) {
  if (auto valid = check_name("lab", context.name); !valid) return forward(valid);
  const auto places = context.places();
  const auto state = load_state(places);
  if (!state) return forward(state);
  if (state->find_host(name) != nullptr) return places.host(name).native() + kHostDaemonLogs + "/agent.log";
  for (const auto* member : state->members()) {
    if (member->name == name) return places.storage() / (name + ".log");
  }
  if (const auto index = state->find_machine(name); !index) return forward(index);
  return places.serial_log(name);
}

}  // namespace

void add_machine_commands(CLI::App& app, CommandContext& context) {
  add_power(app, context);

  const auto attached = std::make_shared<std::string>();
  auto* console = app.add_subcommand("console", "A machine's serial line in this terminal; leave with Ctrl-]");
  console->add_option("machine", *attached, "Its name")->required();
  console->callback([&context, attached] {
    context.chosen = [&context, attached] {
      const auto known = require_machine(context, *attached);
      return known ? attach_console(context.places(), *attached) : known;
    };
  });

  struct LogFlags {
    std::string machine;
    LogOptions options;
    unsigned timeout = 0;
  };
  const auto flags = std::make_shared<LogFlags>();
  auto* log = app.add_subcommand(
      "log", "What a machine said on its serial line, a host's agent or a storage server in its log");
  log->add_option("machine", flags->machine, "Its name, or a host's or storage server's")->required();
  log->add_flag("--last", flags->options.last, "Only since it was last switched on");
  log->add_flag("-f,--follow", flags->options.follow, "Go on as more comes");
  log->add_option("--until", flags->options.until,
                  "With --follow: stop at a line that matches this regular expression");
  log->add_option("--timeout", flags->timeout, "With --follow: fail after so many seconds (default: never)");
  log->callback([&context, flags] {
    context.chosen = [&context, flags] {
      flags->options.timeout = std::chrono::seconds(flags->timeout);
      const auto file = log_of(context, flags->machine);
      return file ? show_log(*file, flags->options) : forward(file);
    };
  });
}

}  // namespace bridgehead::lab
