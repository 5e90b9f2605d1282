#include "manager/manager.h"

#include <unistd.h>

#include <mutex>

#include "agent_gateway/gateway.h"
#include "alert_desk/alert_desk.h"
#include "availability_desk/availability_desk.h"
#include "base/command.h"
#include "bench_desk/bench_desk.h"
#include "boot_services/local_boot_services.h"
#include "boot_services/remote_boot_services.h"
#include "control_api/server.h"
#include "energy_desk/energy_desk.h"
#include "manager/advertise.h"
#include "manager/bootstrap.h"
#include "manager/duties/look_at_plan.h"
#include "manager/duties/reissue_certificate.h"
#include "manager/duties/trim_history.h"
#include "manager/image_tools.h"
#include "manager/messages.h"
#include "manager/periodic.h"
#include "pki/certificate.h"
#include "pki/certificate_authority.h"
#include "pki/secret_box.h"
#include "power_desk/power_desk.h"
#include "provision/image_works.h"
#include "provision/netboot_service.h"
#include "reconcile/commands/commands.h"
#include "reconcile/commands/netboot.h"
#include "reconcile/problems.h"
#include "reconcile/reconciler.h"
#include "state/inventory.h"
#include "state/sqlite_store.h"
#include "upgrade_desk/upgrade_desk.h"

namespace bridgehead::manager {
namespace {

using control_api::ExtraMetric;

// An agent that has just connected sends its first heartbeat by its own default, whatever it was told: its silence must
// be longer than that to prove anything.
constexpr std::chrono::seconds kSurelyHeard{5};

std::vector<ExtraMetric> gateway_metrics(const agent_gateway::Gateway& gateway) {
  const auto numbers = gateway.numbers();
  return {{"bridgehead_agent_sessions",
           "Agents with an open stream.",
           ExtraMetric::Type::gauge,
           {},
           static_cast<double>(numbers.sessions)},
          {"bridgehead_agent_tunnels",
           "Open consoles and transfers through agents.",
           ExtraMetric::Type::gauge,
           {},
           static_cast<double>(numbers.tunnels)},
          {"bridgehead_agent_calls_refused_total",
           "Calls without a valid certificate or join token.",
           ExtraMetric::Type::counter,
           {},
           static_cast<double>(numbers.refused_calls)}};
}

}  // namespace

// In the order they are made; destroyed in the opposite one.
struct Manager::State {
  Config config;
  SystemClock clock;
  SystemRandom random;
  std::unique_ptr<state::StateStore> store;
  std::unique_ptr<state::Inventory> inventory;
  std::unique_ptr<pki::CertificateAuthority> authority;
  std::unique_ptr<pki::SecretBox> secrets;
  std::unique_ptr<agent_gateway::Gateway> gateway;
  std::unique_ptr<reconcile::Reconciler> reconciler;
  std::unique_ptr<reconcile::Commander> commander;
  SystemCommandRunner commands;
  std::unique_ptr<boot_services::BootServices> boot_services;
  std::unique_ptr<provision::NetbootService> netboot;
  std::unique_ptr<provision::ImageWorks> image_works;
  std::unique_ptr<power_desk::PowerDesk> power;
  std::unique_ptr<energy_desk::EnergyDesk> energy;
  std::unique_ptr<bench_desk::BenchDesk> bench;
  std::unique_ptr<upgrade_desk::UpgradeDesk> upgrades;
  std::unique_ptr<availability_desk::AvailabilityDesk> availability;
  alert_desk::CurlPoster poster;
  std::unique_ptr<alert_desk::AlertDesk> alerts;
  std::mutex api_mutex;  // a new certificate replaces the server while main may stop it
  std::unique_ptr<control_api::Server> api;
  std::uint16_t api_port = 0;
  bool stopped = false;
  std::unique_ptr<CertificateDuty> certificate_duty;
  std::unique_ptr<Periodic> trimming;
  std::unique_ptr<Periodic> reissuing;
  std::unique_ptr<reconcile::AutoPlanner> planner;
  std::unique_ptr<Periodic> planning;

