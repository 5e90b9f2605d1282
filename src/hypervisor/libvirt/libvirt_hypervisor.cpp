#include "hypervisor/libvirt/libvirt_hypervisor.h"

#include <sys/stat.h>

#include <libvirt/libvirt-qemu.h>

#include "base/file.h"
#include "base/log.h"
#include "hypervisor/libvirt/addresses.h"
#include "hypervisor/libvirt/connection.h"
#include "hypervisor/libvirt/console_stream.h"
#include "hypervisor/libvirt/disk_jobs.h"
#include "hypervisor/libvirt/domains.h"
#include "hypervisor/libvirt/guest_counters.h"
#include "hypervisor/libvirt/live_changes.h"
#include "hypervisor/libvirt/migration.h"
#include "hypervisor/libvirt/nat_networks.h"
#include "hypervisor/libvirt/snapshots.h"
#include "hypervisor/vlan_bridge.h"

namespace bridgehead::hypervisor {
namespace {

constexpr log::Message kAnnounceFailed{"GUESTS_NOT_LISTED",
                                       "After a reconnect to libvirtd its guests could not be listed; "
                                       "their states are noticed with the next look."};

// Changes whenever the seed file is made anew.
std::string seed_stamp(const std::filesystem::path& seed) {
  struct stat status {};
  if (seed.empty() || ::stat(seed.c_str(), &status) != 0) return {};
  return fmt::format("{}.{}", status.st_ino, status.st_mtim.tv_sec * 1'000'000'000 + status.st_mtim.tv_nsec);
}

GuestMetadata metadata_of(const GuestConfig& config) {
  GuestMetadata metadata{
      .id = config.id, .generation = config.generation, .lease = config.lease, .seed = seed_stamp(config.seed)};
  for (const auto& nic : config.nics) {
    if (nic.vlan && nic.network.empty()) metadata.vlans.emplace_back(nic.bridge, *nic.vlan);
  }
  return metadata;
}

class LibvirtHypervisor final : public Hypervisor {
 public:
  LibvirtHypervisor(LibvirtOptions options, CommandRunner& commands)
      : options_(std::move(options)),
        commands_(commands),
        slow_(options_.uri, {}),
        moves_(options_.uri, {}),
        jobs_(options_.uri, {}),
        connection_(options_.uri,
                    {.lifecycle = [this](virDomainPtr domain, int event) { on_lifecycle(domain, event); },
                     .agent = [this](virDomainPtr domain) { emit(domain, GuestEventKind::agent_changed); },
                     .device = [this](virDomainPtr domain, std::string alias,
                                      bool removed) { waits_.on_device(id_of(domain).str(), alias, removed); },
                     .reconnected = [this] { announce_all(); }}) {}

  Result<HypervisorInfo> info() override { return connection_.call(&read_info); }

  Result<std::vector<GuestInfo>> list() override { return connection_.call(&describe_all); }

  Result<std::vector<GuestCounters>> counters() override { return connection_.call(&count_guests); }

  Result<GuestInfo> get(const model::VmId& id) override {
    return connection_.call([&](virConnectPtr connection) -> Result<GuestInfo> {
      const auto found = find_domain(connection, id);
      if (!found) return forward(found);
      if (!*found) return GuestInfo{.id = id};
      auto info = describe(*found);
      if (!info && info.error().code == ErrorCode::not_found) return GuestInfo{.id = id};  // removed meanwhile
      return info;
    });
  }

  Result<GuestInfo> configure(const GuestConfig& config) override {
    if (auto ready = check_config(config); !ready) return forward(ready);
    return connection_.call([&](virConnectPtr connection) -> Result<GuestInfo> {
      const auto found = find_domain(connection, config.id);
      if (!found) return forward(found);
      return *found ? reconfigure(connection, *found, config) : define_new(connection, config);
    });
  }

  Status start(const model::VmId& id) override {
    return with_domain(slow_, id, [&](const FoundDomain& found) -> Status {
      for (const auto& [bridge, tag] : found.metadata.vlans) {
        if (auto ensured = ensure_vlan_bridge(commands_, bridge, tag); !ensured) return ensured;
      }
      if (::virDomainCreate(found.domain.get()) == 0) return {};
      auto failed = fail_libvirt("start the guest");
      if (::virDomainIsActive(found.domain.get()) == 1) return {};  // it ran already
      return failed;
    });
  }

  Status request_shutdown(const model::VmId& id) override {
    return with_domain(id, [&](const FoundDomain& found) -> Status {
      if (!still_runs(found) || goes_down(found)) return {};
      auto sent = check(::virDomainShutdownFlags(found.domain.get(), VIR_DOMAIN_SHUTDOWN_ACPI_POWER_BTN),
                        "ask the guest to shut down");
      // Its agent is asked as well: some guests ignore the button. A guest that is going down doesn't answer any more.
      if (const auto live = read_domain(found.domain.get(), 0); live && live->agent_connected) {
        const CString answer(::virDomainQemuAgentCommand(found.domain.get(), R"({"execute":"guest-shutdown"})",
                                                         static_cast<int>(options_.agent_timeout.count()), 0));
      }
      return still_runs(found) && !goes_down(found) ? sent : Status{};
    });
  }

  Status power_off(const model::VmId& id) override {
    return slow_.call([&](virConnectPtr connection) -> Status {
      const auto found = find_domain(connection, id);
      if (!found) return forward(found);
      return *found ? destroy(*found) : Status{};
    });
  }

  Status reboot(const model::VmId& id, bool force) override {
    return with_domain(id, [&](const FoundDomain& found) -> Status {
      if (auto running = require_running(found); !running) return running;
      if (force) return check(::virDomainReset(found.domain.get(), 0), "reset the guest");
      return check(::virDomainReboot(found.domain.get(), VIR_DOMAIN_REBOOT_ACPI_POWER_BTN), "ask the guest to reboot");
    });
  }

  Status pause(const model::VmId& id) override {
    return with_domain(id, [&](const FoundDomain& found) -> Status {
      if (auto running = require_running(found); !running) return running;
      return check(::virDomainSuspend(found.domain.get()), "pause the guest");
    });
  }

  Status resume(const model::VmId& id) override {
    return with_domain(id, [&](const FoundDomain& found) -> Status {
      if (auto running = require_running(found); !running) return running;
      const auto condition = condition_of(found.domain.get());
      if (!condition) return forward(condition);
      if (condition->state == GuestState::running) return {};
      return check(::virDomainResume(found.domain.get()), "resume the guest");
    });
  }

  Status set_autostart(const model::VmId& id, bool on) override {
    return with_domain(id, [&](const FoundDomain& found) {
      return check(::virDomainSetAutostart(found.domain.get(), on ? 1 : 0), "set the guest's autostart");
    });
  }

  Status remove(const model::VmId& id) override {
    return slow_.call([&](virConnectPtr connection) -> Status {
      const auto found = find_domain(connection, id);
      if (!found) return forward(found);
      return *found ? remove_found(*found) : Status{};
    });
  }

  Status migrate(const model::VmId& id, const MigrationRoute& route, MigrationMode mode, const ProgressSink& progress,
                 std::stop_token stop) override {
    const auto ask = [&](const std::function<void(virDomainPtr)>& question) {
      (void)with_domain(jobs_, id, [&](const FoundDomain& found) -> Status {
        question(found.domain.get());
        return {};
      });
    };
    return moves_.call([&](virConnectPtr connection) -> Status {
      const auto found = require_domain(connection, id);
      if (!found) return forward(found);
      if (auto running = require_running(*found); !running) return running;
      return hypervisor::migrate(*found, route, mode, ask, progress, stop);
    });
  }

  Result<std::optional<DiskInUse>> disk_in_use(const model::VmId& id, const std::string& name) override {
    return slow_.call([&](virConnectPtr connection) -> Result<std::optional<DiskInUse>> {
      const auto found = find_domain(connection, id);
      if (!found) return forward(found);
      return *found ? hypervisor::disk_in_use(*found, name) : std::optional<DiskInUse>();
    });
  }
  Status move_disk(const model::VmId& id, const GuestDisk& to, const std::function<Status()>& in_step,
                   const ProgressSink& progress, std::stop_token stop) override {
    return with_domain(moves_, id, [&](const FoundDomain& found) -> Status {
      if (auto running = require_running(found); !running) return running;
      return hypervisor::move_disk(found, to, in_step, progress, stop);
    });
  }
  Status flatten_disk(const model::VmId& id, const std::string& name, const ProgressSink& progress,
                      std::stop_token stop) override {
    return with_domain(moves_, id, [&](const FoundDomain& found) -> Status {
      if (auto running = require_running(found); !running) return running;
      return hypervisor::flatten_disk(found, name, progress, stop);
    });
  }
  Status end_disk_job(const model::VmId& id, const std::string& name) override {
    return with_domain(moves_, id, [&](const FoundDomain& found) { return hypervisor::end_disk_job(found, name); });
  }
  Status use_file(const model::VmId& id, const GuestDisk& disk) override {
    return slow_.call([&](virConnectPtr connection) -> Status {
      const auto found = require_domain(connection, id);
      if (!found) return forward(found);
      if (still_runs(*found)) {
        return fail(ErrorCode::failed_precondition, "the guest runs; its disk can't be exchanged under it");
      }
      return hypervisor::use_file(connection, *found, disk);
    });
  }

  Status create_snapshot(const model::VmId& id, const std::string& name) override {
    return with_domain(slow_, id, [&](const FoundDomain& found) { return hypervisor::create_snapshot(found, name); });
  }
  Status rollback_snapshot(const model::VmId& id, const std::string& name) override {
    return slow_.call([&](virConnectPtr connection) -> Status {
      const auto found = require_domain(connection, id);
      if (!found) return forward(found);
      return hypervisor::rollback_snapshot(connection, *found, name);
    });
  }
  Status remove_snapshot(const model::VmId& id, const std::string& name) override {
    return slow_.call([&](virConnectPtr connection) -> Status {
      const auto found = find_domain(connection, id);
      if (!found) return forward(found);
      return *found ? hypervisor::remove_snapshot(*found, name) : Status{};
    });
  }

  Result<std::unique_ptr<ConsoleStream>> open_console(const model::VmId& id, bool take_over) override {
    return connection_.call([&](virConnectPtr connection) -> Result<std::unique_ptr<ConsoleStream>> {
      const auto found = require_domain(connection, id);
      if (!found) return forward(found);
      if (auto running = require_running(*found); !running) return forward(running);
      return open_console_stream(connection, found->domain.get(), take_over);
    });
  }

  Result<UniqueFd> open_vnc(const model::VmId& id) override {
    return connection_.call([&](virConnectPtr connection) -> Result<UniqueFd> {
      const auto found = require_domain(connection, id);
      if (!found) return forward(found);
      if (auto running = require_running(*found); !running) return forward(running);
      UniqueFd fd(::virDomainOpenGraphicsFD(found->domain.get(), 0, VIR_DOMAIN_OPEN_GRAPHICS_SKIPAUTH));
      if (!fd) return fail_libvirt("open the guest's screen");
      return fd;
    });
  }

  Result<std::vector<std::string>> addresses(const model::VmId& id, GuestAgent& agent) override {
    return connection_.call([&](virConnectPtr connection) -> Result<std::vector<std::string>> {
      agent = GuestAgent::away;
      const auto found = find_domain(connection, id);
      if (!found) return forward(found);
      if (!*found || !still_runs(*found)) return std::vector<std::string>{};
      return read_addresses(found->domain.get(), options_.agent_timeout, agent);
    });
  }

  Result<std::string> ask_agent(const model::VmId& id, const std::string& command,
                                std::chrono::seconds patience) override {
    return connection_.call([&](virConnectPtr connection) -> Result<std::string> {
      const auto found = require_domain(connection, id);
      if (!found) return forward(found);
      if (auto running = require_running(*found); !running) return forward(running);
      const CString answer(
          ::virDomainQemuAgentCommand(found->domain.get(), command.c_str(), static_cast<int>(patience.count()), 0));
      if (!answer) return fail_libvirt("ask the guest's agent");
      return std::string(answer.get());
    });
  }

  Result<GuestProcess> process_of(const model::VmId& id) override {
    return connection_.call([&](virConnectPtr connection) -> Result<GuestProcess> {
      const auto found = require_domain(connection, id);
      if (!found) return forward(found);
      const auto live = read_domain(found->domain.get(), 0);
      if (!live) return forward(live);
      const auto text = read_file("/run/libvirt/qemu/" + domain_name(id) + ".pid", 1_KiB);
      const int process = text ? std::atoi(text->c_str()) : 0;
      if (process <= 0) return fail(ErrorCode::not_found, "guest {} doesn't run here", id);
      return GuestProcess{.id = process, .kvm = live->config.kvm};
    });
  }

  Status ensure_network(const model::Network& network) override {
    if (network.kind == model::NetworkKind::bridge) {
      if (auto present = check_bridge(network.bridge); !present || !network.vlan) return present;
      return ensure_vlan_bridge(commands_, network.bridge, *network.vlan);
    }
    return connection_.call(
        [&](virConnectPtr connection) { return ensure_nat_network(connection, commands_, network); });
  }

  Status remove_network(const model::NetworkId& id) override {
    return connection_.call([&](virConnectPtr connection) { return remove_nat_network(connection, commands_, id); });
  }

  void on_event(std::function<void(const GuestEvent&)> handler) override {
    {
      const std::lock_guard lock(handler_mutex_);
      handler_ = std::move(handler);
    }
    connection_.keep_open();
  }

 private:
  template <typename Action>
  static Status with_domain(Connection& through, const model::VmId& id, Action&& action) {
    return through.call([&](virConnectPtr connection) -> Status {
      const auto found = require_domain(connection, id);
      if (!found) return forward(found);
      return action(*found);
    });
  }
  template <typename Action>
  Status with_domain(const model::VmId& id, Action&& action) {
    return with_domain(connection_, id, std::forward<Action>(action));
  }

  static bool still_runs(const FoundDomain& found) { return ::virDomainIsActive(found.domain.get()) == 1; }
  // It has shut down, and libvirt is about to end its QEMU: whoever asks it once more is told that it doesn't run.
  static bool goes_down(const FoundDomain& found) {
    int state = 0;
    return ::virDomainGetState(found.domain.get(), &state, nullptr, 0) == 0 && state == VIR_DOMAIN_SHUTDOWN;
  }

  static Status require_running(const FoundDomain& found) {
    const int active = ::virDomainIsActive(found.domain.get());
    if (active < 0) return fail_libvirt("read the guest's state");
    if (active == 1) return {};
    return fail_with_hint(ErrorCode::failed_precondition, "the guest isn't running", "Start it first.");
  }

  static Status destroy(const FoundDomain& found) {
    if (!still_runs(found) || ::virDomainDestroyFlags(found.domain.get(), 0) == 0) return {};
    auto failed = fail_libvirt("power the guest off");
    return still_runs(found) ? Status(failed) : Status{};  // it may have ended by itself
  }

  Status check_config(const GuestConfig& config) {
    if (!is_uuid(config.id.str())) return fail(ErrorCode::invalid_argument, "'{}' is not a VM id", config.id);
    if (config.cpus == 0 || config.memory.count() == 0)
      return fail(ErrorCode::invalid_argument, "a guest needs CPUs and memory");
    for (const auto& nic : config.nics) {
      if (!nic.network.empty()) continue;
      auto ready = nic.vlan ? ensure_vlan_bridge(commands_, nic.bridge, *nic.vlan) : check_bridge(nic.bridge);
      if (!ready) return ready;
    }
    return {};
  }

  Result<GuestInfo> define_new(virConnectPtr connection, const GuestConfig& config) {
    auto machine = machine_type(connection);
    if (!machine) return forward(machine);
    Pinned pinned;
    pinned.machine = std::move(*machine);
    const auto defined = define(connection, domain_xml(config, pinned, metadata_of(config)));
    if (!defined) return forward(defined);
    return GuestInfo{.id = config.id,
                     .state = GuestState::stopped,
                     .generation = config.generation,
                     .lease = config.lease,
                     .cpus = config.cpus,
                     .memory = config.memory};
  }

  // Asked once: a new QEMU only comes with a new libvirtd or agent start, and older machine types stay.
  Result<std::string> machine_type(virConnectPtr connection) {
    const std::lock_guard lock(machine_mutex_);
    if (!machine_.empty()) return machine_;
    const auto info = read_info(connection);
    if (!info) return forward(info);
    return machine_ = info->machine_type;
  }

  Result<GuestInfo> reconfigure(virConnectPtr connection, const FoundDomain& found, const GuestConfig& config) {
    auto stored = read_domain(found.domain.get(), VIR_DOMAIN_XML_INACTIVE);
    if (!stored) return forward(stored);
    auto metadata = metadata_of(config);
    auto pinned = std::move(stored->pinned);
    if (!still_runs(found)) {
      const auto defined = define(connection, domain_xml(config, pinned, metadata));
      if (!defined) return forward(defined);
      return describe({DomainPtr(::virDomainLookupByUUIDString(connection, config.id.str().c_str())), metadata});
    }
    auto live = read_domain(found.domain.get(), 0);
    if (!live) return forward(live);
    const LiveContext context{found.domain.get(), waits_, options_.unplug_timeout};
    const auto applied = apply_live(context, *live, config);
    if (!applied.held_disks.empty()) {
      return fail_with_hint(ErrorCode::failed_precondition,
                            fmt::format("the guest does not let {} go", fmt::join(applied.held_disks, ", ")),
                            "Unmount it in the guest, or stop the guest; then remove it again.");
    }
    // A plugged device keeps the place that it got, so that the guest finds it there after its next start too.
    if (applied.devices_changed) live = read_domain(found.domain.get(), 0);
    if (!live) return forward(live);
    for (const auto& [key, address] : live->pinned.addresses) pinned.addresses.insert_or_assign(key, address);
    for (const auto& [name, target] : live->pinned.targets) pinned.targets.insert_or_assign(name, target);
    const auto defined = define(connection, domain_xml(config, pinned, metadata));
    if (!defined) return forward(defined);
    metadata.restart_required = !applied.waiting.empty();
    if (found.metadata.seed != metadata.seed) insert_seed(found, config);
    if (auto written = write_metadata(found.domain.get(), metadata, VIR_DOMAIN_AFFECT_LIVE); !written)
      return forward(written);
    FoundDomain now{DomainPtr(::virDomainLookupByUUIDString(connection, config.id.str().c_str())), metadata};
    return describe(now);
  }

  // A seed made anew is another file under the same name: the drive must be told, for the guest's next boot.
  static void insert_seed(const FoundDomain& found, const GuestConfig& config) {
    if (config.seed.empty()) return;
    constexpr unsigned kFlags = unsigned{VIR_DOMAIN_DEVICE_MODIFY_LIVE} | unsigned{VIR_DOMAIN_DEVICE_MODIFY_FORCE};
    (void)::virDomainUpdateDeviceFlags(found.domain.get(), seed_xml(config.seed).c_str(), kFlags);
  }

  static Status remove_found(const FoundDomain& found) {
    const auto definition = read_domain(found.domain.get(), VIR_DOMAIN_XML_INACTIVE);
    if (!definition && definition.error().code == ErrorCode::not_found) return {};
    if (!definition) return forward(definition);
    if (auto off = destroy(found); !off) return off;
    const unsigned flags = VIR_DOMAIN_UNDEFINE_MANAGED_SAVE | VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA |
                           VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA | VIR_DOMAIN_UNDEFINE_NVRAM;
    if (::virDomainUndefineFlags(found.domain.get(), flags) < 0 && last_libvirt_code() != VIR_ERR_NO_DOMAIN) {
      return fail_libvirt("remove the guest");
    }
    const auto& config = definition->config;
    if (!config.nvram.empty()) {
      if (auto removed = remove_snapshot_files(config.nvram); !removed) return removed;
    }
    return config.console_log.empty() ? Status{} : remove_file(config.console_log);
  }

  void on_lifecycle(virDomainPtr domain, int event) {
    // Our own doing, and looked at when it is done; a look now would hold up the start that follows.
    if (event == VIR_DOMAIN_EVENT_DEFINED) return;
    emit(domain, event == VIR_DOMAIN_EVENT_UNDEFINED ? GuestEventKind::removed : GuestEventKind::state_changed);
  }

  void emit(virDomainPtr domain, GuestEventKind kind) {
    const auto id = id_of(domain);
    const char* name = ::virDomainGetName(domain);
    if (name == nullptr || name != domain_name(id)) return;  // not ours
    emit(id, kind);
  }

  void emit(const model::VmId& id, GuestEventKind kind) {
    std::function<void(const GuestEvent&)> handler;
    {
      const std::lock_guard lock(handler_mutex_);
      handler = handler_;
    }
    if (handler) handler({id, kind});
  }

  // What happened while libvirtd was away is unknown.
  void announce_all() {
    const auto guests = list();
    if (!guests) return log::warning(kAnnounceFailed, "{}", guests.error().describe());
    for (const auto& guest : *guests) emit(guest.id, GuestEventKind::state_changed);
  }

  const LibvirtOptions options_;
  CommandRunner& commands_;
  UnplugWaits waits_;
  std::mutex handler_mutex_;
  std::function<void(const GuestEvent&)> handler_;
  std::mutex machine_mutex_;
  std::string machine_;
  // libvirtd serves five calls of a connection at once (max_client_requests). Calls that take long have one of their
  // own, and migrations another, so that looking at guests never waits behind starts, nor starts behind migrations, nor
  // what is asked and told of a migration behind other ones.
  Connection slow_;
  Connection moves_;
  Connection jobs_;
  Connection connection_;  // last: its threads use the others
};

}  // namespace

std::unique_ptr<Hypervisor> make_libvirt_hypervisor(LibvirtOptions options, CommandRunner& commands) {
  return std::make_unique<LibvirtHypervisor>(std::move(options), commands);
}

}  // namespace bridgehead::hypervisor
