// vm list, show, delete, wait.
#include <unistd.h>

#include "base/units.h"
#include "cli/commands/commands.h"
#include "cli/commands/noun.h"
#include "cli/progress.h"
#include "cli/vm_table.h"

namespace bridgehead::cli {
namespace {

std::string disks(const nlohmann::json& vm) {
  std::string found;
  for (const auto& disk : vm.value("/spec/disks"_json_pointer, nlohmann::json::array())) {
    found +=
        fmt::format("{}{} {}", found.empty() ? "" : ", ", text(disk, "/name"), Bytes(number(disk, "/size")).human());
  }
  return found;
}

std::string nics(const nlohmann::json& vm) {
  std::string found;
  for (const auto& nic : vm.value("/spec/nics"_json_pointer, nlohmann::json::array())) {
    found += fmt::format("{}{} {}", found.empty() ? "" : ", ", text(nic, "/name"), text(nic, "/mac"));
  }
  return found;
}

std::string first_address(const nlohmann::json& vm) {
  const auto* addresses = find(vm, "/status/ip_addresses");
  return addresses == nullptr || addresses->empty() ? "" : addresses->front().get<std::string>();
}

std::string labels(const nlohmann::json& vm) {
  std::string found;
  const auto all = vm.value("labels", nlohmann::json::object());
  for (const auto& [key, value] : all.items()) {
    found += fmt::format("{}{}={}", found.empty() ? "" : ", ", key, value.get<std::string>());
  }
  return found;
}

std::string real_text(const nlohmann::json& vm, std::string_view pointer, int digits, std::string_view unit) {
  const auto* value = find(vm, pointer);
  if (value == nullptr || !value->is_number()) return "";
  return fmt::format("{:.{}f}{}", value->get<double>(), digits, unit);
}

std::string rate(const nlohmann::json& vm, std::string_view pointer) {
  const auto* value = find(vm, pointer);
  if (value == nullptr || !value->is_number()) return "";
  return Bytes(static_cast<std::uint64_t>(value->get<double>())).human() + "/s";
}

const std::vector<Column>& details() {
  static const std::vector<Column> fields{
      column("NAME", "/name"),
      column("PHASE", "/status/phase"),
      column("MESSAGE", "/status/message"),
      column("NODE", "/node_name"),
      {"ADDRESS", first_address},
      column("ADDRESSES", "/status/ip_addresses"),
      column("CPUS", "/spec/cpus"),
      {"CPU-USE", [](const auto& vm) { return real_text(vm, "/use/cpus", 2, " CPUs"); }},
      bytes_column("MEMORY-USE", "/use/memory"),
      {"DISK-USE", [](const auto& vm) { return rate(vm, "/use/storage"); }},
      {"NETWORK-USE", [](const auto& vm) { return rate(vm, "/use/network"); }},
      column("PRIORITY", "/planning/priority"),
      column("MOVE-COST", "/planning/move_cost"),
      column("MAY-MOVE", "/planning/may_move"),
      bytes_column("MEMORY", "/spec/memory"),
      {"DISKS", disks},
      {"NICS", nics},
      column("FIRMWARE", "/spec/firmware"),
      column("CPU", "/spec/cpu_model"),
      column("AUTOSTART", "/spec/autostart"),
      column("HA", "/spec/ha"),
      column("WHEN-ALONE", "/spec/when_alone"),
      column("WATCHDOG", "/spec/watchdog"),
      {"RESTART-HUNG",
       [](const auto& vm) {
         const auto seconds = number(vm, "/spec/restart_hung");
         return seconds == 0 ? std::string("off") : fmt::format("after {} s", seconds);
       }},
      column("RESTART", "/status/restart_required"),
      column("AGENT", "/status/guest_agent"),
      column("AGENT-SILENT-SINCE", "/status/agent_silent_since"),
      {"LABELS", labels},
      column("GENERATION", "/generation"),
      column("CREATED", "/created"),
      column("ID", "/id")};
  return fields;
}

void add_vm_list(CLI::App& vm, Context& context) {
  struct Options {
    std::string node, state;
    std::vector<std::string> labels;
  };
  const auto options = std::make_shared<Options>();
  auto* list = vm.add_subcommand("list", "All guests")->alias("ls");
  list->add_option("--node", options->node, "Only those on this node");
  list->add_option("--state", options->state, "Only those in this phase (running, stopped, failed, ...)");
  list->add_option("--label", options->labels, "Only those with KEY=VALUE (repeatable)")->allow_extra_args(false);
  on_chosen(*list, context, [&context, options](ApiClient& api) -> Status {
    // The summary is all that table and names show; machines get everything.
    const bool summary = context.format() == OutputFormat::table || context.format() == OutputFormat::name;
    std::string query = summary ? "?summary=true" : "?summary=false";
    if (!options->node.empty()) query += "&node=" + path_segment(options->node);
    if (!options->state.empty()) query += "&state=" + path_segment(options->state);
    for (const auto& label : options->labels) query += "&label=" + path_segment(label);
    if (context.format() == OutputFormat::table) {
      auto answer = api.get_text("/vms" + query);
      if (!answer) return forward(answer);
      const auto table = vm_table(std::move(*answer));
      if (!table) return forward(table);
      fmt::print("{}", table->render(terminal_width()));
      return {};
    }
    const auto answer = api.get("/vms" + query);
    if (!answer) return forward(answer);
    context.print_list(*answer, {column("NAME", "/name")});
    return {};
  });
}

bool reached(const nlohmann::json& vm, const std::string& goal) {
  if (goal == "address") return !first_address(vm).empty();
  if (goal == "agent") return text(vm, "/status/guest_agent") == "yes";
  return text(vm, "/status/phase") == goal;
}

void add_vm_wait(CLI::App& vm, Context& context) {
  struct Options {
    std::string name, goal = "running";
    unsigned timeout = 300;
  };
  const auto options = std::make_shared<Options>();
  auto* wait = vm.add_subcommand("wait", "Wait until a guest is in a phase, has an address, or its agent answers");
  wait->add_option("vm", options->name, "Name or id")->required();
  wait->add_option("--for", options->goal, "running, stopped, paused, address or agent")
      ->check(CLI::IsMember({"running", "stopped", "paused", "address", "agent"}));
  wait->add_option("--timeout", options->timeout, "Seconds (default 300)");
  on_chosen(*wait, context, [&context, options](ApiClient& api) -> Status {
    ProgressLine line("vm " + options->name, context.quiet);
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(options->timeout);
    while (std::chrono::steady_clock::now() < deadline) {
      const auto answer = api.get("/vms/" + path_segment(options->name));
      if (!answer) return forward(answer);
      if (reached(*answer, options->goal)) {
        line.finish(options->goal);
        return {};
      }
      line.update(fmt::format("waiting for {}", options->goal), 0, 0);
      ::usleep(500'000);
    }
    return fail_with_hint(ErrorCode::timeout,
                          fmt::format("{} was not {} within {} s", options->name, options->goal, options->timeout),
                          fmt::format("Look at: bh vm show {0}; bh vm log {0}", options->name));
  });
}

}  // namespace

void add_vm_commands(CLI::App& root, Context& context) {
  const Noun words{.singular = "vm", .collection = "/vms", .columns = details(), .details = {}};
  auto& vm = add_noun(root, "vm", "Guests: KVM virtual machines");
  add_vm_create_command(vm, context);
  add_vm_list(vm, context);
  add_show(vm, context, words);
  add_vm_change_commands(vm, context);
  add_vm_power_commands(vm, context);
  add_vm_console_commands(vm, context);
  add_vm_snapshot_commands(vm, context);
  add_vm_migrate_command(vm, context);
  add_vm_wait(vm, context);
  add_delete(vm, context, words, "delete", "Delete guests and their disks", "Their disks are deleted too.");
}

}  // namespace bridgehead::cli
