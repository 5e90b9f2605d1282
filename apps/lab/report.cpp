#include "lab/report.h"

#include "lab/host_places.h"
#include "lab/lab_manager.h"
#include "lab/machine_power.h"

namespace bridgehead::lab {

using nlohmann::json;

std::string condition(const Places& places, const LabState& state) {
  if (is_locked(places)) return "busy";
  const auto why = why_crashed(state, look_around(places, state));
  return why.empty() ? "up" : "crashed: " + why;
}

namespace {

json member_json(const Member& member) {
  const bool on = is_running(member.process);
  return {{"name", member.name},
          {"address", member.address},
          {"power", on ? "on" : "off"},
          {"pid", on ? json(member.process.pid) : json(nullptr)}};
}

json storage_json(const Places& places, const Storage& storage) {
  const auto source = pool_source(storage);
  json servers = json::array();
  for (const auto& server : storage.servers) {
    servers.push_back(member_json(server));
    servers.back()["log"] = (places.storage() / (server.name + ".log")).native();
  }
  json value{{"kind", model::to_string(storage.kind)},
             {"source", source.source},
             {"options", source.options},
             {"pool", storage.pool},
             {"servers", servers}};
  // For clients on this machine: the options' path is that of the lab's hosts.
  if (storage.kind == StorageKind::cephfs) value["ceph_config"] = ceph_config(places).native();
  return value;
}

std::string storage_line(const json& storage) {
  std::string options;
  for (const auto& option : storage["options"]) options += ", " + option.get<std::string>();
  const auto pool = storage["pool"].get<std::string>();
  return fmt::format("storage    {} at {}{}, {}\n", storage["kind"].get<std::string>(),
                     storage["source"].get<std::string>(), options, pool.empty() ? "no pool" : "pool " + pool);
}

void add_members(std::string& text, std::string_view title, const json& members, unsigned mbit) {
  if (members.empty()) return;
  text += fmt::format("\n{:<11} {:<5} {:<16} {}\n", title, "POWER", "ADDRESS", "NIC");
  for (const auto& member : members) {
    text +=
        fmt::format("{:<11} {:<5} {:<16} {}\n", member["name"].get<std::string>(), member["power"].get<std::string>(),
                    member["address"].get<std::string>(), mbit == 0 ? "no limit" : fmt::format("{} Mbit/s", mbit));
  }
}

}  // namespace

json status_json(const Places& places, const LabState& state, const std::string& condition) {
  json machines = json::array();
  for (const auto& entry : state.machines) {
    const auto& machine = entry.machine;
    const bool on = is_on(entry);
    machines.push_back({{"name", machine.name},
                        {"power", on ? "on" : "off"},
                        {"pid", on ? json(entry.process.pid) : json(nullptr)},
                        {"firmware", model::to_string(machine.firmware)},
                        {"rom", model::to_string(machine.rom)},
                        {"nic", model::to_string(machine.nic)},
                        {"boot", model::to_string(machine.boot)},
                        {"memory", machine.memory.count()},
                        {"cpus", machine.cpus},
                        {"mac", machine.macs.front()},
                        {"macs", machine.macs},
                        {"uuid", machine.uuid},
                        {"serial", machine.serial},
                        {"log", places.serial_log(machine.name).native()},
                        {"console", places.serial_socket(machine.name).native()},
                        {"qmp", places.qmp_socket(machine.name).native()}});
  }
  json hosts = json::array();
  for (const auto& host : state.hosts) {
    hosts.push_back(member_json(host));
    hosts.back()["log"] = places.host_log(host.name).native();
    hosts.back()["agent_log"] = places.host(host.name).native() + kHostDaemonLogs + "/agent.log";
    hosts.back()["libvirt_log"] = places.host(host.name).native() + kHostDaemonLogs + "/libvirtd.log";
  }
  json storages = json::array();
  for (const auto& storage : state.storage) storages.push_back(storage_json(places, storage));
  json manager = nullptr;
  if (state.with_manager) {
    const bool running = is_running(state.manager);
    manager = {{"server", fmt::format("https://{}:{}", state.addresses().manager(), kApiPort)},
               {"running", running},
               {"pid", running ? json(state.manager.pid) : json(nullptr)},
               {"log", places.manager_log().native()}};
  }
  return {{"name", state.name},
          {"condition", condition},
          {"created", to_rfc3339(state.created)},
          {"directory", places.directory().native()},
          {"namespace", places.network_namespace()},
          {"subnet", state.subnet.text()},
          {"upstream", model::to_string(state.upstream)},
          {"accelerator", model::to_string(state.accelerator)},
          {"why_emulated", state.why_emulated},
          {"netboot", state.netboot},
          {"manager", manager},
          {"machines", machines},
          {"hosts", hosts},
          {"nic_mbit", state.nic_mbit},
          {"storage", storages}};
}

std::string status_text(const json& status) {
  const auto& manager = status["manager"];
  std::string text = fmt::format(
      "lab        {}\ncondition  {}\nnetwork    {} in namespace {}, upstream {}\nmanager    {}\naccel      {}\n"
      "directory  {}\n",
      status["name"].get<std::string>(), status["condition"].get<std::string>(), status["subnet"].get<std::string>(),
      status["namespace"].get<std::string>(), status["upstream"].get<std::string>(),
      manager.is_null() ? std::string("none")
                        : fmt::format("{} ({})", manager["server"].get<std::string>(),
                                      manager["running"].get<bool>() ? "running" : "stopped"),
      status["accelerator"].get<std::string>(), status["directory"].get<std::string>());
  for (const auto& storage : status["storage"]) text += storage_line(storage);
  const auto mbit = status["nic_mbit"].get<unsigned>();
  add_members(text, "HOST", status["hosts"], mbit);
  for (const auto& storage : status["storage"]) add_members(text, "SERVER", storage["servers"], mbit);
  if (status["machines"].empty()) return text;
  text += fmt::format("\n{:<11} {:<5} {:<12} {:<8} {:<18} {:<9} {}\n", "MACHINE", "POWER", "FIRMWARE", "NIC ROM", "MAC",
                      "MEMORY", "CPUS");
  for (const auto& machine : status["machines"]) {
    text += fmt::format("{:<11} {:<5} {:<12} {:<8} {:<18} {:<9} {}\n", machine["name"].get<std::string>(),
                        machine["power"].get<std::string>(), machine["firmware"].get<std::string>(),
                        machine["rom"].get<std::string>(), machine["mac"].get<std::string>(),
                        Bytes(machine["memory"].get<std::uint64_t>()).human(), machine["cpus"].get<unsigned>());
  }
  return text;
}

std::string exports(const std::map<std::string, std::string>& variables) {
  std::string text;
  for (const auto& [name, value] : variables) {
    std::string quoted;
    for (const char c : value) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
    text += fmt::format("export {}='{}'\n", name, quoted);
  }
  return text;
}

}  // namespace bridgehead::lab
