#include "lab/lab_state.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/file.h"
#include "lab/network_namespace.h"

namespace bridgehead::lab {
namespace {

using nlohmann::json;

constexpr int kFormat = 3;

json to_json(const ProcessId& process) { return {{"pid", process.pid}, {"start_ticks", process.start_ticks}}; }

ProcessId process_from(const json& value) {
  return {value.at("pid").get<pid_t>(), value.at("start_ticks").get<std::uint64_t>()};
}

template <typename E>
E enum_from(const json& value) {
  const auto parsed = model::parse_enum<E>(value.get<std::string>());
  if (!parsed) throw std::invalid_argument(parsed.error().message);
  return *parsed;
}

json to_json(const LabMachine& entry) {
  const auto& machine = entry.machine;
  return {{"name", machine.name},
          {"number", machine.number},
          {"firmware", model::to_string(machine.firmware)},
          {"rom", model::to_string(machine.rom)},
          {"nic", model::to_string(machine.nic)},
          {"boot", model::to_string(machine.boot)},
          {"memory", machine.memory.count()},
          {"cpus", machine.cpus},
          {"uuid", machine.uuid},
          {"serial", machine.serial},
          {"macs", machine.macs},
          {"taps", machine.taps},
          {"process", to_json(entry.process)}};
}

LabMachine machine_from(const json& value) {
  LabMachine entry;
  auto& machine = entry.machine;
  machine.name = value.at("name").get<std::string>();
  machine.number = value.at("number").get<unsigned>();
  machine.firmware = enum_from<Firmware>(value.at("firmware"));
  machine.rom = enum_from<NicRom>(value.at("rom"));
  machine.nic = enum_from<NicModel>(value.at("nic"));
  machine.boot = enum_from<NetworkBoot>(value.at("boot"));
  machine.memory = Bytes(value.at("memory").get<std::uint64_t>());
  machine.cpus = value.at("cpus").get<unsigned>();
  machine.uuid = value.at("uuid").get<std::string>();
  machine.serial = value.at("serial").get<std::string>();
  machine.macs = value.at("macs").get<std::vector<std::string>>();
  machine.taps = value.at("taps").get<std::vector<std::string>>();
  entry.process = process_from(value.at("process"));
  // It names directories to be removed.
  if (!check_name("machine", machine.name)) throw std::invalid_argument("a machine's name");
  return entry;
}

json to_json(const Member& member) {
  return {{"name", member.name},
          {"address", member.address},
          {"namespace_inode", member.namespace_inode},
          {"process", to_json(member.process)},
          {"watchdog", to_json(member.watchdog)}};
}

Member member_from(const json& value) {
  Member member{.name = value.at("name").get<std::string>(),
                .address = value.at("address").get<std::string>(),
                .namespace_inode = value.at("namespace_inode").get<std::uint64_t>(),
                .process = process_from(value.at("process")),
                .watchdog = value.contains("watchdog") ? process_from(value.at("watchdog")) : ProcessId()};
  // It names a namespace to be removed.
  if (!check_name("host", member.name)) throw std::invalid_argument("a host's or server's name");
  return member;
}

json to_json(const Storage& storage);

template <typename T>
json list_of(const std::vector<T>& values) {
  json list = json::array();
  for (const auto& value : values) list.push_back(to_json(value));
  return list;
}

json to_json(const Storage& storage) {
  return {{"kind", model::to_string(storage.kind)}, {"servers", list_of(storage.servers)}, {"pool", storage.pool}};
}

Storage storage_from(const json& value) {
  Storage storage{.kind = enum_from<StorageKind>(value.at("kind")), .pool = value.at("pool").get<std::string>()};
  for (const auto& server : value.at("servers")) storage.servers.push_back(member_from(server));
  if (storage.servers.empty()) throw std::invalid_argument("storage without servers");
  return storage;
}

LabState state_from(const json& value) {
  if (value.at("format").get<int>() != kFormat) throw std::invalid_argument("another version's format");
  LabState state;
  state.name = value.at("name").get<std::string>();
  state.phase = enum_from<Phase>(value.at("phase"));
  const auto created = parse_rfc3339(value.at("created").get<std::string>());
  const auto subnet = Subnet::parse(value.at("subnet").get<std::string>());
  if (!created || !subnet || !check_name("lab", state.name)) throw std::invalid_argument("its name, time or subnet");
  state.created = *created;
  state.subnet = *subnet;
  state.boot_id = value.at("boot_id").get<std::string>();
  state.upstream = enum_from<Upstream>(value.at("upstream"));
  state.forwarding_was_off = value.at("forwarding_was_off").get<bool>();
  state.network_namespace_inode = value.at("network_namespace_inode").get<std::uint64_t>();
  state.accelerator = enum_from<Accelerator>(value.at("accelerator"));
  state.why_emulated = value.at("why_emulated").get<std::string>();
  state.with_manager = value.at("with_manager").get<bool>();
  state.manager_wanted = value.at("manager_wanted").get<bool>();
  state.manager = process_from(value.at("manager"));
  state.netboot = value.at("netboot").get<bool>();
  for (const auto& machine : value.at("machines")) state.machines.push_back(machine_from(machine));
  for (const auto& host : value.at("hosts")) state.hosts.push_back(member_from(host));
  for (const auto& storage : value.at("storage")) state.storage.push_back(storage_from(storage));
  state.nic_mbit = value.at("nic_mbit").get<unsigned>();
  return state;
}

Result<UniqueFd> open_lab_directory(const Places& places, LabLock::Directory directory, bool& created) {
  const auto path = places.directory();
  if (directory == LabLock::Directory::create) {
    if (auto made = make_directories(places.base(), 0755); !made) return forward(made);
    created = ::mkdir(path.c_str(), 0711) == 0;  // dnsmasq's own user reads what it serves below
    if (!created && errno != EEXIST && errno != ENOENT) {
      return fail_errno(errno, fmt::format("create directory {}", path.native()));
    }
  }
  auto opened = open_file(path, O_RDONLY | O_DIRECTORY);
  if (!opened && opened.error().code == ErrorCode::not_found && directory == LabLock::Directory::must_exist) {
    return fail_with_hint(ErrorCode::not_found, fmt::format("there is no lab '{}'", places.lab()),
                          "See bridgehead-lab list; make one with bridgehead-lab up.");
  }
  return opened;
}

bool is_still(const UniqueFd& opened, const std::filesystem::path& path) {
  struct stat held {};
  struct stat named {};
  return ::fstat(opened.get(), &held) == 0 && ::lstat(path.c_str(), &named) == 0 && held.st_ino == named.st_ino &&
         held.st_dev == named.st_dev;
}

}  // namespace

std::string LabState::storage_kinds() const {
  std::string kinds;
  for (const auto& one : storage) kinds += fmt::format("{}{}", kinds.empty() ? "" : ",", model::to_string(one.kind));
  return kinds;
}

std::vector<const Member*> LabState::members() const {
  std::vector<const Member*> all;
  for (const auto& host : hosts) all.push_back(&host);
  for (const auto& kind : storage) {
    for (const auto& server : kind.servers) all.push_back(&server);
  }
  return all;
}

const Member* LabState::find_host(std::string_view wanted) const {
  const auto found = std::find_if(hosts.begin(), hosts.end(), [&](const Member& host) { return host.name == wanted; });
  return found == hosts.end() ? nullptr : &*found;
}

Result<std::size_t> LabState::find_machine(std::string_view wanted) const {
  std::string names;
  for (std::size_t i = 0; i < machines.size(); ++i) {
    if (machines[i].machine.name == wanted) return i;
    names += (names.empty() ? "" : ", ") + machines[i].machine.name;
  }
  for (const auto& host : hosts) names += (names.empty() ? "" : ", ") + host.name;
  return fail_with_hint(ErrorCode::not_found, fmt::format("lab {} has no machine '{}'", name, wanted),
                        names.empty() ? "It has no machines." : fmt::format("It has: {}.", names));
}

std::string encode(const LabState& state) {
  const json value{{"format", kFormat},
                   {"name", state.name},
                   {"phase", model::to_string(state.phase)},
                   {"created", to_rfc3339(state.created)},
                   {"boot_id", state.boot_id},
                   {"subnet", state.subnet.text()},
                   {"upstream", model::to_string(state.upstream)},
                   {"forwarding_was_off", state.forwarding_was_off},
                   {"network_namespace_inode", state.network_namespace_inode},
                   {"accelerator", model::to_string(state.accelerator)},
                   {"why_emulated", state.why_emulated},
                   {"with_manager", state.with_manager},
                   {"manager_wanted", state.manager_wanted},
                   {"manager", to_json(state.manager)},
                   {"netboot", state.netboot},
                   {"machines", list_of(state.machines)},
                   {"hosts", list_of(state.hosts)},
                   {"storage", list_of(state.storage)},
                   {"nic_mbit", state.nic_mbit}};
  return value.dump(1) + "\n";
}

Result<LabState> decode(std::string_view text, std::string_view origin) {
  try {
    return state_from(json::parse(text));
  } catch (const std::exception& error) {
    return fail(ErrorCode::data_corrupt, "{} is not a lab's record: {}", origin, error.what());
  }
}

Result<LabState> load_state(const Places& places) {
  const auto text = read_file(places.state_file());
  if (!text && text.error().code == ErrorCode::not_found) {
    return fail_with_hint(ErrorCode::not_found, fmt::format("there is no lab '{}'", places.lab()),
                          "See bridgehead-lab list; make one with bridgehead-lab up.");
  }
  if (!text) return forward(text);
  auto state = decode(*text, places.state_file().native());
  if (state && state->name != places.lab()) {
    return fail(ErrorCode::data_corrupt, "{} is the record of another lab, '{}'", places.state_file().native(),
                state->name);
  }
  return state;
}

Status save_state(const Places& places, const LabState& state) {
  return write_file_atomic(places.state_file(), encode(state));
}

Found look_around(const Places& places, const LabState& state) {
  return {boot_id(), namespace_inode(places.namespace_file()), is_running(state.manager)};
}

std::string why_crashed(const LabState& state, const Found& found) {
  if (state.boot_id != found.boot_id) return "the host was restarted";
  if (state.phase == Phase::making) return "'up' did not come to its end";
  if (state.phase == Phase::removing) return "'down' did not come to its end";
  if (!found.network_namespace_inode) return "its network namespace is gone";
  if (*found.network_namespace_inode != state.network_namespace_inode) return "its network namespace is another one";
  if (state.manager_wanted && !found.manager_runs) return "its manager has ended";
  return "";
}

Result<LabLock> LabLock::acquire(const Places& places, Directory directory, std::chrono::seconds patience) {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  bool created = false;
  for (;;) {
    auto opened = open_lab_directory(places, directory, created);
    // `down` of another may remove what was there a moment ago.
    const bool vanished = !opened && opened.error().code == ErrorCode::not_found && directory == Directory::create;
    if (!opened && !vanished) return forward(opened);
    if (opened && ::flock(opened->get(), LOCK_EX | LOCK_NB) == 0) {
      if (is_still(*opened, places.directory())) return LabLock(std::move(*opened), created);
      continue;
    }
    if (opened && errno != EWOULDBLOCK && errno != EINTR) return fail_errno(errno, "lock the lab");
    if (std::chrono::steady_clock::now() >= deadline) {
      return fail_with_hint(ErrorCode::conflict,
                            fmt::format("another bridgehead-lab is working on lab '{}'", places.lab()),
                            "Wait until it has ended, then repeat.");
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
}

bool is_locked(const Places& places) {
  const auto opened = open_file(places.directory(), O_RDONLY | O_DIRECTORY);
  // A shared lock, so that two who only look don't take each other for a worker.
  return opened && ::flock(opened->get(), LOCK_SH | LOCK_NB) != 0;
}

std::vector<std::string> list_labs(const std::filesystem::path& base) {
  std::vector<std::string> names;
  for (const auto& path : list_directory(base).value_or(std::vector<std::filesystem::path>())) {
    std::error_code ignored;
    const auto name = path.filename().native();
    if (std::filesystem::is_directory(path, ignored) && check_name("lab", name)) names.push_back(name);
  }
  return names;
}

}  // namespace bridgehead::lab
