#include "energy_desk/energy_desk.h"

#include <algorithm>
#include <set>

#include "energy_desk/messages.h"

namespace bridgehead::energy_desk {
namespace {

constexpr std::chrono::minutes kFresh{3};  // what a BMC has said

bool runs(const model::Vm& vm) {
  return vm.status.phase == model::VmPhase::running || vm.status.phase == model::VmPhase::paused;
}

bool tells_watts(const model::Bmc& bmc) { return bmc.driver == "ipmi" || bmc.driver == "redfish"; }

std::optional<reconcile::PlanPromise> promise_of(const model::Plan& plan) {
  reconcile::PlanPromise promise{.id = plan.id,
                                 .name = plan.name,
                                 .finished = plan.finished,
                                 .watts_before = plan.watts_before,
                                 .watts_after = plan.watts_after};
  for (const auto& action : plan.actions) {
    if (action.state != model::PlanActionState::done) continue;
    if (action.kind == model::PlanActionKind::sleep) promise.off.push_back(action.to_name);
    if (action.kind == model::PlanActionKind::wake) promise.on.push_back(action.to_name);
  }
  if (promise.off.empty() && promise.on.empty()) return {};
  return promise;
}

}  // namespace

EnergyDesk::EnergyDesk(EnergyDeskParts parts, EnergyDeskOptions options)
    : parts_(parts), options_(options), book_(parts.store) {}

void EnergyDesk::start() {
  thread_ = std::jthread([this](const std::stop_token& stop) {
    std::unique_lock lock(stop_mutex_);
    do {
      look();
    } while (!wake_.wait_for(lock, stop, options_.every, [&] { return stop.stop_requested(); }));
  });
}

void EnergyDesk::stop() {
  if (!thread_.joinable()) return;
  thread_.request_stop();
  thread_.join();
  look();
  const std::lock_guard lock(mutex_);
  if (const auto kept = keep(looked_); !kept) log::warning(not_counted, "{}", kept.error().describe());
}

void EnergyDesk::look() {
  {
    const std::lock_guard lock(mutex_);
    if (const auto looked = look_locked(); !looked) log::warning(not_counted, "{}", looked.error().describe());
  }
  ask_bmcs(parts_.clock.monotonic());
}

Status EnergyDesk::look_locked() {
  const auto now = parts_.clock.now();
  const auto since = std::exchange(looked_, parts_.clock.monotonic());
  const auto before = std::exchange(looked_at_, now);
  if (!period_) {
    auto begun = begin(now);
    if (!begun) looked_ = {};
    return begun;
  }
  const auto passed = looked_ - since;
  if (passed > options_.longest) {
    if (before < now) period_->away.push_back({before, now});
  } else {
    const auto promises = reconcile::promised_watts(parts_.inventory);
    for (const auto& record : parts_.inventory.all<model::Node>()) {
      const auto& node = record->value;
      if (!reconcile::takes_power(node)) continue;
      const auto promised = promises.find(node.id);
      add(*period_, seen(node, promised == promises.end() ? 0 : promised->second, now), Hours(passed));
    }
  }
  period_->counted_to = std::max(period_->counted_to, now);
  if (period_of(now, Length::hour) != period_->id) return go_over(now);
  return looked_ - kept_ >= options_.keep ? keep(looked_) : Status();
}

// After the manager's start: from where the ledger ends nobody has counted.
Status EnergyDesk::begin(Timestamp now) {
  const auto kept = book_.since(Timestamp{});
  if (!kept) return forward(kept);
  auto period = book_.find(period_of(now, Length::hour));
  if (!period) return forward(period);
  Timestamp counted_to{};
  for (const auto& one : *kept) counted_to = std::max(counted_to, one.counted_to);
  for (const auto& one : *kept) {
    for (const auto& [id, node] : one.nodes) {
      if (node.least_watts > 0) period->nodes[id].least_watts = node.least_watts;
      if (period->nodes.contains(id)) period->nodes[id].name = node.name;
    }
  }
  if (counted_to != Timestamp{} && counted_to < now) period->away.push_back({counted_to, now});
  period->counted_to = std::max(counted_to, now);
  period_ = std::move(*period);
  return keep(looked_);
}

// Until what was is kept, the new hour's figures are added to it.
Status EnergyDesk::go_over(Timestamp now) {
  if (auto kept = keep(looked_); !kept) return kept;
  auto next = book_.find(period_of(now, Length::hour));
  if (!next) return forward(next);
  for (const auto& [id, node] : period_->nodes) {
    if (node.least_watts <= 0) continue;
    next->nodes[id].name = node.name;
    next->nodes[id].least_watts = node.least_watts;
  }
  next->counted_to = std::max(next->counted_to, now);
  period_ = std::move(*next);
  return book_.roll_up(now);
}

Status EnergyDesk::keep(Monotonic now) {
  if (!period_) return {};
  auto kept = book_.keep(*period_);
  if (kept) kept_ = now;
  return kept;
}

Seen EnergyDesk::seen(const model::Node& node, double promised, Timestamp now) const {
  Seen found{.id = node.id,
             .name = node.name,
             .watts = reconcile::watts_of(parts_.inventory, &parts_.use, node, watts_by_bmc(node.id), now),
             .promised = promised};
  if (found.watts && !found.watts->off) add_guests(node, now, found);
  return found;
}

void EnergyDesk::add_guests(const model::Node& node, Timestamp now, Seen& seen) const {
  auto guests = parts_.inventory.vms_on_node(node.id);
  std::erase_if(guests, [](const auto& vm) { return !runs(vm->value); });
  std::vector<double> cpus;
  double all_cpus = 0;
  double all_memory = 0;
  for (const auto& vm : guests) {
    const auto use = parts_.use.newest(vm->value.id, now);
    cpus.push_back(use ? use->cpus : 0);
    all_cpus += cpus.back();
    all_memory += static_cast<double>(vm->value.spec.memory.count());
  }
  // They were measured one after the other: together guests may seem to use more than there is.
  const double busy_cpus = std::max({parts_.use.node_cpus(node.id, now).value_or(0), all_cpus, 1e-9});
  const double memory = std::max({static_cast<double>(node.facts.memory.count()), all_memory, 1.0});
  for (std::size_t i = 0; i < guests.size(); ++i) {
    const auto& vm = guests[i]->value;
    const Share share{.memory = static_cast<double>(vm.spec.memory.count()) / memory, .cpus = cpus[i] / busy_cpus};
    seen.guests.push_back({vm.id, vm.name, part_of(share, seen.watts->idle_part)});
  }
}

Result<reconcile::EnergyReport> EnergyDesk::report(Timestamp from) const {
  const auto now = parts_.clock.now();
  auto kept = book_.since(from);
  if (!kept) return forward(kept);
  {
    const std::lock_guard lock(mutex_);
    if (period_) {
      std::erase_if(*kept, [&](const auto& one) { return one.id == period_->id; });
      kept->push_back(*period_);
    }
  }
  reconcile::EnergyReport report{.span = {now, now}};
  model::EnergyPeriod all;
  std::map<std::string, model::NodeEnergy> days;
  for (const auto& period : *kept) {
    const auto span = span_of(period.id);
    if (!span) return forward(span);
    report.span.from = std::min(report.span.from, span->from);
    merge(all, period);
    auto& day = days[period.id.str().substr(0, 10)];
    for (const auto& [id, node] : period.nodes) merge(day, node);
  }
  report.nodes = std::move(all.nodes);
  report.guests = std::move(all.guests);
  for (auto& [day, energy] : days) {
    energy.name.clear();
    report.days.push_back({day, energy});
  }
  for (auto& away : all.away) {
    away.from = std::max(away.from, report.span.from);
    if (away.from < away.to) report.away.push_back(away);
  }
  for (const auto& plan : parts_.inventory.all<model::Plan>()) {
    if (plan->value.finished < report.span.from) continue;
    if (auto promise = promise_of(plan->value)) report.plans.push_back(std::move(*promise));
  }
  std::sort(report.plans.begin(), report.plans.end(),
            [](const auto& a, const auto& b) { return a.finished < b.finished; });
  return report;
}

std::optional<double> EnergyDesk::watts_by_bmc(const model::NodeId& node) const {
  const std::lock_guard lock(answers_->mutex);
  const auto found = answers_->nodes.find(node);
  if (found == answers_->nodes.end() || parts_.clock.monotonic() - found->second.answered > kFresh) return {};
  return found->second.watts;
}

void EnergyDesk::ask_bmcs(Monotonic now) {
  {
    const std::lock_guard lock(answers_->mutex);
    std::set<model::NodeId> there;
    std::vector<std::pair<Monotonic, model::NodeId>> due;
    for (const auto& bmc : parts_.inventory.all<model::Bmc>()) {
      if (!tells_watts(bmc->value)) continue;
      there.insert(bmc->value.id);
      const auto& known = answers_->nodes[bmc->value.id];
      if (!known.open && known.next <= now) due.emplace_back(known.next, bmc->value.id);
    }
    std::erase_if(answers_->nodes, [&](const auto& entry) { return !there.contains(entry.first); });
    std::sort(due.begin(), due.end());
    answers_->due.clear();
    for (auto& [next, node] : due) answers_->due.push_back(std::move(node));
  }
  for (std::size_t i = 0; i < options_.asked_at_once; ++i) {
    ask_next(answers_, parts_.power, parts_.clock, options_);
  }
}

// Each answer has the next one asked.
void EnergyDesk::ask_next(const std::shared_ptr<Answers>& answers, reconcile::PowerPort& power, const Clock& clock,
                          const EnergyDeskOptions& options) {
  model::NodeId node;
  {
    const std::lock_guard lock(answers->mutex);
    if (answers->due.empty() || answers->open >= options.asked_at_once) return;
    node = std::move(answers->due.front());
    answers->due.pop_front();
    ++answers->open;
    auto& asked = answers->nodes[node];
    asked.open = true;
    asked.next = clock.monotonic() + options.ask;
  }
  const auto told = [answers, node, &power, &clock, options](const Result<double>& watts) {
    {
      const std::lock_guard lock(answers->mutex);
      --answers->open;
      auto& asked = answers->nodes[node];
      asked.open = false;
      asked.watts = watts ? std::optional(*watts) : std::nullopt;
      asked.answered = clock.monotonic();
      if (!watts) asked.next = asked.answered + options.ask_refused;
    }
    ask_next(answers, power, clock, options);
  };
  if (power.read_watts(node, told)) return;
  const std::lock_guard lock(answers->mutex);  // others are asked so much that these have to wait
  --answers->open;
  answers->nodes[node].open = false;
  answers->due.clear();
}

}  // namespace bridgehead::energy_desk
