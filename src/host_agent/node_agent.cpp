#include "host_agent/node_agent.h"

#include "host_agent/assignments/assignments.h"
#include "host_agent/assignments/undo_creation.h"
#include "host_agent/autostart.h"
#include "host_agent/facts/host_facts.h"
#include "host_agent/facts/host_load.h"
#include "host_agent/facts/node_facts.h"
#include "host_agent/host_sleep.h"
#include "host_agent/housekeeper.h"
#include "host_agent/messages.h"
#include "host_agent/pool_beats.h"
#include "host_agent/remembered.h"
#include "host_agent/secret_files.h"
#include "host_agent/upgrade/agent_upgrade.h"
#include "host_agent/use_meter.h"

namespace bridgehead::host_agent {
namespace {

constexpr char kSecretsLane[] = "secret files";

}  // namespace

// Members in the order of their making; stop() ends them in the other direction.
struct NodeAgent::State {
  State(NodeAgentConfig config_, NodeAgentParts parts_, std::unique_ptr<Journal> journal_, const Identity& identity)
      : config(std::move(config_)),
        parts(std::move(parts_)),
        journal(std::move(journal_)),
        files(config.state_dir),
        secrets(*journal, config.files_root, config.state_dir),
        events(parts.hypervisor),
        pools(
            parts.open_pool, [this](const model::OperationId& id) { return journal->is_unfinished(id); }, config.pools),
        migration{.paths = config.migration, .identity = [this] { return present_identity(); }},
        gates(migration),
        leases({.hypervisor = parts.hypervisor,
                .pools = pools,
                .journal = *journal,
                .send = [this](std::string renewal) { session.send_renewal(std::move(renewal)); },
                .running = [this] { return running_guests(); },
                .look = [this](const model::VmId& vm) { watcher.look(vm); },
                .start_again =
                    [this](const model::VmId& vm) {
                      executor.run_in_lane(lane_of(vm), [this, vm] { autostart_one(vm); });
                    },
                .watchdog_changed = [this] { session.send_report(); }},
               {.ends_file = config.state_dir / "lease-ends.json",
                .watchdog = config.watchdog,
                .host_root = config.host_root,
                .boot = read_boot_id(config.host_root)},
               identity.node, parts.random),
        services{.hypervisor = parts.hypervisor,
                 .pools = pools,
                 .journal = *journal,
                 .events = events,
                 .files = files,
                 .uploads = uploads,
                 .memory = memory,
                 .gates = gates,
                 .migration = migration,
                 .clock = parts.clock,
                 .node = identity.node,
                 .capacity = [this] { return capacity(); },
                 .import_directories = config.import_directories,
                 .timings = config.tasks,
                 .leases = &leases},
        assignments(services),
        session(identity, IdentityFile(config.state_dir), parts.clock, parts.random, session_handlers(),
                config.session),
        facts(parts.hypervisor, parts.kvm,
              {.root = config.host_root, .state_dir = config.state_dir, .agent_version = config.version}),
        watcher(parts.hypervisor, events, *journal, parts.clock,
                {.changed = [this](const model::ObservedVm& seen) { session.send(seen); },
                 .gone = [this](const model::VmId& vm) { session.send_gone(vm); },
                 .available = [this](const auto& infos) { on_hypervisor(infos); }},
                config.watch),
        executor(
            *journal, parts.clock,
            [this](const model::Assignment& assignment, const Task& task) {
              auto outcome = assignments.run(assignment, task);
              if (const auto* move = std::get_if<model::MoveDisk>(&assignment.body)) start_late(move->vm);
              // Before the assignment's end: whoever waits for a pool must find it usable when the wait is over.
              if (std::holds_alternative<model::EnsurePool>(assignment.body)) session.send_report();
              return outcome;
            },
            [this](const model::AssignmentReport& report) { session.send(report); },
            [this](const model::VmId& vm) { watcher.look(vm); }, config.executor),
        housekeeper(pools,
                    {.collect_facts = [this] { return facts.collect(look); },
                     .leftovers = [this] { undo_leftovers(); },
                     .changed =
                         [this] {
                           session.send_report();
                           if (session.connected()) say_well();
                         }},
                    {.round = config.housekeeping}),
        beats(pools, identity.node),
        meter(
            parts.hypervisor, config.host_root,
            [this](const model::NodeUse& use) {
              if (takes_use) session.send(use);
            },
            config.measuring),
        sleep({.root = config.host_root}),
        upgrade({.state_dir = config.state_dir,
                 .config = config.config_file,
                 .program = config.program,
                 .root = config.host_root,
                 .version = config.version},
                parts.commands),
        tunnels(
            parts.hypervisor, pools, files, uploads,
            [this](const model::TunnelId& id) { return session.dial_tunnel(id); },
            [this](const model::TunnelId& id, const Error& error) { session.refuse_tunnel(id, error); },
            [this](const model::OperationId& operation) { return journal->is_unfinished(operation); },
            [this] { return fall_asleep(); },
            [this](const AgentUpgrade::More& more) -> Result<std::string> {
              const auto answer = upgrade.serve(more);
              return answer ? Result<std::string>(text_of(*answer)) : forward(answer);
            }) {}

