#include "bench_desk/guests.h"

#include <condition_variable>
#include <mutex>

#include "reconcile/commands/benchmarks.h"

namespace bridgehead::bench_desk {
namespace {

constexpr std::chrono::minutes kUntilRunning{10};
constexpr std::chrono::milliseconds kLook{200};
constexpr char kActor[] = "benchmark";

reconcile::CreateVms request_for(const model::Benchmark& benchmark, std::size_t place) {
  const auto& settings = benchmark.settings;
  reconcile::CreateVms request{.name = fmt::format("bench-{}-{}", benchmark.id.str().substr(0, 8), place + 1),
                               .image = settings.guests.image.str(),
                               .disks = {{}},
                               .cpus = settings.guests.cpus,
                               .memory = settings.guests.memory,
                               .nics = std::vector<reconcile::NicRequest>(),
                               .autostart = false,
                               .node = settings.nodes[place].node.str(),
                               .labels = {{reconcile::kBenchLabel, benchmark.id.str()}}};
  request.planning.may_move = false;
  const auto mib = (1_MiB).count();
  const Bytes size((settings.file_size.count() + mib - 1) / mib * mib);
  for (const auto& pool : settings.pools) {
    reconcile::DiskRequest disk;
    disk.size = size;
    disk.pool = pool.pool.str();
    request.disks.push_back(std::move(disk));
  }
  return request;
}

Result<bool> is_running(const state::Inventory& inventory, const model::VmId& id, const model::OperationId& operation) {
  const auto vm = inventory.find<model::Vm>(id);
  if (!vm) return fail(ErrorCode::failed_precondition, "a guest of the benchmark was removed");
  if (vm->value.status.phase == model::VmPhase::running) return true;
  const auto creating = inventory.find<model::Operation>(operation);
  if (creating && creating->value.terminal() && creating->value.state != model::OperationState::succeeded) {
    return fail(ErrorCode::failed_precondition, "guest '{}' couldn't be made: {}", vm->value.name,
                creating->value.error ? creating->value.error->message : "it was cancelled");
  }
  return false;
}

}  // namespace

std::string disk_in_pool(std::size_t place) { return fmt::format("disk{}", place + 1); }

Result<std::map<std::string, model::VmId>> make_guests(reconcile::Commander& commander,
                                                       const model::Benchmark& benchmark, const std::stop_token& stop) {
  std::map<std::string, model::VmId> guests;
  std::vector<std::pair<model::VmId, model::OperationId>> awaited;
  const auto& nodes = benchmark.settings.nodes;
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    const auto made = reconcile::create_vms(commander, {.actor = kActor}, request_for(benchmark, i));
    if (!made) {
      auto error = made.error();
      error.message = fmt::format("the guest on {}: {}", nodes[i].name, error.message);
      return fail(std::move(error));
    }
    guests[nodes[i].name] = made->vms.front().id;
    awaited.emplace_back(made->vms.front().id, made->operations.front().id);
  }
  std::mutex mutex;
  std::condition_variable_any never;
  std::unique_lock lock(mutex);
  const auto until = commander.clock.monotonic() + kUntilRunning;
  while (!awaited.empty()) {
    const auto runs = is_running(commander.inventory, awaited.back().first, awaited.back().second);
    if (!runs) return forward(runs);
    if (*runs) {
      awaited.pop_back();
      continue;
    }
    if (commander.clock.monotonic() > until) {
      return fail(ErrorCode::timeout, "the benchmark's guests didn't run in {} minutes", kUntilRunning.count());
    }
    never.wait_for(lock, stop, kLook, [] { return false; });
    if (stop.stop_requested()) return fail(ErrorCode::cancelled, "the benchmark was cancelled");
  }
  return guests;
}

Result<bool> remove_guests(reconcile::Commander& commander, const model::Benchmark& benchmark) {
  bool left = false;
  std::optional<Error> obstacle;
  for (const auto& vm : commander.inventory.all<model::Vm>()) {
    if (!reconcile::is_guest_of(vm->value, benchmark.id)) continue;
    left = true;
    if (vm->value.deleting) continue;
    const auto asked = reconcile::delete_vm(commander, {.actor = kActor}, vm->value.id.str(), false);
    if (!asked) obstacle = asked.error();
  }
  if (obstacle) return fail(std::move(*obstacle));
  return !left;
}

}  // namespace bridgehead::bench_desk
