// energy: what nodes and guests have taken, what was saved, and what machines take by their model.
#include "cli/commands/commands.h"
#include "cli/commands/noun.h"
#include "cli/energy_view.h"

namespace bridgehead::cli {
namespace {

std::vector<Column> profile_columns() {
  const auto machine = [](const nlohmann::json& one) {
    const auto name = text(one, "/machine");
    return name.empty() ? std::string("(firmware names none)") : name;
  };
  return {{"MACHINE", machine},
          column("IDLE-W", "/idle_watts"),
          column("BUSY-W", "/busy_watts"),
          column("OFF-W", "/off_watts")};
}

Result<std::string> profile_path(const std::string& machine) {
  if (!machine.empty()) return "/energy/profiles/" + path_segment(machine);
  return fail_with_hint(ErrorCode::invalid_argument,
                        "machine: is empty; nodes whose firmware names none have no profile", "bh energy profile list");
}

void add_power_profiles(CLI::App& energy, Context& context) {
  auto& profile = add_noun(energy, "profile", "What machines take by their model, where nobody measures them");
  auto* list = profile.add_subcommand("list", "Machines that nodes are, and what they count as");
  on_chosen(*list, context, [&context](ApiClient& api) -> Status {
    const auto answer = api.get("/energy/profiles");
    if (!answer) return forward(answer);
    auto columns = profile_columns();
    columns.push_back(column("NODES", "/nodes"));
    columns.push_back({"BY", [](const nlohmann::json& one) {
                         const auto by = text(one, "/created_by");
                         return by.empty() ? std::string("average server") : by;
                       }});
    context.print_list(*answer, columns);
    return {};
  });
  struct Wanted {
    std::string machine;
    double idle = 0, busy = 0, off = 5;
  };
  const auto wanted = std::make_shared<Wanted>();
  auto* set = profile.add_subcommand("set", "Say what machines of a model take, from their data sheet or a meter");
  set->add_option("machine", wanted->machine, "Maker and model, as `bh energy profile list` shows them")->required();
  set->add_option("--idle", wanted->idle, "Watts when it is on, without load")->required();
  set->add_option("--busy", wanted->busy, "Watts with all CPUs in use; linear between")->required();
  set->add_option("--off", wanted->off, "Watts off or asleep")->capture_default_str();
  on_chosen(*set, context, [&context, wanted](ApiClient& api) -> Status {
    const auto path = profile_path(wanted->machine);
    if (!path) return forward(path);
    const auto answer =
        api.put(*path, {{"idle_watts", wanted->idle}, {"busy_watts", wanted->busy}, {"off_watts", wanted->off}});
    if (!answer) return forward(answer);
    return context.print_object(answer->at("profile"), profile_columns());
  });
  const auto machine = std::make_shared<std::string>();
  auto* remove = profile.add_subcommand("remove", "Count machines of a model as average servers again");
  remove->add_option("machine", *machine, "Maker and model")->required();
  on_chosen(*remove, context, [&context, machine](ApiClient& api) -> Status {
    const auto path = profile_path(*machine);
    if (!path) return forward(path);
    const auto answer = api.remove(*path);
    if (!answer) return forward(answer);
    context.say(fmt::format("{} counts as an average server.", *machine));
    return {};
  });
}

}  // namespace

void add_energy_commands(CLI::App& root, Context& context) {
  auto& energy = add_noun(root, "energy", "What nodes and guests have taken, and what was saved by hosts that are off");
  auto* report = energy.add_subcommand("report", "kWh of each node, guest or day, and by whose word");
  struct Options {
    std::string last = "30d";
    std::string by = "node";
    bool guests = false;
  };
  const auto options = std::make_shared<Options>();
  report->add_option("--last", options->last, "How far back, such as 24h or 30d; at most 731d")->capture_default_str();
  auto* way = report->add_option("--by", options->by, "node, guest or day")
                  ->check(CLI::IsMember({"node", "guest", "day"}))
                  ->capture_default_str();
  report->add_flag("--guests", options->guests, "The same as --by guest")->excludes(way);
  on_chosen(*report, context, [&context, options](ApiClient& api) -> Status {
    const auto answer = api.get("/energy?last=" + path_segment(options->last));
    if (!answer) return forward(answer);
    if (context.format() == OutputFormat::json || context.format() == OutputFormat::yaml) {
      return context.print_object(*answer, {});
    }
    const auto by = options->guests ? std::string("guests") : options->by + "s";
    context.print_list(energy_rows(*answer, by), energy_columns(by));
    for (const auto& note : energy_notes(*answer)) context.say(note);
    return {};
  });
  add_power_profiles(energy, context);
}

}  // namespace bridgehead::cli