  SessionHandlers session_handlers();
  model::NodeLoad load() const;
  HostCapacity capacity();
  Result<Identity> present_identity() const;
  model::NodeReport report();
  void want_all_facts();
  void on_welcome(const WelcomeMessage& welcome);
  void on_hypervisor(const std::vector<hypervisor::GuestInfo>& infos);
  std::optional<std::set<model::VmId>> running_guests() const;
  void use(const Remembered& what);
  void remove_gone(const model::Network& network);
  void autostart(const std::vector<hypervisor::GuestInfo>& infos);
  void autostart_one(const model::VmId& vm);
  void start_late(const model::VmId& vm);
  void undo_leftovers();
  void remove_forsaken_files();
  void take_secrets(SecretSet set);
  Status fall_asleep();
  void say_well();

  NodeAgentConfig config;
  NodeAgentParts parts;
  std::unique_ptr<Journal> journal;
  GuestFiles files;
  SecretFiles secrets;
  GuestEvents events;
  PoolRegistry pools;
  UploadRendezvous uploads;
  MemoryBudget memory;
  MigrationHost migration;
  MigrationGates gates;
  LeaseGuard leases;
  NodeServices services;
  Assignments assignments;
  Session session;
  FactsCollector facts;
  std::atomic<FactsCollector::Look> look = FactsCollector::Look::first;
  GuestWatcher watcher;
  Executor executor;
  Housekeeper housekeeper;
  PoolBeats beats;
  std::atomic<bool> takes_use = false;  // the manager
  std::atomic<bool> looked = false;     // at the guests
  UseMeter meter;
  HostSleep sleep;
  AgentUpgrade upgrade;
  Tunnels tunnels;
};

SessionHandlers NodeAgent::State::session_handlers() {
  return {.report = [this] { return report(); },
          .load = [this] { return load(); },
          .welcome = [this](const WelcomeMessage& welcome) { on_welcome(welcome); },
          .assign = [this](const model::Assignment& assignment) { executor.assign(assignment); },
          .cancel = [this](const model::OperationId& operation) { executor.cancel(operation); },
          .acknowledge = [this](const model::OperationId& operation) { executor.acknowledge(operation); },
          .open_tunnel = [this](const TunnelOrder& order) { tunnels.open(order); },
          .secrets = [this](SecretSet set) { take_secrets(std::move(set)); },
          .lease_answer = [this](const std::string& answer) { leases.answered(answer); }};
}

model::NodeLoad NodeAgent::State::load() const {
  auto now = read_host_load(config.host_root);
  now.guest_disk_ms = meter.guest_disk_ms();
  return now;
}

// On a worker, which may wait: without the trial's answer a guest would get the slow CPU for good, or one that can't
// run.
HostCapacity NodeAgent::State::capacity() {
  want_all_facts();
  housekeeper.wait_for_all_facts(std::chrono::seconds(150));  // longer than both of its trials
  const auto known = housekeeper.facts();
  return {.cpus = known.cpus,
          .memory_available = read_host_load(config.host_root).memory_available,
          .kvm = known.virtualization == model::Virtualization::kvm};
}

// The session renews it in its file.
Result<Identity> NodeAgent::State::present_identity() const {
  auto identity = IdentityFile(config.state_dir).load();
  if (!identity) return forward(identity);
  if (!*identity) return fail(ErrorCode::failed_precondition, "this node has no certificate");
  return std::move(**identity);
}

// Those of which it isn't known count.
std::optional<std::set<model::VmId>> NodeAgent::State::running_guests() const {
  if (!looked) return std::nullopt;
  std::set<model::VmId> running;
  for (const auto& seen : watcher.all()) {
    const auto phase = seen.status.phase;
    if (phase != model::VmPhase::stopped && phase != model::VmPhase::failed) running.insert(seen.vm);
  }
  return running;
}

model::NodeReport NodeAgent::State::report() {
  auto known = housekeeper.facts();
  known.watchdog_message = leases.no_watchdog();
  known.watchdog = known.watchdog_message.empty();
  return {.facts = std::move(known),
          .load = load(),
          .vms = watcher.all(),
          .pools = pools.statuses(),
          .assignments = executor.reports(),
          .secrets = secrets.report(),
          .answers_pings = true,
          .helps_imports = true};
}

// Once the manager knows of the node, or a guest is about to run.
void NodeAgent::State::want_all_facts() {
  if (look.exchange(FactsCollector::Look::whole) == FactsCollector::Look::first) housekeeper.poke();
}

void NodeAgent::State::on_welcome(const WelcomeMessage& welcome) {
  want_all_facts();
  takes_use = welcome.takes_use;
  leases.take_renewals(welcome.takes_renewals);
  say_well();
  const auto& wanted = welcome.pools;
  for (const auto& [id, status] : pools.statuses()) {
    if (std::none_of(wanted.begin(), wanted.end(), [&](const auto& pool) { return pool.id == id; })) pools.remove(id);
  }
  if (auto kept = remember(*journal, welcome.pools, welcome.networks); !kept)
    log::warning(messages::journal_failed, "{}", kept.error().describe());
  use({.pools = welcome.pools, .networks = welcome.networks, .gone_networks = remembered(*journal).gone_networks});
}

// On workers: attaching and libvirt may hang.
void NodeAgent::State::use(const Remembered& what) {
  for (const auto& pool : what.pools) {
    if (pool.deleting) continue;
    executor.run_in_lane(lane_of(pool.id), [this, pool] {
      // The reason of a pool that isn't ready is in its status, and logged.
      [[maybe_unused]] const auto attached = pools.ensure(pool);
      housekeeper.poke();
    });
  }
  for (const auto& network : what.networks) {
    if (network.deleting) continue;
    executor.run_in_lane(lane_of(network.id), [this, network] {
      if (auto ensured = parts.hypervisor.ensure_network(network); !ensured) {
        log::warning(messages::network_not_ready, "network {}: {}", network.name, ensured.error().describe());
      }
    });
  }
  for (const auto& network : what.gone_networks) {
    executor.run_in_lane(lane_of(network.id), [this, network] { remove_gone(network); });
  }
}

// Deleted while this node was away, so nobody told it to.
void NodeAgent::State::remove_gone(const model::Network& network) {
  const auto known = remembered(*journal);
  const auto is_it = [&](const model::Network& other) { return other.id == network.id; };
  if (std::any_of(known.networks.begin(), known.networks.end(), is_it)) return;  // it is back
  if (std::none_of(known.gone_networks.begin(), known.gone_networks.end(), is_it)) return;
  Status removed;
  if (network.kind == model::NetworkKind::nat) removed = parts.hypervisor.remove_network(network.id);
  if (removed) removed = forget(*journal, network.id);
  if (!removed) log::warning(messages::cleanup_incomplete, "network {}: {}", network.name, removed.error().describe());
}

void NodeAgent::State::on_hypervisor(const std::vector<hypervisor::GuestInfo>& infos) {
  looked = true;
  housekeeper.poke();
  use(remembered(*journal));
  autostart(infos);
}

void NodeAgent::State::autostart(const std::vector<hypervisor::GuestInfo>& infos) {
  const auto boot = read_boot_id(config.host_root);
  const auto known = journal->meta("boot_id");
  if (boot.empty() || boot == known) return;
  if (!known.empty()) {
    for (const auto& vm : guests_to_autostart(*journal, infos)) {
      executor.run_in_lane(lane_of(vm), [this, vm] { autostart_one(vm); });
    }
  }
  if (auto kept = journal->set_meta("boot_id", boot); !kept) {
    log::warning(messages::journal_failed, "{}", kept.error().describe());
  }
}

void NodeAgent::State::autostart_one(const model::VmId& vm) {
  if (!journal->meta(undecided_move(vm)).empty()) {  // which file its disk is; that is found out first
    if (auto kept = journal->set_meta(late_start(vm), "1"); !kept) {
      log::warning(messages::journal_failed, "{}", kept.error().describe());
    }
    return;
  }
  // Its pools are being attached in their own lanes; this waits for them.
  for (const auto& pool : remembered(*journal).pools) [[maybe_unused]] const auto attached = pools.ensure(pool);
  if (auto started = autostart_guest(services, vm)) {
    log::info(messages::guest_autostarted, "VM {}", vm);
  } else {
    log::error(messages::guest_autostart_failed, "VM {}: {}", vm, started.error().describe());
  }
  watcher.look(vm);
}

// A guest that waited for its disk's move to be decided.
void NodeAgent::State::start_late(const model::VmId& vm) {
  if (journal->meta(late_start(vm)).empty() || !journal->meta(undecided_move(vm)).empty()) return;
  executor.run_in_lane(lane_of(vm), [this, vm] {
    if (journal->set_meta(late_start(vm), "")) autostart_one(vm);
  });
}

// In a lane: sets are written in the order they come.
void NodeAgent::State::take_secrets(SecretSet set) {
  executor.run_in_lane(kSecretsLane, [this, set = std::move(set)]() mutable {
    secrets.apply(std::move(set));
    session.send_report();
  });
}

// The manager looks, too, but a guest may have been started since, by whomever.
Status NodeAgent::State::fall_asleep() {
  if (!journal->unfinished().empty()) return fail(ErrorCode::failed_precondition, "it has work that isn't done");
  const auto guests = parts.hypervisor.list();
  if (!guests) return forward(guests);
  for (const auto& guest : *guests) {
    if (!hypervisor::lives(guest.state)) continue;
    return fail(ErrorCode::failed_precondition, "a guest runs there: {}", guest.id);
  }
  return sleep.begin();
}

// To whoever has just installed this agent: the manager took its report, and guests can run here.
void NodeAgent::State::say_well() {
  if (housekeeper.facts().hypervisor_message.empty()) upgrade.is_well();
}

void NodeAgent::State::undo_leftovers() {
  executor.run_in_lane(kSecretsLane, [this] {
    if (secrets.retry()) session.send_report();
  });
  use({.gone_networks = remembered(*journal).gone_networks});
  remove_forsaken_files();
  for (const auto& [vm, creation] : journal->creations()) {
    if (journal->is_unfinished(creation.operation)) continue;
    executor.run_in_lane(lane_of(vm), [this, vm = vm] {
      const auto left = journal->creation(vm);
      if (!left || journal->is_unfinished(left->operation) || journal->applied(vm)) return;
      auto undone = undo_creation(services, vm, *left);
      if (undone) undone = journal->end_creation(vm);
      if (!undone) log::warning(messages::cleanup_incomplete, "VM {}: {}", vm, undone.error().describe());
      watcher.look(vm);
    });
  }
}

// Made ready for a guest that never came in.
void NodeAgent::State::remove_forsaken_files() {
  for (const auto& id : files.all()) {
    if (journal->applied(id) || journal->creation(id)) continue;
    executor.run_in_lane(lane_of(id), [this, id] {
      if (journal->applied(id) || journal->creation(id) || gates.is_open(id)) return;
      const auto guest = parts.hypervisor.get(id);
      if (!guest || guest->state != hypervisor::GuestState::absent) return;
      if (auto removed = files.remove(id); !removed) {
        log::warning(messages::cleanup_incomplete, "VM {}: {}", id, removed.error().describe());
      }
    });
  }
}

Result<std::unique_ptr<NodeAgent>> NodeAgent::create(NodeAgentConfig config, NodeAgentParts parts, Identity identity) {
  auto journal = Journal::open(parts.store);
  if (!journal) return forward(journal);
  if (auto made = make_directories(config.state_dir / "guests", 0711); !made) return forward(made);
  return std::unique_ptr<NodeAgent>(
      new NodeAgent(std::make_unique<State>(std::move(config), std::move(parts), std::move(*journal), identity)));
}

NodeAgent::NodeAgent(std::unique_ptr<State> state) : state_(std::move(state)) {}

NodeAgent::~NodeAgent() { stop(); }

void NodeAgent::start() {
  auto& all = *state_;
  // Pools that are known work without the manager.
  all.use(remembered(*all.journal));
  all.leases.start();
  all.housekeeper.start();
  // Before the first look: a guest that is started again after the node's reboot waits behind work on it, which may be
  // about which file its disk is.
  all.executor.recover();
  all.watcher.start();
  log::info(messages::agent_started, "version {}, node {}", all.config.version, all.services.node);
  // The first report should tell the truth; but a hypervisor that hangs must not keep the node from reporting at all.
  all.housekeeper.wait_for_facts(all.config.first_look);
  all.watcher.wait_for_first_look(all.config.first_look);
  all.session.start();
  // By the clock, so that it never counts on from where another run ended.
  all.beats.start(static_cast<std::uint64_t>(all.parts.clock.now().time_since_epoch() / std::chrono::milliseconds(1)));
  all.meter.start();
}

void NodeAgent::stop() {
  auto& all = *state_;
  all.leases.stop();         // which tells the manager
  all.executor.interrupt();  // before the uploads end, or their imports would count as failed
  all.tunnels.stop();
  all.executor.stop();
  all.meter.stop();
  all.beats.stop();
  all.session.stop();
  all.housekeeper.stop();
  all.watcher.stop();
}

bool NodeAgent::connected() const { return state_->session.connected(); }

}  // namespace bridgehead::host_agent
