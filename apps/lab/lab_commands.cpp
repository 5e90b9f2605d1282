// up, down, status, list.
#include "lab/commands.h"
#include "lab/lab.h"
#include "lab/machine_power.h"
#include "lab/report.h"

namespace bridgehead::lab {
namespace {

// As typed; checked when the command runs, so that all errors look alike.
struct UpFlags {
  unsigned machines = 0;
  bool machines_given = false;
  std::string memory = "1GiB";
  unsigned cpus = 1;
  std::string firmware = "bios";
  std::string rom;
  std::string nic = "virtio";
  unsigned nics = 1;
  std::vector<std::string> extra;
  unsigned hosts = 0;
  std::vector<std::string> storage;
  bool no_pools = false;
  unsigned nic_mbit = UpOptions().nic_mbit;
  std::string subnet;
  std::string upstream = "host";
  std::string accelerator = "auto";
  std::string method;
  std::string root;
  std::string image;
  std::string agent_package;
  std::string recipes;
  bool no_netboot = false;
  bool no_manager = false;
  bool off = false;
};

Result<std::vector<MachineWish>> wishes(const UpFlags& flags) {
  MachineWish common{.nics = flags.nics, .cpus = flags.cpus};
  const auto memory = parse_bytes(flags.memory);
  const auto firmware = model::parse_enum<Firmware>(flags.firmware);
  const auto nic = model::parse_enum<NicModel>(flags.nic);
  if (!memory) return forward(memory);
  if (!firmware) return forward(firmware);
  if (!nic) return forward(nic);
  common.memory = *memory;
  common.firmware = *firmware;
  common.nic = *nic;
  if (!flags.rom.empty()) {
    const auto rom = model::parse_enum<NicRom>(flags.rom);
    if (!rom) return forward(rom);
    common.rom = *rom;
  }
  const bool others = !flags.extra.empty() || flags.hosts > 0;
  const unsigned alike = flags.machines_given ? flags.machines : (others ? 0 : 2);
  std::vector<MachineWish> all(std::min(alike, kMostMachines + 1), common);
  for (const auto& text : flags.extra) {
    auto wish = parse_wish(text, common);
    if (!wish) return forward(wish);
    all.push_back(std::move(*wish));
  }
  return all;
}

std::string absolute(const std::string& path) {
  return path.empty() ? "" : std::filesystem::absolute(path).lexically_normal().native();
}

Result<UpOptions> options_of(const UpFlags& flags) {
  auto machines = wishes(flags);
  const auto upstream = model::parse_enum<Upstream>(flags.upstream);
  const auto accelerator = model::parse_enum<AcceleratorWish>(flags.accelerator);
  if (!machines) return forward(machines);
  if (!upstream) return forward(upstream);
  if (!accelerator) return forward(accelerator);
  UpOptions options{.machines = std::move(*machines),
                    .subnet = flags.subnet,
                    .hosts = flags.hosts,
                    .pools = !flags.no_pools,
                    .nic_mbit = flags.nic_mbit,
                    .upstream = *upstream,
                    .accelerator = *accelerator,
                    .manager = !flags.no_manager,
                    .netboot = !flags.no_netboot && !flags.no_manager,
                    .power_on = !flags.off,
                    .boot = {.image = std::filesystem::exists(flags.image) ? absolute(flags.image) : flags.image},
                    .files = {absolute(flags.agent_package), absolute(flags.recipes)}};
  for (const auto& text : flags.storage) {
    const auto storage = parse_storage(text);
    if (!storage) return forward(storage);
    options.storage.push_back(*storage);
  }
  if (!flags.method.empty()) {
    const auto method = model::parse_enum<model::BootMethod>(flags.method);
    if (!method) return forward(method);
    options.boot.method = *method;
  }
  if (!flags.root.empty()) {
    const auto root = model::parse_enum<model::RootTransport>(flags.root);
    if (!root) return forward(root);
    options.boot.root = *root;
  }
  for (const auto& file : {options.files.agent_package, options.files.recipes}) {
    if (file.empty() || std::filesystem::exists(file)) continue;
    return fail(ErrorCode::not_found, "there is no {}", file);
  }
  if (!options.netboot && (options.boot.method || options.boot.root || !options.boot.image.empty())) {
    return fail(ErrorCode::invalid_argument, "--method, --root and --image say what netboot does, and there is none");
  }
  return options;
}

Status run_up(const CommandContext& context, const UpFlags& flags) {
  const auto options = options_of(flags);
  if (!options) return forward(options);
  SystemCommandRunner runner;
  const auto places = context.places();
  const auto state = bring_up(runner, places, *options, [&](const std::string& line) { context.tell(line); });
  if (!state) return forward(state);
  if (context.silent) return {};
  const auto name = context.name == "lab1" ? "" : " --name " + context.name;
  fmt::print("{}\n", status_text(status_json(places, *state, "up")));
  if (state->with_manager) fmt::print("Use its manager:  eval \"$(bridgehead-lab env{})\"\n", name);
  if (!state->machines.empty()) fmt::print("Watch a machine:  bridgehead-lab console MACHINE{}\n", name);
  if (!state->hosts.empty()) fmt::print("Work on a host:   bridgehead-lab run{} --host host1 -- COMMAND\n", name);
  fmt::print("Remove it all:    bridgehead-lab down{}\n", name);
  return {};
}

void add_up(CLI::App& app, CommandContext& context) {
  const auto flags = std::make_shared<UpFlags>();
  auto* up =
      app.add_subcommand("up", "Make a lab: network, manager, machines that boot over it, hosts, storage servers");
  auto* machines =
      up->add_option("--machines", flags->machines, "How many machines without disks (default: 2; with --hosts: 0)");
  up->add_option("--hosts", flags->hosts, "Hosts in namespaces, each with libvirtd and agent: nodes within seconds");
  up->add_option("--storage", flags->storage,
                 "Storage servers, each in a namespace: moosefs:5, cephfs:3, nfs or several of them; each is added as "
                 "the pool of that name")
      ->delimiter(',')
      ->type_name("KIND[:SERVERS]");
  up->add_flag("--no-pools", flags->no_pools, "The storage servers run, but no pool is added");
  up->add_option("--nic-rate", flags->nic_mbit, "Mbit/s of each host's and storage server's NIC; 0 = no limit")
      ->capture_default_str();
  up->add_option("--memory", flags->memory, "Of each machine")->capture_default_str();
  up->add_option("--cpus", flags->cpus, "Of each machine")->capture_default_str();
  up->add_option("--firmware", flags->firmware, "bios, uefi or uefi-secure (Secure Boot on)")->capture_default_str();
  up->add_option("--rom", flags->rom, "What the NIC brings: ipxe, or none (UEFI's own PXE client)");
  up->add_option("--nic", flags->nic, "virtio, e1000 or e1000e")->capture_default_str();
  up->add_option("--nics", flags->nics, "NICs of each machine, 1 to 4")->capture_default_str();
  up->add_option("--machine", flags->extra,
                 "One more machine, KEY=VALUE,... of name, firmware, rom, boot, nic, nics, memory, cpus; repeatable")
      ->type_name("KEY=VALUE,...");
  up->add_option("--subnet", flags->subnet, "Of the provisioning network (default: a free one, 10.77.0.0/24 first)");
  up->add_option("--upstream", flags->upstream,
                 "host: this host reaches the lab; nat: the lab also reaches what the host reaches; none")
      ->capture_default_str();
  up->add_option("--accel", flags->accelerator, "auto (KVM if a trial guest runs on it), kvm or tcg")
      ->capture_default_str();
  up->add_option("--method", flags->method, "What machines load first: ipxe, pxelinux or shim");
  up->add_option("--root", flags->root, "How machines get their root: nbd, nfs or ram");
  up->add_option("--image", flags->image,
                 "What machines boot: a root tree, tar or OCI layout, or a recipe's name such as debian-12 (default: "
                 "they are discovered and wait for one)");
  up->add_option("--agent-package", flags->agent_package, "The agent's .deb for node images (default: as installed)");
  up->add_option("--recipes", flags->recipes, "Directory of recipes (default: /etc/bridgehead/recipes)");
  up->add_flag("--no-netboot", flags->no_netboot, "Without DHCP and boot server");
  up->add_flag("--no-manager", flags->no_manager, "Without a manager, and so without netboot");
  up->add_flag("--off", flags->off, "Leave the machines switched off");
  up->callback([&context, flags, machines] {
    flags->machines_given = machines->count() > 0;
    context.chosen = [&context, flags] { return run_up(context, *flags); };
  });
}

Status run_status(const CommandContext& context, const std::string& format) {
  if (format != "table" && format != "json") {
    return fail(ErrorCode::invalid_argument, "-o: '{}' is neither table nor json", format);
  }
  const auto places = context.places();
  if (auto valid = check_name("lab", context.name); !valid) return valid;
  const auto state = load_state(places);
  if (!state) return forward(state);
  const auto status = status_json(places, *state, condition(places, *state));
  fmt::print("{}", format == "json" ? status.dump(2) + "\n" : status_text(status));
  return {};
}

Status run_list(const CommandContext& context) {
  fmt::print("{:<11} {:<9} {:<6} {:<19} {:<18} {}\n", "LAB", "MACHINES", "HOSTS", "STORAGE", "SUBNET", "CONDITION");
  for (const auto& name : list_labs(context.places().base())) {
    const Places places(context.places().base(), name);
    const auto state = load_state(places);
    if (!state) {
      fmt::print("{:<11} {:<9} {:<6} {:<19} {:<18} {}\n", name, "-", "-", "-", "-",
                 is_locked(places) ? "busy" : "no record");
      continue;
    }
    const auto on = std::count_if(state->machines.begin(), state->machines.end(),
                                  [](const LabMachine& machine) { return is_on(machine); });
    fmt::print("{:<11} {:<9} {:<6} {:<19} {:<18} {}\n", name, fmt::format("{}/{} on", on, state->machines.size()),
               state->hosts.size(), state->storage.empty() ? "-" : state->storage_kinds(), state->subnet.text(),
               condition(places, *state));
  }
  return {};
}

}  // namespace

void add_lab_commands(CLI::App& app, CommandContext& context) {
  add_up(app, context);
  app.add_subcommand("down", "Remove a lab, also one that crashed: nothing of it is left")->callback([&context] {
    context.chosen = [&context] {
      SystemCommandRunner runner;
      return bring_down(runner, context.places(), [&](const std::string& line) { context.tell(line); });
    };
  });
  const auto format = std::make_shared<std::string>("table");
  auto* status = app.add_subcommand("status", "A lab, its machines, hosts and storage");
  status->add_option("-o,--output", *format, "table or json")->capture_default_str();
  status->callback(
      [&context, format] { context.chosen = [&context, format] { return run_status(context, *format); }; });
  app.add_subcommand("list", "All labs of this host")->callback([&context] {
    context.chosen = [&context] { return run_list(context); };
  });
}

}  // namespace bridgehead::lab
