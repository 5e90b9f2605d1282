#include "bench_desk/bench_desk.h"

#include <condition_variable>

#include "bench/guest_waits.h"
#include "bench_desk/ask_node.h"
#include "bench_desk/guests.h"
#include "bench_desk/leftovers.h"
#include "bench_desk/messages.h"
#include "load/sweep.h"
#include "model/enum_names.h"
#include "reconcile/commands/benchmarks.h"

namespace bridgehead::bench_desk {
namespace {

constexpr std::chrono::minutes kUntilRemoved{3};
constexpr std::chrono::minutes kUntilUp{15};  // a guest that is emulated, on a busy node
// fio's start, and the look at the guest's clock, take so long.
constexpr std::chrono::seconds kLeadWithKvm{4};
constexpr std::chrono::seconds kLeadEmulated{15};

// False: the end was asked for.
bool rest(const std::stop_token& stop) {
  std::mutex mutex;
  std::condition_variable_any never;
  std::unique_lock lock(mutex);
  never.wait_for(lock, stop, std::chrono::milliseconds(500), [] { return false; });
  return !stop.stop_requested();
}

bool through_guests(const model::BenchmarkSettings& settings) { return !settings.guests.image.empty(); }

bool is_ours(const model::Operation& operation) { return operation.kind == model::operation_kind::bench_run; }

load::Size size_of(const model::BenchmarkSettings& settings) {
  return {settings.file_size, std::chrono::seconds(settings.seconds), settings.users, settings.rate};
}

load::Plan plan_of(const model::Benchmark& benchmark, const state::Inventory& inventory,
                   const BenchDeskOptions& options) {
  const auto& settings = benchmark.settings;
  load::Plan plan{.name = benchmark.name,
                  .command = benchmark.command,
                  .version = options.version,
                  .counts = {settings.counts.begin(), settings.counts.end()},
                  .workloads = settings.workloads,
                  .size = size_of(settings),
                  .repetitions = settings.repetitions,
                  .seed = settings.seed,
                  .least_lead = options.lead,
                  .cleans = false};
  for (const auto& node : settings.nodes) plan.nodes.push_back(node.name);
  for (const auto& pool : settings.pools) {
    const auto record = inventory.find<model::Pool>(pool.pool);
    plan.pools.push_back({{.name = pool.name,
                           .driver = record ? std::string(model::to_string(record->value.driver)) : "",
                           .layout = "",
                           .servers = pool.servers,
                           .server_link_bits = pool.server_link_bits,
                           .server_disk_bytes = pool.server_disk_bytes,
                           .copies = pool.copies},
                          "/"});  // each node knows where it has it
    if (!through_guests(settings) || !record) continue;
    for (const auto& node : settings.nodes) {
      const auto on = record->value.nodes.find(node.node);
      if (on == record->value.nodes.end() || on->second.abilities.direct_io) continue;
      plan.notes.push_back(fmt::format(
          "{} doesn't take direct I/O on {}: what guests read may come from that node's cache.", pool.name, node.name));
    }
  }
  if (through_guests(settings)) {
    plan.guests =
        fmt::format("a guest of {} CPU{} and {} of memory from {}", settings.guests.cpus,
                    settings.guests.cpus == 1 ? "" : "s", settings.guests.memory.human(), settings.guests.image_name);
  }
  return plan;
}

std::chrono::milliseconds patience_for(const model::BenchmarkSettings& settings) {
  return std::chrono::seconds(std::uint64_t{settings.seconds} * 3 + 180);
}

// Of a node that measures only the guests' disks count: the host waits for fio.
std::string suffering_of(const model::Node& node, const model::BenchmarkSettings& limits, bool measures) {
  const auto& load = node.load;
  return bench::suffering_of({load.pressure.cpu, load.pressure.memory, load.pressure.io, load.guest_disk_ms},
                             {.pressure = measures ? 0 : limits.pressure, .guest_disk_ms = limits.guest_disk_ms});
}

}  // namespace

BenchDesk::BenchDesk(reconcile::Commander& commander, reconcile::AgentPort& agents, reconcile::TunnelBroker& tunnels,
                     reconcile::ProgressBoard& progress, BenchDeskOptions options)
    : commander_(commander),
      inventory_(commander.inventory),
      agents_(agents),
      tunnels_(tunnels),
      progress_(progress),
      clock_(commander.clock),
      options_(std::move(options)) {
  for (const auto& open : inventory_.open_operations()) {
    if (!is_ours(open->value) || open->value.state != model::OperationState::running) continue;
    finish(open->value.id, fail_with_hint(ErrorCode::failed_precondition, "the manager was stopped while it ran",
                                          "What was measured is kept; ask for it again."));
  }
  listener_ = inventory_.listen([this](state::Revision, const std::vector<model::Event>& events) {
    for (const auto& event : events) {
      if (event.object_kind != "operation") continue;
      const auto operation = inventory_.find<model::Operation>(model::OperationId(event.object));
      if (operation && is_ours(operation->value)) return look();
    }
  });
  look();
  watcher_ = std::jthread([this](const std::stop_token& stop) { watch(stop); });
}

BenchDesk::~BenchDesk() {
  listener_.reset();
  stopping_.request_stop();
  {
    const std::lock_guard lock(mutex_);
    for (auto& [id, running] : running_) running->stop.request_stop();
  }
  watcher_ = {};
  worker_.stop();
}

// Begins what is open, and cancels what is to be cancelled.
void BenchDesk::look() {
  const std::lock_guard lock(mutex_);
  if (stopping_.stop_requested()) return;
  for (const auto& open : inventory_.open_operations()) {
    const auto& operation = open->value;
    if (!is_ours(operation)) continue;
    auto& running = running_[operation.id];
    if (running) {
      if (operation.cancel_requested) running->stop.request_stop();
      continue;
    }
    running = std::make_shared<Running>();
    worker_.submit([this, id = operation.id, own = running] { carry_out(id, own); });
  }
}

void BenchDesk::carry_out(const model::OperationId& id, const std::shared_ptr<Running>& running) {
  if (stopping_.stop_requested()) return;
  const auto benchmark = begin(id);
  Status result;
  if (benchmark) {
    const auto operation = inventory_.find<model::Operation>(id);
    result = measure(operation->value, *benchmark, *running);
    {
      const std::lock_guard lock(mutex_);
      if (!result && running->why) result = fail(*running->why);
    }
    if (stopping_.stop_requested()) return;
    progress_.note(operation->value, {.phase = "removing what it made"});
    clean({inventory_, agents_, tunnels_, stopping_.get_token()}, benchmark->id);
    const auto until = clock_.monotonic() + kUntilRemoved;
    while (!remove_guests(commander_, *benchmark).value_or(false) && clock_.monotonic() < until &&
           rest(stopping_.get_token())) {
    }
  } else {
    result = forward(benchmark);
  }
  finish(id, result);
  const std::lock_guard lock(mutex_);
  running_.erase(id);
}

Result<model::Benchmark> BenchDesk::begin(const model::OperationId& id) {
  model::Benchmark begun;
  const auto committed = state::change(inventory_, [&](state::Edit& edit) -> Status {
    const auto record = inventory_.find<model::Operation>(id);
    const auto benchmark =
        record ? inventory_.find<model::Benchmark>(model::BenchmarkId(record->value.target)) : nullptr;
    if (!benchmark) return fail(ErrorCode::not_found, "the benchmark's record is gone");
    auto operation = record->value;
    if (operation.cancel_requested) return fail(ErrorCode::cancelled, "cancelled before it began");
    operation.state = model::OperationState::running;
    operation.started = clock_.now();
    edit.update(record, operation);
    begun = benchmark->value;
    begun.leftovers.clear();
    for (const auto& pool : begun.settings.pools) {
      if (through_guests(begun.settings)) break;  // they have disks there, and are found by their label
      for (const auto& node : begun.settings.nodes) begun.leftovers.push_back({pool.pool, node.node});
    }
    edit.update(benchmark, begun);
    edit.event({.kind = "operation.started",
                .object_kind = "operation",
                .object = operation.id.str(),
                .object_name = operation.target_name,
                .message = fmt::format("Benchmark '{}' has begun", begun.name),
                .actor = operation.created_by});
    return {};
  });
  if (!committed) return forward(committed);
  return begun;
}

bool BenchDesk::has_guests(const model::NodeId& node) const {
  const auto guests = inventory_.vms_on_node(node);
  return std::any_of(guests.begin(), guests.end(), [](const auto& vm) {
    return vm->value.status.phase == model::VmPhase::running && !vm->value.labels.contains(reconcile::kBenchLabel);
  });
}

Status BenchDesk::measure(const model::Operation& operation, const model::Benchmark& benchmark, Running& running) {
  const auto& settings = benchmark.settings;
  std::map<std::string, model::NodeId> nodes;
  for (const auto& node : settings.nodes) nodes[node.name] = node.node;
  std::map<std::string, model::PoolId> pools;
  for (const auto& pool : settings.pools) pools[pool.name] = pool.pool;
  {
    const std::lock_guard lock(mutex_);
    running.limits = settings;
  }
  std::map<std::string, model::VmId> guests;
  if (through_guests(settings)) {
    progress_.note(operation, {.phase = "creating guests"});
    auto made = make_guests(commander_, benchmark, running.stop.get_token());
    if (!made) return forward(made);
    guests = std::move(*made);
  }
  const load::Ask ask = [&](const std::string& name, const load::ClientOrder& wanted,
                            const std::stop_token& stop) -> Result<load::ClientAnswer> {
    const auto pool = inventory_.find<model::Pool>(pools.at(wanted.pool));
    if (!pool) return fail(ErrorCode::not_found, "the pool is gone");
    const auto& node = nodes.at(name);
    auto order = order_for(benchmark, name, wanted);
    if (const auto guest = guests.find(name); guest != guests.end()) {
      const auto place = std::find_if(settings.pools.begin(), settings.pools.end(),
                                      [&](const auto& one) { return one.name == wanted.pool; });
      order.guest = guest->second.str();
      order.disk = disk_in_pool(static_cast<std::size_t>(place - settings.pools.begin()));
    } else if (has_guests(node)) {
      order.pressure = settings.pressure;
    }
    {
      const std::lock_guard lock(mutex_);
      running.measuring.insert(node.str());
    }
    auto answer = ask_node(tunnels_, node, pool->value, order, patience_for(settings), stop);
    const std::lock_guard lock(mutex_);
    running.measuring.erase(node.str());
    return answer;
  };
  auto plan = plan_of(benchmark, inventory_, options_);
  if (!guests.empty()) {
    const auto emulated = await_guests(operation, benchmark, ask, running.stop.get_token());
    if (!emulated) return forward(emulated);
    plan.least_lead = std::max<std::chrono::milliseconds>(plan.least_lead, *emulated ? kLeadEmulated : kLeadWithKvm);
  }
  auto saved = clock_.monotonic();
  bench::Record latest;
  const auto with_links = [&](bench::Record record) {
    for (auto& node : record.nodes) {
      if (settings.node_link_bits > 0) node.link_bits = settings.node_link_bits;
    }
    return record;
  };
  const auto record = load::carry_out(
      plan, ask, clock_,
      [&](std::size_t, std::size_t, const bench::Record& so_far) {
        latest = with_links(so_far);
        if (clock_.monotonic() - saved < options_.save) return;
        saved = clock_.monotonic();
        save(benchmark.id, latest);
      },
      running.stop.get_token(),
      [&](const std::string& what, std::size_t done, std::size_t all) {
        progress_.note(operation, {.phase = what, .done = done, .total = all});
      });
  if (record) latest = with_links(*record);
  if (!latest.runs.empty()) save(benchmark.id, latest);
  return record ? Status() : forward(record);
}

// Whether one at least is emulated. Errors: those of a guest that isn't up in time, or can't measure.
Result<bool> BenchDesk::await_guests(const model::Operation& operation, const model::Benchmark& benchmark,
                                     const load::Ask& ask, const std::stop_token& stop) {
  bool emulated = false;
  std::size_t up = 0;
  const auto until = clock_.monotonic() + kUntilUp;
  for (const auto& node : benchmark.settings.nodes) {
    progress_.note(operation, {.phase = "guests start", .done = up, .total = benchmark.settings.nodes.size()});
    for (;;) {
      const auto answer = ask(
          node.name, {.action = load::ClientOrder::Action::facts, .pool = benchmark.settings.pools.front().name}, stop);
      if (answer) {
        emulated = emulated || answer->facts.guest == "emulated";
        break;
      }
      const auto code = answer.error().code;
      if (code != ErrorCode::unavailable && code != ErrorCode::timeout) {
        return fail_with_hint(code, fmt::format("{}: {}", node.name, answer.error().message), answer.error().hint);
      }
      if (clock_.monotonic() > until) {
        return fail_with_hint(
            ErrorCode::unsupported,
            fmt::format("{}: no agent answers in the guest after {} minutes ({})", node.name, kUntilUp.count(),
                        answer.error().message),
            fmt::format("Image '{}' needs qemu-guest-agent and fio: docs/bench.md, \"Through guests\".",
                        benchmark.settings.guests.image_name));
      }
      if (!rest(stop)) return fail(ErrorCode::cancelled, "the benchmark was cancelled");
    }
    ++up;
  }
  return emulated;
}

void BenchDesk::save(const model::BenchmarkId& id, const bench::Record& record) {
  const auto committed = state::change(inventory_, [&](state::Edit& edit) -> Status {
    const auto kept = inventory_.find<model::Benchmark>(id);
    if (!kept) return {};
    auto benchmark = kept->value;
    benchmark.runs_done = static_cast<std::uint32_t>(record.runs.size());
    benchmark.result = bench::write_record(record);
    edit.update(kept, benchmark);
    return {};
  });
  if (!committed) log::error(bench_not_noted, "{}: {}", record.name, committed.error().describe());
}

void BenchDesk::finish(const model::OperationId& id, const Status& result) {
  const auto committed = state::change(inventory_, [&](state::Edit& edit) -> Status {
    const auto record = inventory_.find<model::Operation>(id);
    if (!record) return {};
    auto ended = record->value;
    const bool cancelled = !result && result.error().code == ErrorCode::cancelled;
    ended.state = result      ? model::OperationState::succeeded
                  : cancelled ? model::OperationState::cancelled
                              : model::OperationState::failed;
    if (!result) ended.error = result.error();
    ended.finished = clock_.now();
    edit.update(record, ended);
    if (const auto kept = inventory_.find<model::Benchmark>(model::BenchmarkId(ended.target))) {
      auto benchmark = kept->value;
      benchmark.state = result ? model::BenchmarkState::done : model::BenchmarkState::stopped;
      benchmark.message = result ? "" : result.error().message;
      benchmark.finished = ended.finished;
      edit.update(kept, benchmark);
    }
    edit.event({.kind = "operation.finished",
                .object_kind = "operation",
                .object = ended.id.str(),
                .object_name = ended.target_name,
                .message = fmt::format("Benchmark '{}' {}", ended.target_name,
                                       result      ? "is done"
                                       : cancelled ? "was cancelled"
                                                   : "was stopped: " + result.error().message),
                .actor = ended.created_by});
    return {};
  });
  if (!committed) log::error(bench_not_noted, "{}: {}", id, committed.error().describe());
  progress_.forget(id);
}

void BenchDesk::watch(const std::stop_token& stop) {
  std::mutex mutex;
  std::condition_variable_any never;
  std::unique_lock lock(mutex);
  auto cleaned = clock_.monotonic();
  while (!stop.stop_requested()) {
    never.wait_for(lock, stop, options_.look, [] { return false; });
    watch_guests();
    if (stop.stop_requested() || clock_.monotonic() - cleaned < options_.clean) continue;
    clean_up();
    cleaned = clock_.monotonic();
  }
}

// By what comes with heartbeats. Of nodes that measure now only the guests' disks: the host waits for fio, and for its
// guests those nodes look themselves.
void BenchDesk::watch_guests() {
  const std::lock_guard lock(mutex_);
  for (auto& [id, running] : running_) {
    if (running->measuring.empty() || running->stop.stop_requested()) continue;
    for (const auto& node : inventory_.all<model::Node>()) {
      if (node->value.state != model::NodeState::ready || !has_guests(node->value.id)) continue;
      const bool measures = running->measuring.contains(node->value.id.str());
      // What the benchmark's own guest waits for isn't told apart; there were no others when it began.
      if (measures && through_guests(running->limits)) continue;
      const auto why = suffering_of(node->value, running->limits, measures);
      if (why.empty()) continue;
      running->why = Error{ErrorCode::resource_exhausted, fmt::format("{}: {}", node->value.name, why),
                           "Choose a quiet hour, or a limited rate; or allow more."};
      running->stop.request_stop();
      break;
    }
  }
}

void BenchDesk::clean_up() {
  for (const auto& benchmark : inventory_.all<model::Benchmark>()) {
    if (stopping_.stop_requested()) return;
    if (benchmark->value.state == model::BenchmarkState::running) continue;
    if (through_guests(benchmark->value.settings)) {
      if (const auto removed = remove_guests(commander_, benchmark->value); !removed) {
        log::warning(bench_left_guest, "{}: {}", benchmark->value.name, removed.error().describe());
      }
    }
    if (benchmark->value.leftovers.empty()) continue;
    clean({inventory_, agents_, tunnels_, stopping_.get_token()}, benchmark->value.id);
  }
}

}  // namespace bridgehead::bench_desk
