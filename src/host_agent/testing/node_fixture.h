// A node for tests of assignments: what outlives an agent (Host: fake hypervisor, fake pool, journal's store,
// directory) and one run of the agent on it (Node: journal, executor, handlers), which may be killed at a CrashPoint
// and started again.
#pragma once

#include <gtest/gtest.h>

#include <list>
#include <thread>

#include "base/file.h"
#include "base/random.h"
#include "host_agent/assignments/assignments.h"
#include "host_agent/executor.h"
#include "host_agent/testing/crash_point.h"
#include "hypervisor/testing/fake_hypervisor.h"
#include "pki/certificate.h"
#include "pki/certificate_authority.h"
#include "state/memory_store.h"
#include "storage/testing/fake_pool.h"

namespace bridgehead::host_agent::testing {

using hypervisor::GuestState;
using hypervisor::testing::FakeHypervisor;
using model::AssignmentReport;
using model::AssignmentState;
using storage::testing::FakePool;

inline Result<Identity> node_identity(const pki::CertificateAuthority& authority, const model::NodeId& node) {
  auto key = pki::make_key_and_request();
  if (!key) return forward(key);
  auto certificate = authority.sign_node_request(key->request_pem, node, std::chrono::hours(1));
  if (!certificate) return forward(certificate);
  return Identity{.manager = "192.0.2.1:7444",
                  .node = node,
                  .ca_pem = authority.certificate_pem(),
                  .certificate_pem = std::move(*certificate),
                  .key_pem = std::move(key->key_pem)};
}

// What outlives the agent.
struct Host {
  Host() {
    pool_record = {.id = id<model::PoolId>(), .name = "local", .path = "/pool"};
    pool = std::make_shared<FakePool>(pool_record);
    network = {
        .id = id<model::NetworkId>(), .name = "default", .kind = model::NetworkKind::nat, .subnet = "192.168.120.0/24"};
    golden = {
        .id = id<model::ImageId>(), .name = "debian-12", .pool = pool_record.id, .state = model::ImageState::ready};
    pool->attach();
    pool->set_import_size(2_GiB);
    auto imported = pool->import_golden({.operation = id<model::OperationId>(), .image = golden}, {}, {});
    EXPECT_TRUE(imported);
  }

  template <typename IdType>
  IdType id() {
    return make_id<IdType>(random);
  }

  // A VM with one clone of the golden image and one blank disk, one NIC, a lease; to be running.
  model::EnsureVm new_vm(const std::string& name = "web") {
    model::EnsureVm work;
    auto& vm = work.vm;
    vm.id = id<model::VmId>();
    vm.name = name;
    vm.lease = 7;
    vm.node = node;
    vm.spec.memory = 512_MiB;
    vm.spec.max_memory = 1_GiB;
    vm.spec.cpus = 1;
    vm.spec.max_cpus = 2;
    vm.spec.nics = {{.name = "nic0", .network = network.id, .mac = "52:b4:9d:00:00:01"}};
    work.images.push_back(golden);
    for (const char* disk : {"disk0", "disk1"}) {
      model::Image image{.id = id<model::ImageId>(),
                         .name = name + "-" + disk,
                         .role = model::ImageRole::disk,
                         .pool = pool_record.id,
                         .vm = vm.id};
      if (std::string_view(disk) == "disk0") image.parent = golden.id;
      vm.spec.disks.push_back({.name = disk, .image = image.id, .size = 4_GiB});
      work.images.push_back(image);
    }
    work.pools = {pool_record};
    work.networks = {network};
    return work;
  }

  model::RemoveVm removal(const model::EnsureVm& of) const {
    model::RemoveVm work{.vm = of.vm, .pools = of.pools};
    for (const auto& image : of.images) {
      if (image.role == model::ImageRole::disk) work.disks.push_back(image);
    }
    return work;
  }

  bool has_disks_of(const model::EnsureVm& work) const {
    return std::all_of(work.vm.spec.disks.begin(), work.vm.spec.disks.end(),
                       [&](const auto& disk) { return pool->has(disk.image); });
  }
  // Nothing of it is anywhere: no domain, disk, file, stamp.
  void expect_no_trace(const model::EnsureVm& work) {
    EXPECT_EQ(hypervisor.get(work.vm.id)->state, GuestState::absent);
    for (const auto& disk : work.vm.spec.disks) EXPECT_FALSE(pool->has(disk.image)) << disk.name;
    EXPECT_FALSE(pool->read_lease(work.vm.id)->has_value());
    EXPECT_FALSE(std::filesystem::exists(GuestFiles(directory.path()).directory(work.vm.id)));
  }
  // A second pool, for disks that move.
  const model::Pool& add_pool(const std::string& name) {
    const auto& record =
        pool_records.emplace_back(model::Pool{.id = id<model::PoolId>(), .name = name, .path = "/" + name});
    pools[record.id] = std::make_shared<FakePool>(record);
    return record;
  }
  std::shared_ptr<FakePool> pool_of(const model::PoolId& of) const {
    const auto found = pools.find(of);
    return found == pools.end() ? pool : found->second;
  }
  GuestState state(const model::VmId& vm) { return hypervisor.get(vm)->state; }