  Status open_state();
  Result<pki::Identity> issue_identity() const;
  Status start_gateway(const pki::Identity& identity);
  Status start_netboot();
  void watch_over_nodes();
  void tell_alerts();
  Status start_api(const pki::Identity& identity);
  Status serve_identity(const pki::Identity& identity);
  void start_duties(const pki::Identity& identity);
  void stop();
};

Status Manager::State::open_state() {
  const auto& directory = config.state_dir;
  if (auto ready = prepare_state_directory(directory); !ready) return ready;
  auto opened = state::open_sqlite_store(directory / "state.db");
  if (!opened) return forward(opened);
  store = std::move(*opened);
  auto loaded = state::Inventory::open(*store, clock);
  if (!loaded) return forward(loaded);
  inventory = std::move(*loaded);
  auto ca = pki::CertificateAuthority::open(directory / "ca", clock, random);
  if (!ca) return forward(ca);
  authority = std::move(*ca);
  auto box = pki::SecretBox::open(directory / "secrets.key", random);
  if (!box) return forward(box);
  secrets = std::move(*box);
  const auto made = ensure_admin_token(*inventory, clock, random, directory);
  if (!made) return forward(made);
  if (*made) {
    log::info(first_start, "cluster {}; admin token: {}; CA certificate: {}", cluster_id_of(authority->fingerprint()),
              (*made)->string(), (directory / "ca" / "ca.pem").string());
  }
  return {};
}

Result<pki::Identity> Manager::State::issue_identity() const {
  const auto under = advertised(config, config.agent_listen.port);
  return authority->issue_server(under.names, under.addresses, server_certificate_validity);
}

Status Manager::State::start_gateway(const pki::Identity& identity) {
  agent_gateway::GatewayConfig settings;
  settings.address = config.agent_listen.address;
  settings.port = config.agent_listen.port;
  settings.tls_directory = config.state_dir / "tls";
  settings.manager_id = cluster_id_of(authority->fingerprint());
  settings.heartbeat = config.heartbeat;
  settings.stop_grace = std::chrono::seconds(2);
  gateway = std::make_unique<agent_gateway::Gateway>(
      settings, agent_gateway::GatewayDependencies{*inventory, *authority, clock, random, secrets.get()});
  reconciler = std::make_unique<reconcile::Reconciler>(
      *inventory, *gateway, clock, random, reconcile::Options{.limits = config.limits, .heartbeat = config.heartbeat});
  if (auto set = gateway->set_identity(identity); !set) return set;
  if (auto started = gateway->start(*reconciler); !started) return started;
  reconciler->start();
  return {};
}

// Where what serves machines can't be had the manager does all its other work.
Status Manager::State::start_netboot() {
  const auto& directory = config.netboot.directory;
  const auto fingerprint = pki::certificate_fingerprint(authority->certificate_pem());
  if (!fingerprint) return forward(fingerprint);
  if (::geteuid() == 0) {
    auto local = boot_services::LocalBootServices::open(directory, image_tools(config.netboot), clock, commands);
    if (!local) return forward(local);
    boot_services = std::move(*local);
  } else {
    boot_services = std::make_unique<boot_services::RemoteBootServices>(config.netboot.socket);
  }
  netboot = std::make_unique<provision::NetbootService>(
      *inventory, *boot_services, clock, random,
      provision::AgentDoor{.port = gateway->port(),
                           .ca_fingerprint = *fingerprint,
                           .probe = [this](const model::NodeId& node) { gateway->probe(node); }},
      directory, config.state_dir / "reading-lists");
  image_works = std::make_unique<provision::ImageWorks>(*inventory, *boot_services, reconciler->progress(), clock);
  return {};
}

void Manager::State::watch_over_nodes() {
  availability::Timing timing;
  // What renews leases are heartbeats: two may be lost.
  timing.suspect_after =
      std::max<availability::Span>(timing.suspect_after, std::max(config.heartbeat, kSurelyHeard) * 5 / 2);
  availability = std::make_unique<availability_desk::AvailabilityDesk>(
      availability_desk::DeskParts{.inventory = *inventory,
                                   .agents = *gateway,
                                   .tunnels = *gateway,
                                   .power = *power,
                                   .clock = clock,
                                   .random = random},
      availability_desk::DeskOptions{.timing = timing, .limits = config.limits});
  availability->start();
}

void Manager::State::tell_alerts() {
  alerts = std::make_unique<alert_desk::AlertDesk>(
      alert_desk::AlertDeskParts{.inventory = *inventory,
                                 .clock = clock,
                                 .secrets = *secrets,
                                 .poster = poster,
                                 .problems =
                                     [this] {
                                       return reconcile::find_problems({.inventory = *inventory,
                                                                        .now = clock.now(),
                                                                        .netboot = netboot.get(),
                                                                        .availability = availability.get(),
                                                                        .upgrades = upgrades.get()});
                                     }},
      alert_desk::AlertDeskOptions{
          .cluster = cluster_id_of(authority->fingerprint()),
          .settle = std::max<std::chrono::milliseconds>(alert_desk::AlertDeskOptions{}.settle, config.heartbeat * 3)});
  alerts->start();
}

Status Manager::State::start_api(const pki::Identity& identity) {
  control_api::ServerConfig settings;
  settings.address = config.listen.address;
  settings.port = api_port == 0 ? config.listen.port : api_port;
  settings.certificate_pem = identity.chain_pem;
  settings.private_key_pem = identity.key_pem;
  settings.ca_certificate_pem = authority->certificate_pem();
  settings.version = BRIDGEHEAD_VERSION;
  settings.cluster_id = cluster_id_of(authority->fingerprint());
  settings.agent_endpoint = advertised(config, gateway->port()).agent_endpoint;
  settings.stop_grace = std::chrono::seconds(3);
  api = std::make_unique<control_api::Server>(
      settings, control_api::ServerDependencies{.commander = *commander,
                                                .agents = *gateway,
                                                .tunnels = *gateway,
                                                .progress = reconciler->progress(),
                                                .reconcile_metrics = reconciler->metrics(),
                                                .extra_metrics = [this] { return gateway_metrics(*gateway); },
                                                .netboot = netboot.get(),
                                                .secrets = secrets.get(),
                                                .power = power.get(),
                                                .availability = availability.get(),
                                                .energy = energy.get(),
                                                .upgrades = upgrades.get()});
  if (auto started = api->start(); !started) {
    auto error = started.error();
    if (error.hint.empty())
      error.hint = "If another program, perhaps another manager, uses this port, choose another one (listen).";
    return fail(std::move(error));
  }
  api_port = api->port();
  return {};
}

// Agents keep their streams; REST clients connect again.
Status Manager::State::serve_identity(const pki::Identity& identity) {
  if (auto set = gateway->set_identity(identity); !set) return set;
  const std::lock_guard lock(api_mutex);
  if (stopped) return {};
  api->stop();
  return start_api(identity);
}

void Manager::State::start_duties(const pki::Identity& identity) {
  certificate_duty = std::make_unique<CertificateDuty>(
      clock, identity, [this] { return issue_identity(); },
      [this](const pki::Identity& fresh) { return serve_identity(fresh); });
  trimming = std::make_unique<Periodic>(std::chrono::minutes(1), std::chrono::minutes(10),
                                        [this] { trim_history(*inventory, config.history); });
  planner = std::make_unique<reconcile::AutoPlanner>(*commander);
  planning =
      std::make_unique<Periodic>(config.heartbeat * 6, std::chrono::seconds(1), [this] { look_at_plan(*planner); });
  reissuing =
      std::make_unique<Periodic>(std::chrono::hours(1), std::chrono::hours(1), [this] { certificate_duty->run(); });
}

void Manager::State::stop() {
  {
    const std::lock_guard lock(api_mutex);
    if (std::exchange(stopped, true)) return;
    if (api) api->stop();
  }
  trimming.reset();
  reissuing.reset();
  planning.reset();
  bench.reset();
  if (energy) energy->stop();
  if (alerts) alerts->stop();
  if (availability) availability->stop();
  upgrades.reset();
  power.reset();
  image_works.reset();
  netboot.reset();
  boot_services.reset();
  // Before the streams end: that they end now says nothing about the nodes.
  if (reconciler) reconciler->stop();
  if (gateway) gateway->stop();
}

Result<std::unique_ptr<Manager>> Manager::start(const Config& config) {
  auto state = std::make_unique<State>();
  state->config = config;
  auto manager = std::unique_ptr<Manager>(new Manager(std::move(state)));  // the constructor is private
  auto& parts = *manager->state_;
  if (auto opened = parts.open_state(); !opened) return forward(opened);
  const auto identity = parts.issue_identity();
  if (!identity) return forward(identity);
  if (auto started = parts.start_gateway(*identity); !started) return forward(started);
  parts.commander = std::make_unique<reconcile::Commander>(*parts.inventory, parts.random, parts.clock, config.limits,
                                                           &parts.reconciler->use());
  if (auto started = parts.start_netboot(); !started) {
    const bool wanted = reconcile::netboot_settings(*parts.inventory).mode != model::NetbootMode::off;
    log::write(wanted ? log::Level::error : log::Level::info, netboot_unavailable, started.error().describe());
  }
  parts.power = std::make_unique<power_desk::PowerDesk>(
      *parts.inventory, *parts.secrets, *parts.gateway, parts.reconciler->progress(), parts.clock,
      power::PowerTools{.runner = parts.commands},
      power_desk::PowerDeskOptions{.heartbeat = std::max(config.heartbeat, kSurelyHeard)});
  parts.energy = std::make_unique<energy_desk::EnergyDesk>(energy_desk::EnergyDeskParts{.inventory = *parts.inventory,
                                                                                        .store = *parts.store,
                                                                                        .use = parts.reconciler->use(),
                                                                                        .power = *parts.power,
                                                                                        .clock = parts.clock});
  parts.energy->start();
  parts.bench = std::make_unique<bench_desk::BenchDesk>(*parts.commander, *parts.gateway, *parts.gateway,
                                                        parts.reconciler->progress(),
                                                        bench_desk::BenchDeskOptions{.version = BRIDGEHEAD_VERSION});
  parts.upgrades = std::make_unique<upgrade_desk::UpgradeDesk>(
      *parts.inventory, *parts.gateway, *parts.gateway, parts.clock,
      upgrade_desk::PackageShelf::open(agent_packages(), config.state_dir / "agent-packages"));
  parts.watch_over_nodes();
  parts.tell_alerts();
  if (auto started = parts.start_api(*identity); !started) return forward(started);
  parts.start_duties(*identity);
  return manager;
}

Manager::Manager(std::unique_ptr<State> state) : state_(std::move(state)) {}
Manager::~Manager() { stop(); }
void Manager::stop() { state_->stop(); }
Endpoint Manager::listening() const { return {state_->config.listen.address, state_->api_port}; }
Endpoint Manager::listening_for_agents() const {
  return {state_->config.agent_listen.address, state_->gateway->port()};
}

}  // namespace bridgehead::manager
