#include "reconcile/commands/benchmarks.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "bench/record.h"
#include "load/sweep.h"
#include "model/enum_names.h"
#include "reconcile/commands/draft.h"
#include "reconcile/commands/parts.h"
#include "reconcile/commands/validate.h"

namespace bridgehead::reconcile {
namespace {

using validate::in_field;
using validate::wrong;

constexpr std::size_t kMostPools = 16;
constexpr std::size_t kMostRuns = 2000;  // a result of that many is some MiB

bool is_rate(double value) { return std::isfinite(value) && value >= 0 && value <= 1e15; }

Status check_form(const StartBenchmark& request) {
  if (!request.name.empty()) {
    if (auto checked = validate::name("benchmark", request.name); !checked) return checked;
  }
  if (request.pools.empty()) return wrong("pools", "name one at least");
  if (request.pools.size() > kMostPools) return wrong("pools", "are more than {}", kMostPools);
  for (const auto& pool : request.pools) {
    if (!is_rate(pool.server_link_bits) || !is_rate(pool.server_disk_bytes) || pool.servers > 100'000 ||
        pool.copies > 100) {
      return wrong("pools", "what is said of '{}' can't be", validate::shown(pool.pool));
    }
  }
  if (!std::isfinite(request.pressure) || request.pressure < 0 || request.pressure > 100) {
    return wrong("pressure", "is a percentage; 0 = it never stops for guests");
  }
  if (!std::isfinite(request.guest_disk_ms) || request.guest_disk_ms < 0 || request.guest_disk_ms > 3'600'000) {
    return wrong("guest_disk_ms", "are milliseconds, an hour at most; 0 = it never stops for guests' disks");
  }
  if (!is_rate(request.node_link_bits)) return wrong("node_link_bits", "can't be");
  if (request.repetitions < 1 || request.repetitions > 100) return wrong("repetitions", "must be between 1 and 100");
  const auto workloads = load::workloads_of(request.workloads);
  if (!workloads) return in_field("workloads", workloads.error());
  const load::Size size{request.file_size, std::chrono::seconds(std::min<std::uint64_t>(request.seconds, 1'000'000)),
                        static_cast<unsigned>(std::min<std::uint64_t>(request.users, 1'000'000)), request.rate};
  for (const auto& workload : *workloads) {
    if (auto fits = load::workload_of(workload, size); !fits) return forward(fits);
    if (request.guest_image.empty()) continue;
    if (auto fits = load::check_in_guest(workload); !fits) return in_field("workloads", fits.error());
  }
  if (request.guest_image.empty()) return {};
  if (!validate::cpus(request.guest_cpus)) return wrong("guest_cpus", "must be between 1 and 512");
  if (!validate::memory(request.guest_memory)) {
    return wrong("guest_memory", "must be between 64 MiB and 16 TiB, in whole MiB");
  }
  if (request.pools.size() + 1 > parts::kMostDisks) {
    return wrong("pools", "are more than {}, the disks that a guest can have", parts::kMostDisks - 1);
  }
  return {};
}

struct Found {
  std::optional<model::Image> guest_image;
  std::vector<state::Record<model::Pool>> pools;
  std::vector<state::Record<model::Node>> nodes;
  std::vector<std::uint32_t> counts;
};

Result<std::vector<state::Record<model::Pool>>> find_pools(const Draft& draft, const StartBenchmark& request) {
  std::vector<state::Record<model::Pool>> pools;
  std::set<model::PoolId> seen;
  for (const auto& wanted : request.pools) {
    const auto pool = resolve<model::Pool>(draft.inventory, wanted.pool);
    if (!pool) return in_field("pools", pool.error());
    if ((*pool)->value.deleting) return wrong("pools", "'{}' is being removed", (*pool)->value.name);
    if (!seen.insert((*pool)->value.id).second) return wrong("pools", "'{}' is named twice", (*pool)->value.name);
    pools.push_back(*pool);
  }
  return pools;
}

// Why a node can't take part; "" = it can.
std::string obstacle(const model::Node& node, const std::vector<state::Record<model::Pool>>& pools) {
  if (node.state != model::NodeState::ready) {
    return fmt::format("node '{}' is {}", node.name, model::to_string(node.state));
  }
  for (const auto& pool : pools) {
    const auto on = pool->value.nodes.find(node.id);
    if (on != pool->value.nodes.end() && on->second.ready) continue;
    const auto why = on == pool->value.nodes.end() || on->second.message.empty() ? "" : ": " + on->second.message;
    return fmt::format("pool '{}' isn't ready on node '{}'{}", pool->value.name, node.name, why);
  }
  return {};
}

Result<std::vector<state::Record<model::Node>>> find_nodes(const Draft& draft, const StartBenchmark& request,
                                                           const std::vector<state::Record<model::Pool>>& pools) {
  std::vector<state::Record<model::Node>> nodes;
  std::set<model::NodeId> seen;
  for (const auto& wanted : request.nodes) {
    const auto node = resolve<model::Node>(draft.inventory, wanted);
    if (!node) return in_field("nodes", node.error());
    if (!seen.insert((*node)->value.id).second) return wrong("nodes", "'{}' is named twice", (*node)->value.name);
    if (const auto why = obstacle((*node)->value, pools); !why.empty()) {
      return fail(ErrorCode::failed_precondition, "{}", why);
    }
    nodes.push_back(*node);
  }
  if (!request.nodes.empty()) return nodes;
  std::string first_obstacle;
  for (const auto& node : draft.inventory.all<model::Node>()) {
    const auto why = obstacle(node->value, pools);
    if (why.empty()) {
      nodes.push_back(node);
    } else if (first_obstacle.empty()) {
      first_obstacle = why;
    }
  }
  if (!nodes.empty()) return nodes;
  return fail(ErrorCode::failed_precondition, "no node can take part{}",
              first_obstacle.empty() ? "" : "; " + first_obstacle);
}

// A node's agent says how long its guests wait, but not which of them.
Status check_guests(const Draft& draft, const StartBenchmark& request, const Found& found) {
  if (request.pressure <= 0 && request.guest_disk_ms <= 0) return {};
  for (const auto& node : found.nodes) {
    for (const auto& vm : draft.inventory.vms_on_node(node->value.id)) {
      if (vm->value.status.phase != model::VmPhase::running) continue;
      return fail_with_hint(
          ErrorCode::failed_precondition,
          fmt::format("guest '{}' runs on node '{}', and whether it suffers couldn't be told from what the "
                      "benchmark's guest there waits for",
                      vm->value.name, node->value.name),
          "Name other nodes, or move its guests first (bh node drain); or measure even if guests suffer.");
    }
  }
  return {};
}

// The disks of all guests are made before the first run; those of a pool that tells its room must fit.
Status check_room(const StartBenchmark& request, const Found& found) {
  for (const auto& pool : found.pools) {
    const auto on = pool->value.nodes.find(found.nodes.front()->value.id);
    if (on == pool->value.nodes.end()) continue;
    const auto needed = request.file_size * (model::is_shared(pool->value.driver) ? found.nodes.size() : 1);
    if (on->second.available >= needed) continue;
    return fail_with_hint(ErrorCode::resource_exhausted,
                          fmt::format("pool '{}' has {} left, and the guests' disks take {}", pool->value.name,
                                      on->second.available.human(), needed.human()),
                          "Take smaller files, or fewer nodes.");
  }
  return {};
}

Result<Found> find(const Draft& draft, const StartBenchmark& request) {
  Found found;
  auto pools = find_pools(draft, request);
  if (!pools) return forward(pools);
  found.pools = std::move(*pools);
  auto nodes = find_nodes(draft, request, found.pools);
  if (!nodes) return forward(nodes);
  found.nodes = std::move(*nodes);
  if (request.most_nodes) {
    if (*request.most_nodes < 1) return wrong("most_nodes", "must be 1 at least");
    if (*request.most_nodes > found.nodes.size()) {
      return wrong("most_nodes", "{} nodes can take part, not {}", found.nodes.size(), *request.most_nodes);
    }
    found.nodes.resize(*request.most_nodes);
  }
  const auto most = static_cast<unsigned>(found.nodes.size());
  const auto counts = load::parse_counts(request.counts.empty() ? fmt::format("1-{}", most) : request.counts, most);
  if (!counts) return in_field("counts", counts.error());
  found.counts.assign(counts->begin(), counts->end());
  found.nodes.resize(found.counts.back());
  if (!request.guest_image.empty()) {
    auto image = parts::golden_image(draft.inventory, "guest_image", request.guest_image);
    if (!image) return forward(image);
    found.guest_image = std::move(*image);
    if (auto told = check_guests(draft, request, found); !told) return forward(told);
    if (auto room = check_room(request, found); !room) return forward(room);
    return found;
  }
  for (const auto& pool : found.pools) {
    if (model::is_shared(pool->value.driver) || found.nodes.size() == 1) continue;
    return wrong("pools", "'{}' isn't shared, so that no node can read what another one wrote; take one node",
                 pool->value.name);
  }
  return found;
}

std::string new_name(const state::Inventory& inventory) {
  for (unsigned number = 1;; ++number) {
    auto name = fmt::format("bench-{}", number);
    if (!inventory.find_by_name<model::Benchmark>(name)) return name;
  }
}

model::BenchmarkSettings settings_of(const StartBenchmark& request, const Found& found, RandomSource& random) {
  model::BenchmarkSettings settings{.counts = found.counts,
                                    .workloads = load::workloads_of(request.workloads).value(),
                                    .file_size = request.file_size,
                                    .seconds = static_cast<std::uint32_t>(request.seconds),
                                    .repetitions = static_cast<std::uint32_t>(request.repetitions),
                                    .users = static_cast<std::uint32_t>(request.users),
                                    .rate = request.rate,
                                    .pressure = request.pressure,
                                    .guest_disk_ms = request.guest_disk_ms,
                                    .node_link_bits = request.node_link_bits,
                                    .seed = request.seed.value_or(random.next_u64() >> 12)};
  for (std::size_t i = 0; i < found.pools.size(); ++i) {
    const auto& pool = found.pools[i]->value;
    const auto& told = request.pools[i];
    auto servers = static_cast<std::uint32_t>(told.servers);
    const auto seen = pool.nodes.find(found.nodes.front()->value.id);
    if (servers == 0 && pool.driver == model::PoolDriver::nfs) servers = 1;
    if (servers == 0 && seen != pool.nodes.end()) servers = seen->second.targets;
    settings.pools.push_back({.pool = pool.id,
                              .name = pool.name,
                              .servers = servers,
                              .server_link_bits = told.server_link_bits,
                              .server_disk_bytes = told.server_disk_bytes,
                              .copies = static_cast<std::uint32_t>(told.copies)});
  }
  for (const auto& node : found.nodes) settings.nodes.push_back({node->value.id, node->value.name});
  if (found.guest_image) {
    settings.guests = {.image = found.guest_image->id,
                       .image_name = found.guest_image->name,
                       .cpus = static_cast<std::uint32_t>(request.guest_cpus),
                       .memory = request.guest_memory};
  }
  return settings;
}

std::string command_of(const model::BenchmarkSettings& settings) {
  std::string pools;
  std::string about;
  for (const auto& pool : settings.pools) {
    pools += (pools.empty() ? "" : ",") + pool.name;
    std::string facts;
    if (pool.servers > 0) facts += fmt::format(",servers={}", pool.servers);
    if (pool.server_link_bits > 0) facts += fmt::format(",nic={:.0f}", pool.server_link_bits);
    if (pool.server_disk_bytes > 0) facts += fmt::format(",disk={:.0f}", pool.server_disk_bytes);
    if (pool.copies > 0) facts += fmt::format(",copies={}", pool.copies);
    if (!facts.empty()) about += fmt::format(" --about {}={}", pool.name, facts.substr(1));
  }
  auto command = fmt::format(
      "bh bench storage --pools {} --nodes {} --workloads {} --image-size {} --seconds {} "
      "--repetitions {} --users {}",
      pools, fmt::join(settings.counts, ","), fmt::join(settings.workloads, ","), settings.file_size.count(),
      settings.seconds, settings.repetitions, settings.users);
  if (settings.rate > Bytes()) command += fmt::format(" --rate {}", settings.rate.count());
  if (settings.pressure == 0 && settings.guest_disk_ms == 0) {
    command += " --even-if-guests-suffer";
  } else {
    if (settings.pressure != StartBenchmark().pressure) command += fmt::format(" --pressure {}", settings.pressure);
    if (settings.guest_disk_ms != StartBenchmark().guest_disk_ms)
      command += fmt::format(" --guest-disk-ms {}", settings.guest_disk_ms);
  }
  if (!settings.guests.image.empty()) {
    command += fmt::format(" --through guests --guest-image {} --guest-cpus {} --guest-memory {}",
                           settings.guests.image_name, settings.guests.cpus, settings.guests.memory.count());
  }
  if (settings.node_link_bits > 0) command += fmt::format(" --node-nic {:.0f}", settings.node_link_bits);
  return command + about + fmt::format(" --seed {}", settings.seed);
}

// The ids of those that are still in the cluster; what was measured elsewhere has only names.
model::BenchmarkSettings settings_of(const bench::Record& record, const state::Inventory& inventory) {
  model::BenchmarkSettings settings{.seconds = 1};
  for (const auto& pool : record.pools) {
    const auto known = inventory.find_by_name<model::Pool>(pool.name);
    settings.pools.push_back({.pool = known ? known->value.id : model::PoolId(),
                              .name = pool.name,
                              .servers = pool.servers,
                              .server_link_bits = pool.server_link_bits,
                              .server_disk_bytes = pool.server_disk_bytes,
                              .copies = pool.copies});
  }
  for (const auto& node : record.nodes) {
    const auto known = inventory.find_by_name<model::Node>(node.name);
    settings.nodes.push_back({known ? known->value.id : model::NodeId(), node.name});
  }
  for (const auto& workload : record.workloads) settings.workloads.push_back(workload.name);
  std::set<std::uint32_t> counts;
  for (const auto& run : record.runs) {
    counts.insert(run.nodes);
    settings.repetitions = std::max(settings.repetitions, run.repetition);
  }
  settings.counts.assign(counts.begin(), counts.end());
  return settings;
}

}  // namespace

bool is_guest_of(const model::Vm& vm, const model::BenchmarkId& benchmark) {
  const auto label = vm.labels.find(kBenchLabel);
  return label != vm.labels.end() && label->second == benchmark.str();
}

Result<Accepted<model::Benchmark>> start_benchmark(Commander& commander, const Caller& caller,
                                                   const StartBenchmark& request) {
  if (auto checked = check_form(request); !checked) return forward(checked);
  return run_operation<model::Benchmark>(commander, caller, [&](Draft& draft) -> Result<Accepted<model::Benchmark>> {
    const auto found = find(draft, request);
    if (!found) return forward(found);
    if (!request.name.empty()) {
      if (auto is_free = check_name_free<model::Benchmark>(draft.inventory, request.name); !is_free) {
        return forward(is_free);
      }
    }
    model::Benchmark benchmark{.id = make_id<model::BenchmarkId>(draft.random()),
                               .name = request.name.empty() ? new_name(draft.inventory) : request.name,
                               .settings = settings_of(request, *found, draft.random()),
                               .created_by = draft.actor(),
                               .created = draft.now};
    benchmark.command = command_of(benchmark.settings);
    const auto runs = benchmark.settings.pools.size() * benchmark.settings.counts.size() *
                      benchmark.settings.workloads.size() * benchmark.settings.repetitions;
    if (runs > kMostRuns) return wrong("repetitions", "that makes {} runs; at most {}", runs, kMostRuns);
    benchmark.runs = static_cast<std::uint32_t>(runs);
    auto operation =
        draft.operation(model::operation_kind::bench_run, "benchmark", benchmark.id.str(), benchmark.name, 1);
    benchmark.operation = operation.id;
    draft.edit.create(benchmark);
    draft.add(operation);
    return Accepted<model::Benchmark>{benchmark, operation};
  });
}

Result<model::Benchmark> keep_benchmark(Commander& commander, const Caller& caller, const KeepBenchmark& request,
                                        const std::optional<std::string>& kept) {
  if (!request.name.empty()) {
    if (auto checked = validate::name("benchmark", request.name); !checked) return forward(checked);
  }
  const auto record = bench::read_record(request.result);
  if (!record) return in_field("result", Error{ErrorCode::invalid_argument, record.error().message});
  if (record->runs.size() > kMostRuns)
    return wrong("result", "has {} runs; at most {}", record->runs.size(), kMostRuns);
  if (request.runs > kMostRuns) return wrong("runs", "are more than {}", kMostRuns);
  return run<model::Benchmark>(commander, caller, [&](Draft& draft) -> Result<model::Benchmark> {
    model::Benchmark benchmark{.created_by = draft.actor(), .created = draft.now};
    state::Record<model::Benchmark> before;
    if (kept) {
      const auto found = resolve<model::Benchmark>(draft.inventory, *kept);
      if (!found) return forward(found);
      before = *found;
      benchmark = before->value;
      if (!benchmark.operation.empty()) {
        return fail(ErrorCode::failed_precondition, "benchmark '{}' is the manager's own; it can't be written over",
                    benchmark.name);
      }
    } else {
      if (!request.name.empty()) {
        if (auto is_free = check_name_free<model::Benchmark>(draft.inventory, request.name); !is_free) {
          return forward(is_free);
        }
      }
      benchmark.id = make_id<model::BenchmarkId>(draft.random());
      benchmark.name = request.name.empty() ? new_name(draft.inventory) : request.name;
    }
    benchmark.command = record->command;
    benchmark.settings = settings_of(*record, draft.inventory);
    benchmark.runs_done = static_cast<std::uint32_t>(record->runs.size());
    benchmark.runs = std::max(benchmark.runs_done, static_cast<std::uint32_t>(request.runs));
    benchmark.state = request.message.empty() ? model::BenchmarkState::done : model::BenchmarkState::stopped;
    benchmark.message = request.message;
    benchmark.finished = draft.now;
    auto named = *record;
    named.name = benchmark.name;
    benchmark.result = bench::write_record(named);
    if (before) {
      draft.edit.update(before, benchmark);
    } else {
      draft.edit.create(benchmark);
      draft.event("benchmark.kept", "benchmark", benchmark.id.str(), benchmark.name,
                  fmt::format("Benchmark '{}' is kept: {}", benchmark.name, benchmark.command));
    }
    return benchmark;
  });
}

Result<model::Benchmark> remove_benchmark(Commander& commander, const Caller& caller, const std::string& reference) {
  return run<model::Benchmark>(commander, caller, [&](Draft& draft) -> Result<model::Benchmark> {
    const auto record = resolve<model::Benchmark>(draft.inventory, reference);
    if (!record) return forward(record);
    const auto& benchmark = (*record)->value;
    if (benchmark.state == model::BenchmarkState::running) {
      return fail_with_hint(ErrorCode::failed_precondition, fmt::format("benchmark '{}' is running", benchmark.name),
                            fmt::format("End it first: bh operation cancel {}", benchmark.operation));
    }
    if (!benchmark.leftovers.empty()) {
      return fail_with_hint(ErrorCode::failed_precondition,
                            fmt::format("files of benchmark '{}' are left in a pool", benchmark.name),
                            "They are removed as soon as one of its nodes is back; or remove the node: bh node delete");
    }
    for (const auto& vm : draft.inventory.all<model::Vm>()) {
      if (!is_guest_of(vm->value, benchmark.id)) continue;
      return fail_with_hint(ErrorCode::failed_precondition,
                            fmt::format("guest '{}' of benchmark '{}' is left", vm->value.name, benchmark.name),
                            "It is removed as soon as its node is back; or remove the node: bh node delete");
    }
    draft.edit.remove(*record);
    draft.event("benchmark.removed", "benchmark", benchmark.id.str(), benchmark.name,
                fmt::format("Benchmark '{}' was removed", benchmark.name));
    return benchmark;
  });
}

}  // namespace bridgehead::reconcile
