// How it does with 20,000 VMs, their disks and operations on the real store (a tenth of them in builds with assertions,
// which are slow). Prints the figures; the limits are loose, because the machine may be shared.
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <fstream>
#include <latch>

#include "base/file.h"
#include "base/random.h"
#include "model/codec.h"
#include "state/inventory.h"
#include "state/sqlite_store.h"

namespace bridgehead::state {
namespace {

#ifdef NDEBUG
constexpr int kVms = 20000;
#else
constexpr int kVms = 2000;
#endif
using Seconds = std::chrono::duration<double>;

template <typename Work>
double seconds_of(Work work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return Seconds(std::chrono::steady_clock::now() - start).count();
}

// In MiB; `field` as in proc(5): VmRSS, VmHWM.
double memory(std::string_view field) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with(field)) return std::stod(line.substr(field.size() + 1)) / 1024;
  }
  return 0;
}

model::Vm typical_vm(int number, RandomSource& random) {
  model::Vm vm;
  vm.id = make_id<model::VmId>(random);
  vm.name = fmt::format("guest-{}", number);
  vm.labels = {{"tier", "web"}, {"owner", "somebody"}};
  vm.spec.memory = 2_GiB;
  vm.spec.disks = {{"disk0", make_id<model::ImageId>(random), 20_GiB}};
  vm.spec.nics = {{"nic0", make_id<model::NetworkId>(random), "52:b4:9d:00:00:01", {}}};
  vm.spec.cloud_init.user = "admin";
  vm.spec.cloud_init.ssh_keys = {"ssh-ed25519 " + std::string(68, 'A') + " admin@example.org"};
  vm.node = model::NodeId(fmt::format("00000000-0000-4000-8000-{:012}", number % (kVms / 10)));
  vm.status.phase = model::VmPhase::running;
  vm.status.ip_addresses = {"192.168.120.17"};
  return vm;
}

// In a process of its own, so that it doesn't count as our memory.
int fill(const std::filesystem::path& path) {
  auto store = open_sqlite_store(path);
  if (!store) return 1;
  const SystemClock clock;
  auto inventory = Inventory::open(**store, clock);
  if (!inventory) return 2;
  SeededRandom random(1);
  for (int from = 0; from < kVms; from += 500) {
    auto edit = (*inventory)->edit();
    for (int i = from; i < from + 500; ++i) {
      const auto vm = typical_vm(i, random);
      model::Image disk{
          .id = vm.spec.disks[0].image, .name = vm.name + "-disk0", .role = model::ImageRole::disk, .vm = vm.id};
      disk.node = vm.node;
      disk.created = clock.now();
      model::Operation operation{.id = make_id<model::OperationId>(random), .kind = "vm.create", .target_kind = "vm"};
      operation.target = vm.id.str();
      operation.target_name = vm.name;
      operation.state = model::OperationState::succeeded;
      operation.created = clock.now();
      edit.create(vm).create(disk).create(operation);
      if (i % 2 == 0)
        edit.event({.kind = "vm.created", .object_kind = "vm", .object = vm.id.str(), .object_name = vm.name});
    }
    if (!(*inventory)->commit(std::move(edit))) return 3;
  }
  return 0;
}

TEST(Scale, ManyVms) {
  const auto directory = TemporaryDirectory::create("state-scale").value();
  const auto path = directory.path() / "state.db";
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) ::_exit(fill(path));
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_EQ(status, 0);

  const double before = memory("VmRSS:");
  std::unique_ptr<StateStore> store;
  std::unique_ptr<Inventory> inventory;
  const SystemClock clock;
  const double open_store = seconds_of([&] { store = open_sqlite_store(path).value(); });
  const double open_inventory = seconds_of([&] { inventory = Inventory::open(*store, clock).value(); });
  const double resident = memory("VmRSS:");
  const double peak = memory("VmHWM:");

  double list = 1e9;
  std::size_t listed = 0;
  for (int i = 0; i < 10; ++i) {
    list = std::min(list, seconds_of([&] { listed = inventory->all<model::Vm>().size(); }));
  }
  EXPECT_EQ(listed, static_cast<std::size_t>(kVms));
  EXPECT_EQ(inventory->all<model::Image>().size(), static_cast<std::size_t>(kVms));
  EXPECT_EQ(inventory->all<model::Operation>().size(), static_cast<std::size_t>(kVms));
  EXPECT_EQ(inventory->vms_on_node(model::NodeId("00000000-0000-4000-8000-000000000007")).size(), 10u);

  // 20 at once, each VM with a disk, an operation and an event; then the same one after another.
  const auto create = [&](const std::string& name) {
    SystemRandom random;
    auto vm = typical_vm(0, random);
    vm.name = name;
    const auto created = change(*inventory, [&](Edit& edit) -> Status {
      vm.lease = edit.take("lease");
      edit.create(vm).create(model::Image{.id = vm.spec.disks[0].image, .name = name + "-disk0", .vm = vm.id});
      edit.create(
          model::Operation{.id = make_id<model::OperationId>(random), .kind = "vm.create", .target = vm.id.str()});
      edit.event({.kind = "vm.created", .object = vm.id.str()});
      return {};
    });
    EXPECT_TRUE(created) << created.error().describe();
  };
  create("warm-up");
  const double together = seconds_of([&] {
    std::vector<std::jthread> threads;
    std::latch start(20);
    for (int i = 0; i < 20; ++i) {
      threads.emplace_back([&, i] {
        start.arrive_and_wait();
        create(fmt::format("together-{}", i));
      });
    }
  });
  const double in_turn = seconds_of([&] {
    for (int i = 0; i < 20; ++i) create(fmt::format("in-turn-{}", i));
  });

  fmt::print(
      "{} VMs, as many images and operations, half as many events, {:.0f} MiB on disk:\n"
      "  open store {:.2f} s (with integrity check), open inventory {:.2f} s\n"
      "  memory {:.0f} MiB (peak {:.0f}, before {:.0f}), all<Vm>() {:.2f} ms\n"
      "  20 creates at once {:.0f} ms, in turn {:.0f} ms\n",
      kVms, static_cast<double>(std::filesystem::file_size(path)) / (1 << 20), open_store, open_inventory, resident,
      peak, before, list * 1e3, together * 1e3, in_turn * 1e3);
  EXPECT_LT(open_store + open_inventory, 60.0);
  EXPECT_LT(list, 1.0);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  EXPECT_LT(peak, 400.0);
#endif
}

}  // namespace
}  // namespace bridgehead::state
