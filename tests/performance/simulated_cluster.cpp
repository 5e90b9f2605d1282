#include "performance/simulated_cluster.h"

#include "base/file.h"
#include "pki/certificate.h"
#include "pki/certificate_authority.h"
#include "pki/tokens.h"
#include "state/inventory.h"
#include "state/sqlite_store.h"

namespace bridgehead::performance {
namespace {

model::NodeFacts facts_of(std::size_t number) {
  model::NodeFacts facts;
  facts.hostname = fmt::format("node-{:04}", number);
  facts.machine_id = fmt::format("{:032x}", number);
  facts.os = "Debian GNU/Linux 12 (bookworm)";
  facts.kernel = "6.1.0-18-amd64";
  facts.cpu_model = "AMD EPYC 7302P 16-Core Processor";
  for (int n = 0; n < 110; ++n) facts.cpu_flags.push_back(fmt::format("flag{}", n));
  facts.cpus = 32;
  facts.memory = 256_GiB;
  facts.numa = {{.id = 0, .cpus = {0, 1, 2, 3}, .memory = 128_GiB}, {.id = 1, .cpus = {4, 5, 6, 7}, .memory = 128_GiB}};
  for (int n = 0; n < 4; ++n) {
    facts.interfaces.push_back({.name = fmt::format("eth{}", n),
                                .mac = fmt::format("02:00:00:{:02x}:{:02x}:{:02x}", n, number / 256, number % 256),
                                .kind = "ethernet",
                                .up = true,
                                .speed_mbit = 25000,
                                .addresses = {fmt::format("10.{}.{}.{}/16", n, number / 256, number % 256)}});
  }
  facts.virtualization = model::Virtualization::kvm;
  facts.libvirt_version = "9.0.0";
  facts.hypervisor_version = "7.2.7";
  facts.agent_version = "0.1.0";
  return facts;
}

class Writer {
 public:
  Writer(const std::filesystem::path& directory, const Clock& clock)
      : store_(state::open_sqlite_store(directory / "state.db").value()),
        inventory_(state::Inventory::open(*store_, clock).value()),
        edit_(inventory_->edit()) {}
  template <typename T>
  void create(const T& record) {
    edit_.create(record);
    if (++waiting_ >= 2000) flush();
  }
  std::uint64_t take_lease() { return edit_.take("lease"); }
  void flush() {
    const auto committed = inventory_->commit(std::move(edit_));
    require(committed.has_value(), committed ? "" : committed.error().describe());
    edit_ = inventory_->edit();
    waiting_ = 0;
  }

