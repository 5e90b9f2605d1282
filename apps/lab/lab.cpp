#include "lab/lab.h"

#include <fcntl.h>

#include <algorithm>
#include <set>

#include "base/file.h"
#include "hypervisor/kvm_trial.h"
#include "lab/host.h"
#include "lab/lab_host.h"
#include "lab/machine_power.h"
#include "lab/network_namespace.h"
#include "lab/removal.h"

namespace bridgehead::lab {
namespace fs = std::filesystem;
namespace {

constexpr std::chrono::seconds kLockPatience{30};

Result<std::vector<Machine>> plan_machines(const std::string& lab, const std::vector<MachineWish>& wishes) {
  std::vector<Machine> machines;
  std::set<std::string> names;
  for (const auto& wish : wishes) {
    auto machine = make_machine(lab, static_cast<unsigned>(machines.size() + 1), wish);
    if (!machine) return forward(machine);
    if (!names.insert(machine->name).second) {
      return fail(ErrorCode::invalid_argument, "two machines are named '{}'", machine->name);
    }
    machines.push_back(std::move(*machine));
  }
  return machines;
}

Status require_all(const std::vector<NeededProgram>& programs) {
  for (const auto& needed : programs) {
    if (auto found = find_program(needed.program, needed.package); !found) return forward(found);
  }
  return {};
}

Status require_member_programs(const UpOptions& options) {
  if (options.hosts == 0 && options.storage.empty()) return {};
  if (auto found = find_program("tc", "iproute2"); !found) return forward(found);
  for (const auto& storage : options.storage) {
    if (auto found = require_all(server_programs(storage.kind)); !found) return found;
  }
  if (options.hosts == 0) return {};
  if (auto agent = find_own_program("bridgehead-agent"); !agent) return forward(agent);
  if (auto found = require_all({{"libvirtd", "libvirt-daemon-system"}, {kQemu, "qemu-system-x86"}}); !found)
    return found;
  for (const auto& storage : options.storage) {
    if (auto found = require_all(client_programs(storage.kind)); !found) return found;
    if (storage.kind != StorageKind::nfs || !options.pools) continue;
    if (auto client = require_nfs_client(); !client) return client;
  }
  return {};
}

Status require_programs(const UpOptions& options, const std::vector<Machine>& machines) {
  if (auto ip = find_program("ip", "iproute2"); !ip) return forward(ip);
  if (!machines.empty()) {
    if (auto qemu = find_program(kQemu, "qemu-system-x86"); !qemu) return forward(qemu);
  }
  if (options.upstream == Upstream::nat) {
    if (auto nft = find_program("nft", "nftables"); !nft) return forward(nft);
  }
  if (options.manager) {
    if (auto manager = find_own_program("bridgehead-manager"); !manager) return forward(manager);
    if (auto bh = find_own_program("bh"); !bh && options.netboot) return forward(bh);
  }
  for (const auto& machine : machines) {
    if (machine.firmware == Firmware::bios) continue;
    if (auto firmware = find_firmware(machine.firmware); !firmware) return forward(firmware);
  }
  return require_member_programs(options);
}

Status require_free_namespace(const Places& places, const std::string& name) {
  if (!fs::exists(fs::path("/run/netns") / name)) return {};
  return fail_with_hint(
      ErrorCode::already_exists,
      fmt::format("there is a network namespace {} that belongs to no lab in {}", name, places.base().native()),
      "Choose another --name, or remove it: ip netns delete.");
}

// Names and addresses; nothing is made.
Status plan_members(const Places& places, const UpOptions& options, LabState& state) {
  for (unsigned i = 1; i <= options.hosts; ++i) state.hosts.push_back({.name = fmt::format("host{}", i)});
  for (const auto& wish : options.storage) {
    auto& storage = state.storage.emplace_back(Storage{.kind = wish.kind});
    for (auto& name : server_names(wish)) storage.servers.push_back({.name = std::move(name)});
  }
  state.nic_mbit = options.nic_mbit;
  const auto addresses = state.addresses();
  unsigned next = 0;
  const auto settle = [&](Member& member) -> Status {
    member.address = addresses.member(next++);
    const bool taken = std::any_of(state.machines.begin(), state.machines.end(),
                                   [&](const LabMachine& machine) { return machine.machine.name == member.name; });
    if (taken) {
      return fail(ErrorCode::invalid_argument, "'{}' is the name of a host or storage server of the lab", member.name);
    }
    return require_free_namespace(places, places.member_namespace(member.name));
  };
  for (auto& host : state.hosts) {
    if (auto settled = settle(host); !settled) return settled;
  }
  for (auto& storage : state.storage) {
    for (auto& server : storage.servers) {
      if (auto settled = settle(server); !settled) return settled;
    }
  }
  return {};
}

Result<Subnet> plan_subnet(CommandRunner& runner, const UpOptions& options) {
  // Without a link to the host nothing of the host's can be hidden.
  if (options.upstream == Upstream::none) return choose_subnet(options.subnet, {});
  const auto listed = runner.run({.program = "ip", .arguments = {"-j", "-4", "route", "show", "table", "all"}});
  if (!listed) return forward(listed);
  const auto routes = parse_routes(listed->out.empty() ? "[]" : listed->out);
  if (!routes) return forward(routes);
  return choose_subnet(options.subnet, *routes);
}

// A lab of this name that runs is an error, a crashed one is removed.
Status make_room(CommandRunner& runner, const Places& places, const LabLock& lock, const Tell& tell) {
  if (lock.created()) return {};
  auto old = load_state(places);
  if (!old && old.error().code == ErrorCode::not_found) {
    // Ended between making the directory and writing the record; keep the locked directory.
    std::error_code error;
    fs::remove(places.state_file().native() + ".new", error);
    if (fs::is_empty(places.directory(), error)) return {};
    return remove_unrecorded(places);
  }
  if (!old) return forward(old);
  const auto why = why_crashed(*old, look_around(places, *old));
  if (why.empty()) {
    return fail_with_hint(
        ErrorCode::already_exists, fmt::format("lab {} is up", places.lab()),
        fmt::format("Remove it with bridgehead-lab down --name {}, or choose another --name.", places.lab()));
  }
  tell(fmt::format("lab {} had crashed ({}): removing what it left", places.lab(), why));
  return remove_lab(runner, places, *old);
}

Status run_all(CommandRunner& runner, const std::vector<Command>& commands) {
  for (const auto& command : commands) {
    if (const auto done = runner.run(command); !done) return forward(done);
  }
  return {};
}

Status apply(const std::vector<Setting>& settings) {
  for (const auto& setting : settings) {
    const auto path = "/proc/sys/" + setting.file;
    const auto file = open_file(path, O_WRONLY);
    if (!file) return forward(file);
    if (auto written = write_all(file->get(), setting.value, path); !written) return written;
  }
  return {};
}

Status make_whole_network(CommandRunner& runner, const Places& places, LabState& state) {
  const auto addresses = state.addresses();
  if (auto made = run_all(runner, make_network(places, addresses)); !made) return made;
  state.network_namespace_inode = namespace_inode(places.namespace_file()).value_or(0);
  if (auto saved = save_state(places, state); !saved) return saved;
  for (const auto& machine : state.machines) {
    if (auto made = run_all(runner, make_taps(places, machine.machine)); !made) return made;
  }
  if (auto made = run_all(runner, make_upstream(places, addresses, state.upstream)); !made) return made;
  const auto set = run_in_namespace(places.namespace_file(), [&] { return apply(namespace_settings(state.upstream)); });
  if (!set) return set;
  return state.upstream == Upstream::nat ? set_host_forwarding(true) : Status();
}

Status make_member_networks(CommandRunner& runner, const Places& places, LabState& state) {
  unsigned number = kMostMachines;
  const auto make = [&](Member& member, MemberKind kind) -> Status {
    const auto mac = mac_address(places.lab(), ++number, 1);
    const auto commands = make_member(places, state.addresses(), member, kind, state.nic_mbit, mac);
    if (auto made = run_all(runner, commands); !made) return made;
    member.namespace_inode = namespace_inode(places.namespace_file_of(member.name)).value_or(0);
    return {};
  };
  for (auto& host : state.hosts) {
    if (auto made = make(host, MemberKind::host); !made) return made;
  }
  for (auto& storage : state.storage) {
    for (auto& server : storage.servers) {
      if (auto made = make(server, MemberKind::server); !made) return made;
    }
  }
  return save_state(places, state);
}

Status start_hosts(CommandRunner& runner, const Places& places, LabState& state, const SaveState& save,
                   const Tell& tell) {
  for (auto& host : state.hosts) {
    tell(fmt::format("host {} at {}", host.name, host.address));
    if (auto prepared = prepare_host(runner, places, state, host); !prepared) return prepared;
    if (auto on = switch_host_on(places, host, save); !on) return on;
  }
  return {};
}

// The logs go with what was made, so the error has what they say.
Status with_ends_of_hosts(Status failed, const Places& places, const LabState& state) {
  for (const auto& host : state.hosts) {
    if (is_on(host)) continue;
    failed.error().message +=
        fmt::format("; {} has ended, its log says:\n{}", host.name, last_lines(places.host_log(host.name)));
  }
  return failed;
}

Status start_servers(CommandRunner& runner, const Places& places, LabState& state, const SaveState& save,
                     const Tell& tell) {
  for (auto& storage : state.storage) {
    std::string names;
    for (const auto& server : storage.servers) names += (names.empty() ? "" : ", ") + server.name;
    tell(fmt::format("{} on {}", model::to_string(storage.kind), names));
    if (auto started = start_storage(runner, places, storage, save); !started) return started;
  }
  return {};
}

Status make_machine_files(const Places& places, const Machine& machine) {
  if (auto made = make_directories(places.machine(machine.name), 0700); !made) return made;
  if (machine.firmware == Firmware::bios) return {};
  const auto firmware = find_firmware(machine.firmware);
  if (!firmware) return forward(firmware);
  const auto variables = read_file(firmware->variables);
  if (!variables) return forward(variables);
  return write_file_atomic(places.firmware_variables(machine.name), *variables);
}

Status choose_accelerator(CommandRunner& runner, AcceleratorWish wish, LabState& state) {
  if (wish == AcceleratorWish::tcg) {
    state.accelerator = Accelerator::tcg;
    state.why_emulated = "as asked for";
    return {};
  }
  const auto trial = hypervisor::try_kvm(runner);
  state.accelerator = trial.virtualization == model::Virtualization::kvm ? Accelerator::kvm : Accelerator::tcg;
  state.why_emulated = trial.message;
  if (trial.virtualization == model::Virtualization::none) {
    return fail(ErrorCode::failed_precondition, "no machine can run here: {}", trial.message);
  }
  if (wish == AcceleratorWish::kvm && state.accelerator != Accelerator::kvm) {
    return fail(ErrorCode::failed_precondition, "KVM does not work here: {}", trial.message);
  }
  return {};
}

Result<LabState> plan(CommandRunner& runner, const Places& places, const UpOptions& options,
                      const std::vector<Machine>& machines) {
  LabState state{.name = places.lab(),
                 .created = SystemClock().now(),
                 .boot_id = boot_id(),
                 .upstream = options.upstream,
                 .with_manager = options.manager,
                 .netboot = options.manager && options.netboot};
  const auto subnet = plan_subnet(runner, options);
  if (!subnet) return forward(subnet);
  state.subnet = *subnet;
  if (state.upstream == Upstream::nat) {
    const auto forwards = host_forwards();
    if (!forwards) return forward(forwards);
    state.forwarding_was_off = !*forwards || another_found_it_off(places);
  }
  if (auto free = require_free_namespace(places, places.network_namespace()); !free) return forward(free);
  const auto meminfo = read_file("/proc/meminfo");
  if (!meminfo) return forward(meminfo);
  const auto available = available_memory(*meminfo);
  if (!available) return forward(available);
  if (auto enough = require_memory(machines, *available); !enough) return forward(enough);
  for (const auto& machine : machines) state.machines.push_back({machine, {}});
  if (auto planned = plan_members(places, options, state); !planned) return forward(planned);
  if (auto fits = require_room(state.addresses(), machines.size()); !fits) return forward(fits);
  if (machines.empty()) return state;
  if (auto chosen = choose_accelerator(runner, options.accelerator, state); !chosen) return forward(chosen);
  return state;
}

Status build(CommandRunner& runner, const Places& places, const UpOptions& options, LabState& state, const Tell& tell) {
  const SaveState save = [&] { return save_state(places, state); };
  if (auto saved = save(); !saved) return saved;
  tell(fmt::format("network {} in namespace {}", state.subnet.text(), places.network_namespace()));
  if (auto made = make_whole_network(runner, places, state); !made) return made;
  for (const auto& machine : state.machines) {
    if (auto made = make_machine_files(places, machine.machine); !made) return made;
  }
  if (auto made = make_member_networks(runner, places, state); !made) return made;
  if (auto started = start_servers(runner, places, state, save, tell); !started) return started;
  if (state.with_manager) {
    tell(fmt::format("manager at https://{}:{}", state.addresses().manager(), kApiPort));
    if (auto written = write_manager_configuration(places, state, options.files); !written) return written;
    if (auto started = start_manager(places, state, save); !started) return started;
  }
  if (state.netboot) {
    tell(options.boot.image.empty() ? "netboot" : fmt::format("netboot, and node image {}", options.boot.image));
    if (auto enabled = enable_netboot(runner, places, state, options.boot); !enabled) return enabled;
  }
  if (auto started = start_hosts(runner, places, state, save, tell); !started) return started;
  if (state.with_manager && (!state.storage.empty() || !state.hosts.empty())) {
    const bool pools = options.pools && !state.storage.empty();
    tell(pools ? fmt::format("pools {} and network lan", state.storage_kinds()) : "network lan");
    auto added = add_pools_and_network(runner, places, state, pools);
    if (!added) return with_ends_of_hosts(std::move(added), places, state);
  }
  for (auto& machine : state.machines) {
    if (!options.power_on) break;
    tell(fmt::format("machine {} ({}, {})", machine.machine.name, model::to_string(machine.machine.firmware),
                     machine.machine.memory.human()));
    if (auto on = switch_on(places, state.accelerator, machine, save); !on) return on;
  }
  state.phase = Phase::up;
  return save();
}

}  // namespace

Result<LabState> bring_up(CommandRunner& runner, const Places& places, const UpOptions& options, const Tell& tell) {
  if (auto valid = check_name("lab", places.lab()); !valid) return forward(valid);
  if (!options.subnet.empty()) {
    if (auto valid = parse_lab_subnet(options.subnet); !valid) return forward(valid);
  }
  if (options.hosts > kMostHosts) {
    return fail(ErrorCode::invalid_argument, "a lab has at most {} hosts", kMostHosts);
  }
  if (options.hosts > 0 && !options.manager) {
    return fail(ErrorCode::invalid_argument, "hosts need the manager: leave out --no-manager or --hosts");
  }
  std::set<StorageKind> kinds;
  for (const auto& storage : options.storage) {
    if (kinds.insert(storage.kind).second) continue;
    return fail(ErrorCode::invalid_argument, "--storage: {} is there twice", model::to_string(storage.kind));
  }
  const auto machines = plan_machines(places.lab(), options.machines);
  if (!machines) return forward(machines);
  if (auto fits = require_short_paths(places.base()); !fits) return forward(fits);
  if (auto root = require_root(); !root) return forward(root);
  if (auto found = require_programs(options, *machines); !found) return forward(found);

  auto lock = LabLock::acquire(places, LabLock::Directory::create, kLockPatience);
  if (!lock) return forward(lock);
  if (auto room = make_room(runner, places, *lock, tell); !room) return forward(room);
  if (!fs::exists(places.directory())) {  // a crashed lab went with its directory, and the lock with that
    lock = LabLock::acquire(places, LabLock::Directory::create, kLockPatience);
    if (!lock) return forward(lock);
    if (!lock->created()) return fail(ErrorCode::conflict, "another bridgehead-lab has made lab '{}'", places.lab());
  }
  auto state = plan(runner, places, options, *machines);
  if (!state) {
    (void)remove_unrecorded(places);
    return state;
  }
  if (state->accelerator == Accelerator::tcg && !state->machines.empty()) {
    tell(fmt::format("machines run without KVM: {}", state->why_emulated));
  }
  if (auto built = build(runner, places, options, *state, tell); !built) {
    tell("it failed: removing what was made");
    auto error = built.error();
    if (auto removed = remove_lab(runner, places, *state); !removed) {
      error.hint += fmt::format(" What was made could not be removed: {}.", removed.error().describe());
    }
    return fail(std::move(error));
  }
  return state;
}

Status bring_down(CommandRunner& runner, const Places& places, const Tell& tell) {
  if (auto valid = check_name("lab", places.lab()); !valid) return valid;
  if (auto root = require_root(); !root) return root;
  const auto lock = LabLock::acquire(places, LabLock::Directory::must_exist, kLockPatience);
  if (!lock) return forward(lock);
  auto state = load_state(places);
  if (!state && state.error().code == ErrorCode::not_found) return remove_unrecorded(places);
  if (!state) return forward(state);
  tell(fmt::format("removing lab {}", places.lab()));
  return remove_lab(runner, places, *state);
}

}  // namespace bridgehead::lab