  SeededRandom random{1};
  TemporaryDirectory directory = std::move(*TemporaryDirectory::create());
  FakeHypervisor hypervisor;
  model::Pool pool_record;
  std::shared_ptr<FakePool> pool;
  std::map<model::PoolId, std::shared_ptr<FakePool>> pools;  // besides that one
  std::list<model::Pool> pool_records;
  model::Network network;
  model::Image golden;
  std::unique_ptr<state::StateStore> store = state::make_memory_store();
  model::NodeId node = id<model::NodeId>();
  HostCapacity capacity{.cpus = 4, .memory_available = 3_GiB, .kvm = false};
  SystemClock system_clock;
  const Clock* clock = &system_clock;
  TaskTimings timings{.shutdown_repeat = std::chrono::milliseconds(20),
                      .default_grace = std::chrono::milliseconds(200),
                      .upload_wait = std::chrono::seconds(20),
                      .undo_patience = std::chrono::milliseconds(100),
                      .undo_repeat = std::chrono::milliseconds(5),
                      .settle = std::chrono::milliseconds(100)};
  MigrationHost migration{.paths = {.run_dir = directory.path() / "migration",
                                    .libvirt_socket = directory.path() / "libvirt-sock",
                                    .qemu_user = "nobody-at-all"},
                          .identity = [this] { return identity(node); }};

  // As the manager would issue it.
  Result<Identity> identity(const model::NodeId& of) {
    if (!authority) {
      auto opened = pki::CertificateAuthority::open(directory.path() / "ca", system_clock, random);
      if (!opened) return forward(opened);
      authority = std::move(*opened);
    }
    return node_identity(*authority, of);
  }
  std::unique_ptr<pki::CertificateAuthority> authority;
};

// One run of the agent.
class Node {
 public:
  explicit Node(Host& host, std::shared_ptr<CrashPoint> point = nullptr)
      : host_(host),
        point_(point ? std::move(point) : std::make_shared<CrashPoint>(0)),
        store_(*host.store, *point_),
        hypervisor_(host.hypervisor, *point_),
        journal_(std::move(*Journal::open(store_))),
        events_(hypervisor_),
        files_(host.directory.path()),
        pools_(
            [this](const model::Pool& record) -> Result<std::unique_ptr<storage::ImagePool>> {
              return std::make_unique<CrashingPool>(host_.pool_of(record.id), point_);
            },
            [this](const model::OperationId& id) { return journal_->is_unfinished(id); }),
        gates_(host.migration),
        services_{.hypervisor = hypervisor_,
                  .pools = pools_,
                  .journal = *journal_,
                  .events = events_,
                  .files = files_,
                  .uploads = uploads_,
                  .memory = memory_,
                  .gates = gates_,
                  .migration = host.migration,
                  .clock = *host.clock,
                  .node = host.node,
                  .capacity = [this] { return host_.capacity; },
                  .import_directories = {host.directory.path() / "images"},
                  .timings = host.timings},
        assignments_(services_),
        executor_(
            *journal_, host.system_clock,
            [this](const model::Assignment& assignment, const Task& task) {
              point_->note_handler();
              return assignments_.run(assignment, task);
            },
            [this](const AssignmentReport& report) {
              const std::lock_guard lock(mutex_);
              reports_.push_back(report);
              changed_.notify_all();
            },
            [](const model::VmId&) {}, {.workers = 4, .import_workers = 2}) {}

  ~Node() {
    // What was killed must run out without an effect before it is joined.
    if (point_->is_dead()) point_->release();
  }

  model::Assignment assignment(model::AssignmentBody body) {
    return {.operation = host_.id<model::OperationId>(), .body = std::move(body)};
  }
  // Assigns and waits for the end.
  AssignmentReport carry_out(model::AssignmentBody body) {
    const auto work = assignment(std::move(body));
    executor_.assign(work);
    return end_of(work.operation);
  }
  // The end of an operation; its state is `running` when it didn't come.
  AssignmentReport end_of(const model::OperationId& operation) {
    AssignmentReport end{.operation = operation};
    wait([&] {
      for (const auto& report : reports_) {
        if (report.operation == operation && report.state != AssignmentState::running) end = report;
      }
      return end.state != AssignmentState::running;
    });
    return end;
  }
  // Until `done` (called with the reports locked) or 20 seconds are over, or this agent was killed.
  template <typename Done>
  bool wait(Done done) {
    std::unique_lock lock(mutex_);
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!done()) {
      if (point_->is_dead() || std::chrono::steady_clock::now() > until) return false;
      changed_.wait_for(lock, std::chrono::milliseconds(2));
    }
    return true;
  }
  std::vector<AssignmentReport> reports() {
    const std::lock_guard lock(mutex_);
    return reports_;
  }

  Executor& executor() { return executor_; }
  Journal& journal() { return *journal_; }
  PoolRegistry& pools() { return pools_; }
  UploadRendezvous& uploads() { return uploads_; }
  GuestFiles& files() { return files_; }
  NodeServices& services() { return services_; }
  GuestEvents& events() { return events_; }

 private:
  Host& host_;
  std::shared_ptr<CrashPoint> point_;
  CrashingStore store_;
  CrashingHypervisor hypervisor_;
  std::unique_ptr<Journal> journal_;
  GuestEvents events_;
  GuestFiles files_;
  PoolRegistry pools_;
  UploadRendezvous uploads_;
  MemoryBudget memory_;
  MigrationGates gates_;
  NodeServices services_;
  Assignments assignments_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<AssignmentReport> reports_;
  Executor executor_;
};

// Waits for a condition that another thread brings about.
template <typename Done>
bool eventually(Done done) {
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (!done()) {
    if (std::chrono::steady_clock::now() > until) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

}  // namespace bridgehead::host_agent::testing
