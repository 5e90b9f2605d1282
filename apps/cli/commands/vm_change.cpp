// vm set, rename, resize; disk and nic of a guest.
#include "base/length.h"
#include "cli/commands/cloud_init_flags.h"
#include "cli/commands/commands.h"
#include "cli/commands/noun.h"
#include "cli/commands/planning_flags.h"

namespace bridgehead::cli {
namespace {

struct ChangeOptions {
  std::string name, value, second;
  std::optional<std::uint32_t> cpus, vlan;
  std::string memory, disk_size, layout, image, network, mac, cpu_model, firmware;
  std::string autostart, ha, when_alone, watchdog, restart_hung;
  PlanningFlags planning;
  std::vector<std::string> disks, labels;
  CloudInitFlags cloud_init;
  ChangeFlags flags;
};

Status send(Context& context, const ChangeOptions& options, const Result<nlohmann::json>& answer) {
  if (!answer) return forward(answer);
  return context.follow(*answer, options.flags.wait);
}

std::string path_of(const ChangeOptions& options, const std::string& below = "") {
  return "/vms/" + path_segment(options.name) + below + options.flags.query();
}

std::shared_ptr<ChangeOptions> begin(CLI::App& command) {
  auto options = std::make_shared<ChangeOptions>();
  command.add_option("vm", options->name, "Name or id")->required();
  add_change_flags(command, options->flags);
  return options;
}

// "NAME=VALUE" pairs into an object; an empty value removes a label.
Result<std::pair<std::string, std::string>> pair_from(const std::string& flag, const std::string& text) {
  const auto equals = text.find('=');
  if (equals == std::string::npos || equals == 0) {
    return fail(ErrorCode::invalid_argument, "{}: write NAME=VALUE, not '{}'", flag, text);
  }
  return std::pair(text.substr(0, equals), text.substr(equals + 1));
}

void add_resize(CLI::App& vm, Context& context) {
  auto* resize = vm.add_subcommand(
      "resize", "Change CPUs, memory and disks; at once where the guest allows, otherwise at its next start");
  const auto options = begin(*resize);
  resize->add_option("--cpus", options->cpus, "Virtual CPUs");
  resize->add_option("--memory", options->memory, "Memory, such as 4GiB");
  resize->add_option("--disk", options->disks, "DISK=SIZE, such as disk0=40GiB; grows only (repeatable)")
      ->allow_extra_args(false);
  on_chosen(*resize, context, [&context, options](ApiClient& api) -> Status {
    nlohmann::json body = nlohmann::json::object();
    if (options->cpus) body["cpus"] = *options->cpus;
    if (!options->memory.empty()) body["memory"] = options->memory;
    for (const auto& disk : options->disks) {
      const auto pair = pair_from("--disk", disk);
      if (!pair) return forward(pair);
      body["disks"].push_back({{"name", pair->first}, {"size", pair->second}});
    }
    if (body.empty()) return fail(ErrorCode::invalid_argument, "nothing to change: give --cpus, --memory or --disk");
    return send(context, *options, api.patch(path_of(*options), body));
  });
}

void add_set(CLI::App& vm, Context& context) {
  auto* set = vm.add_subcommand(
      "set", "Change labels, autostart, HA, watchdog, what the planner may do, CPU model, firmware, cloud-init");
  const auto options = begin(*set);
  set->add_option("--label", options->labels, "KEY=VALUE; KEY= removes it (repeatable)")->allow_extra_args(false);
  set->add_option("--autostart", options->autostart, "on or off")->check(CLI::IsMember({"on", "off"}));
  set->add_option("--ha", options->ha, "restart: when its node is dead it starts on another one; or none")
      ->check(CLI::IsMember({"restart", "none"}));
  set->add_option(
         "--when-alone", options->when_alone,
         "With --ha restart, when its node hears neither the manager nor the shared pool: stop (it is stopped, "
         "so that it starts elsewhere without power control), or keep (it runs on)")
      ->check(CLI::IsMember({"keep", "stop"}));
  set->add_option("--watchdog", options->watchdog,
                  "reset: a watchdog device resets it when its system stops feeding it; or off; at the next start")
      ->check(CLI::IsMember({"reset", "off"}));
  set->add_option("--restart-hung", options->restart_hung,
                  "Reset it when its guest agent has stopped answering for so long, such as 5m; or off");
  set->add_option("--cpu-model", options->cpu_model, "host or baseline; at the next start");
  set->add_option("--firmware", options->firmware, "bios or uefi; at the next start");
  options->planning.add_to(*set);
  options->cloud_init.add_to(*set);
  on_chosen(*set, context, [&context, options](ApiClient& api) -> Status {
    nlohmann::json body = nlohmann::json::object();
    if (!options->autostart.empty()) body["autostart"] = options->autostart == "on";
    if (!options->ha.empty()) body["ha"] = options->ha;
    if (!options->when_alone.empty()) body["when_alone"] = options->when_alone;
    if (!options->watchdog.empty()) body["watchdog"] = options->watchdog;
    if (!options->restart_hung.empty()) {
      const auto after = parse_length(options->restart_hung == "off" ? "0s" : options->restart_hung);
      if (!after) return fail(after.error());
      body["restart_hung"] = static_cast<std::uint64_t>(after->count());
    }
    if (!options->cpu_model.empty()) body["cpu_model"] = options->cpu_model;
    if (!options->firmware.empty()) body["firmware"] = options->firmware;
    if (!options->labels.empty()) {
      const auto current = api.get("/vms/" + path_segment(options->name));
      if (!current) return forward(current);
      body["labels"] = current->value("labels", nlohmann::json::object());
      for (const auto& label : options->labels) {
        const auto pair = pair_from("--label", label);
        if (!pair) return forward(pair);
        body["labels"].erase(pair->first);
        if (!pair->second.empty()) body["labels"][pair->first] = pair->second;
      }
    }
    options->planning.put(body);
    auto seed = options->cloud_init.body();
    if (!seed) return forward(seed);
    if (!seed->empty()) body["cloud_init"] = std::move(*seed);
    if (body.empty()) return fail(ErrorCode::invalid_argument, "nothing to change; see: bh vm set --help");
    return send(context, *options, api.patch(path_of(*options), body));
  });
}

void add_disk(CLI::App& vm, Context& context) {
  auto& disk = add_noun(vm, "disk", "Disks of a guest");
  auto* add = disk.add_subcommand("add", "Add a disk, while it runs");
  const auto options = begin(*add);
  add->add_option("--size", options->disk_size, "Such as 20GiB")->required();
  add->add_option("--layout", options->layout, "narrow, wide or automatic (by size); see: bh vm create");
  add->add_option("--image", options->image, "Golden image to clone (none: blank)");
  on_chosen(*add, context, [&context, options](ApiClient& api) -> Status {
    nlohmann::json body = {{"size", options->disk_size}};
    if (!options->layout.empty()) body["layout"] = options->layout;
    if (!options->image.empty()) body["image"] = options->image;
    return send(context, *options, api.post(path_of(*options, "/disks"), body));
  });
  auto* remove = disk.add_subcommand("remove", "Remove a disk and delete its content");
  const auto gone = begin(*remove);
  const auto yes = std::make_shared<bool>(false);
  remove->add_option("disk", gone->value, "Such as disk1")->required();
  remove->add_flag("-y,--yes", *yes, "Don't ask");
  on_chosen(*remove, context, [&context, gone, yes](ApiClient& api) -> Status {
    const auto question = fmt::format("Delete {} of {} with all that is on it?", gone->value, gone->name);
    if (auto sure = context.confirm(question, *yes || gone->flags.dry_run); !sure) return sure;
    return send(context, *gone, api.remove(path_of(*gone, "/disks/" + path_segment(gone->value))));
  });
}

void add_nic(CLI::App& vm, Context& context) {
  auto& nic = add_noun(vm, "nic", "Network interfaces of a guest");
  auto* add = nic.add_subcommand("add", "Add a NIC, while it runs");
  const auto options = begin(*add);
  add->add_option("--network", options->network, "Which network")->required();
  add->add_option("--vlan", options->vlan, "VLAN tag");
  add->add_option("--mac", options->mac, "MAC address (default: one of ours)");
  on_chosen(*add, context, [&context, options](ApiClient& api) -> Status {
    nlohmann::json body = {{"network", options->network}};
    if (options->vlan) body["vlan"] = *options->vlan;
    if (!options->mac.empty()) body["mac"] = options->mac;
    return send(context, *options, api.post(path_of(*options, "/nics"), body));
  });
  auto* remove = nic.add_subcommand("remove", "Remove a NIC");
  const auto gone = begin(*remove);
  remove->add_option("nic", gone->value, "Such as nic1")->required();
  on_chosen(*remove, context, [&context, gone](ApiClient& api) {
    return send(context, *gone, api.remove(path_of(*gone, "/nics/" + path_segment(gone->value))));
  });
}

}  // namespace

void add_vm_change_commands(CLI::App& vm, Context& context) {
  auto* rename = vm.add_subcommand("rename", "Give a guest another name; it may run");
  const auto options = begin(*rename);
  rename->add_option("new-name", options->value, "The new name")->required();
  on_chosen(*rename, context, [&context, options](ApiClient& api) {
    return send(context, *options, api.patch(path_of(*options), {{"name", options->value}}));
  });
  add_resize(vm, context);
  add_set(vm, context);
  add_disk(vm, context);
  add_nic(vm, context);
}

}  // namespace bridgehead::cli