 private:
  std::unique_ptr<state::StateStore> store_;
  std::unique_ptr<state::Inventory> inventory_;
  state::Edit edit_;
  std::size_t waiting_ = 0;
};

struct Common {
  model::Pool pool;
  model::Network network;
  model::Image golden;
  Timestamp now;
};

model::Vm guest(RandomSource& random, const Common& common, std::size_t number, const model::NodeId& node,
                const model::ImageId& disk) {
  model::Vm vm;
  vm.id = make_id<model::VmId>(random);
  vm.name = fmt::format("guest-{:05}", number);
  vm.labels = {{"team", fmt::format("team-{}", number % 40)}, {"stage", number % 3 == 0 ? "production" : "test"}};
  vm.spec.cpus = 2;
  vm.spec.max_cpus = 8;
  vm.spec.memory = 4_GiB;
  vm.spec.max_memory = 16_GiB;
  vm.spec.disks = {{.name = "disk0", .image = disk, .size = 20_GiB}};
  vm.spec.nics = {{.name = "nic0",
                   .network = common.network.id,
                   .mac = model::mac_from_number(static_cast<std::uint32_t>(number))}};
  vm.spec.cloud_init.ssh_keys = {
      "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJmEMMHnH5cTqOEOdQQFOWKGKDn0uPnNqQzUWQGH3Mtz user@example"};
  vm.node = node;
  vm.created = common.now;
  vm.status.phase = model::VmPhase::running;
  vm.status.observed_generation = vm.generation;
  vm.status.ip_addresses = {fmt::format("10.20.{}.{}", number / 250 % 250, number % 250 + 1)};
  vm.status.guest_agent = true;
  vm.status.since = common.now;
  return vm;
}

model::Image disk_of(RandomSource& random, const Common& common, std::size_t number, const model::NodeId& node) {
  model::Image disk;
  disk.id = make_id<model::ImageId>(random);
  disk.name = fmt::format("guest-{:05}-disk0", number);
  disk.role = model::ImageRole::disk;
  disk.pool = common.pool.id;
  if (!is_shared(common.pool.driver)) disk.node = node;
  disk.format = model::ImageFormat::qcow2;
  disk.state = model::ImageState::ready;
  disk.virtual_size = 20_GiB;
  disk.allocated = 3_GiB;
  disk.parent = common.golden.id;
  disk.created = common.now;
  return disk;
}

Common write_common(Writer& writer, RandomSource& random, Timestamp now, bool shared) {
  Common common;
  common.now = now;
  common.pool.id = make_id<model::PoolId>(random);
  common.pool.name = shared ? "shared" : "local";
  common.pool.driver = shared ? model::PoolDriver::posix : model::PoolDriver::local;
  common.pool.path = "/var/lib/bridgehead/pools/" + common.pool.name;
  common.pool.created = now;
  common.network.id = make_id<model::NetworkId>(random);
  common.network.name = "default";
  if (shared) {
    common.network.kind = model::NetworkKind::bridge;
    common.network.bridge = "br0";
  } else {
    common.network.subnet = "192.168.142.0/24";
  }
  common.network.created = now;
  common.golden.id = make_id<model::ImageId>(random);
  common.golden.name = "debian-12";
  common.golden.pool = common.pool.id;
  common.golden.state = model::ImageState::ready;
  common.golden.virtual_size = 2_GiB;
  common.golden.created = now;
  writer.create(common.pool);
  writer.create(common.network);
  writer.create(common.golden);
  return common;
}

}  // namespace

SimulatedCluster make_simulated_cluster(const std::filesystem::path& state_dir, std::size_t nodes, std::size_t guests,
                                        bool shared) {
  const SystemClock clock;
  SystemRandom random;
  require(make_directories(state_dir, 0700).has_value(), "the state directory can't be made");
  const auto authority = pki::CertificateAuthority::open(state_dir / "ca", clock, random).value();
  Writer writer(state_dir, clock);
  const auto common = write_common(writer, random, clock.now(), shared);

  SimulatedCluster cluster;
  cluster.ca_pem = authority->certificate_pem();
  const auto secret = pki::make_secret(random);
  model::Token token;
  token.id = make_id<model::TokenId>(random);
  token.name = "admin";
  token.role = model::Role::admin;
  token.secret_sha256 = pki::sha256_hex(secret);
  writer.create(token);
  cluster.admin_token = pki::format_access_token(token.id, secret);

  const auto key = pki::make_key_and_request().value();
  cluster.key_pem = key.key_pem;
  for (std::size_t n = 0; n < nodes; ++n) {
    SimulatedNode simulated;
    simulated.id = make_id<model::NodeId>(random);
    simulated.certificate_pem =
        authority->sign_node_request(key.request_pem, simulated.id, std::chrono::days(90)).value();
    simulated.report.facts = facts_of(n);
    simulated.report.load = {.load1 = 1.5, .memory_available = 200_GiB, .uptime_seconds = 100'000};
    auto& pool = simulated.report.pools[common.pool.id];
    pool.ready = true;
    pool.total = Bytes(2'000'000'000'000);
    pool.available = Bytes(1'500'000'000'000);
    pool.abilities = {.direct_io = true,
                      .reflink = true,
                      .punch_hole = true,
                      .preallocate = true,
                      .locks = true,
                      .file_system = "xfs"};
    model::Node node;
    node.id = simulated.id;
    node.name = simulated.report.facts.hostname;
    node.facts = simulated.report.facts;
    node.certificate_serial = pki::certificate_serial(simulated.certificate_pem).value();
    node.created = common.now;
    writer.create(node);
    cluster.nodes.push_back(std::move(simulated));
  }
  for (std::size_t n = 0; n < guests; ++n) {
    auto& node = cluster.nodes[n % nodes];
    auto disk = disk_of(random, common, n, node.id);
    auto vm = guest(random, common, n, node.id, disk.id);
    vm.lease = writer.take_lease();
    disk.vm = vm.id;
    writer.create(disk);
    writer.create(vm);
    node.report.vms.push_back({.vm = vm.id, .generation = vm.generation, .lease = vm.lease, .status = vm.status});
  }
  writer.flush();
  return cluster;
}

}  // namespace bridgehead::performance
