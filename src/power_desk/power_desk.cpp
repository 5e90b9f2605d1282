#include "power_desk/power_desk.h"

#include "model/enum_names.h"
#include "power/verified_power.h"
#include "power_desk/messages.h"
#include "power_desk/open_control.h"
#include "reconcile/ask_agent.h"
#include "reconcile/commands/power.h"
#include "reconcile/operations/records.h"
#include "reconcile/sleeping_nodes.h"

namespace bridgehead::power_desk {
namespace {

using model::MachinePowerAction;
using reconcile::operations::parameter;

constexpr int kMissedHeartbeats = 3;
constexpr std::chrono::seconds kStorePause{5};
constexpr char kSwitchedOff[] = "switched_off";  // of a cycle: only switching on is left
constexpr char kFallsAsleep[] = "falls_asleep";  // its agent has taken the order: only the proof is left

bool is_ours(const model::Operation& operation) { return operation.kind == model::operation_kind::node_power; }

MachinePowerAction action_of(const model::Operation& operation) {
  const auto action = model::parse_enum<MachinePowerAction>(parameter<std::string>(operation, "action", {}));
  return action.value_or(MachinePowerAction::on);
}

std::string seconds_text(std::chrono::milliseconds time) {
  return fmt::format("{:.1f} s", std::chrono::duration<double>(time).count());
}

// After such an error the machine is as it was: it was never asked.
bool is_untouched(ErrorCode code) {
  return code == ErrorCode::unauthenticated || code == ErrorCode::permission_denied ||
         code == ErrorCode::invalid_argument || code == ErrorCode::not_found || code == ErrorCode::unsupported ||
         code == ErrorCode::data_corrupt;
}

// The user's own rights are never what a BMC complains about.
Error as_answer(Error error) {
  if (error.code == ErrorCode::unauthenticated || error.code == ErrorCode::permission_denied) {
    error.code = ErrorCode::failed_precondition;
  }
  return error;
}

}  // namespace

PowerDesk::PowerDesk(state::Inventory& inventory, const pki::SecretBox& secrets, reconcile::TunnelBroker& agents,
                     reconcile::ProgressBoard& progress, const Clock& clock, power::PowerTools tools,
                     PowerDeskOptions options)
    : inventory_(inventory),
      secrets_(secrets),
      agents_(agents),
      progress_(progress),
      clock_(clock),
      tools_(std::move(tools)),
      options_(std::move(options)),
      changes_(options_.changes_at_once),
      readings_(options_.readings_at_once),
      console_threads_(options_.most_consoles) {
  watch_ = inventory_.listen([this](state::Revision, const std::vector<model::Event>& events) {
    for (const auto& event : events) {
      if (event.object_kind != "operation") continue;
      const auto operation = inventory_.find<model::Operation>(model::OperationId(event.object));
      if (operation && is_ours(operation->value)) return look();
    }
  });
  look();
}

PowerDesk::~PowerDesk() {
  watch_.reset();
  stopping_.request_stop();
  {
    const std::lock_guard lock(mutex_);
    for (auto& [node, running] : running_) running.stop.request_stop();
  }
  changes_.stop();
  readings_.stop();
  console_threads_.stop();
}

// Begins what is open, and cancels what is to be cancelled.
void PowerDesk::look() {
  const std::lock_guard lock(mutex_);
  if (stopping_.stop_requested()) return;
  for (const auto& open : inventory_.open_operations()) {
    const auto& operation = open->value;
    if (!is_ours(operation)) continue;
    const auto [at, idle] = running_.try_emplace(operation.target);
    auto& running = at->second;
    if (idle) running.operation = operation.id;
    if (running.operation == operation.id && operation.cancel_requested) running.stop.request_stop();
    if (!idle) continue;
    changes_.submit([this, id = operation.id, stop = running.stop.get_token()] { carry_out(id, stop); });
  }
}

void PowerDesk::carry_out(const model::OperationId& id, const std::stop_token& stop) {
  const auto operation = begin(id);
  if (operation) {
    const auto result = change_power(*operation, stop);
    // Stopped with the manager, it stays as it is and is taken up again.
    if (!result && stopping_.stop_requested()) return;
    finish(id, result);
  } else {
    finish(id, forward(operation));
  }
  const auto after = inventory_.find<model::Operation>(id);
  // The store failed (a full disk): not at once again.
  if (after && !after->value.terminal()) power::pause(kStorePause, stopping_.get_token());
  {
    const std::lock_guard lock(mutex_);
    std::erase_if(running_, [&](const auto& entry) { return entry.second.operation == id; });
  }
  look();
}

Result<model::Operation> PowerDesk::begin(const model::OperationId& id) {
  model::Operation running;
  const auto committed = state::change(inventory_, [&](state::Edit& edit) -> Status {
    const auto record = inventory_.find<model::Operation>(id);
    if (!record) return fail(ErrorCode::not_found, "the operation is gone");
    running = record->value;
    if (running.cancel_requested) return fail(ErrorCode::cancelled, "cancelled before it began");
    if (running.state == model::OperationState::running) {
      log::info(power_taken_up_again, "{} ({})", running.target_name, running.id);
      return {};
    }
    running.state = model::OperationState::running;
    running.started = clock_.now();
    running.progress = {.phase = fmt::format("switching ({})", parameter<std::string>(running, "action", {}))};
    edit.update(record, running);
    edit.event({.kind = "operation.started",
                .object_kind = "operation",
                .object = running.id.str(),
                .object_name = running.target_name,
                .message = fmt::format("{} of node '{}' has begun", running.kind, running.target_name),
                .actor = running.created_by});
    return {};
  });
  if (!committed) return forward(committed);
  return running;
}

Result<std::unique_ptr<power::PowerDriver>> PowerDesk::open_driver(const model::Node& node) const {
  const auto bmc = reconcile::bmc_of(inventory_, node);
  if (!bmc) return forward(bmc);
  const auto password = password_of((*bmc)->value, secrets_);
  if (!password) return forward(password);
  return power::open_driver(settings_of((*bmc)->value), *password, tools_);
}

Result<PowerDesk::Opened> PowerDesk::open(const model::NodeId& id) const {
  const auto node = inventory_.find<model::Node>(id);
  if (!node) return fail(ErrorCode::not_found, "the node is gone");
  auto driver = open_driver(node->value);
  if (!driver) return forward(driver);
  const auto abilities = (*driver)->abilities();
  return Opened{.name = node->value.name,
                .control = std::make_unique<power::VerifiedPower>(node->value.name, std::move(*driver), clock_,
                                                                  witness_of(node->value)),
                .abilities = abilities};
}

// The machine's agent. One that wasn't heard of before proves nothing by its silence.
power::PowerWitness PowerDesk::witness_of(const model::Node& node) const {
  const bool was_heard = node.state != model::NodeState::unreachable;
  return [this, id = node.id, was_heard](Monotonic since) {
    const auto record = inventory_.find<model::Node>(id);
    if (!record) return power::Sign::blind;
    const auto age = std::chrono::duration_cast<std::chrono::milliseconds>(clock_.monotonic() - since);
    if (record->value.last_seen > clock_.now() - age) return power::Sign::alive;
    return was_heard ? power::Sign::silent : power::Sign::blind;
  };
}

Result<power::PowerReport> PowerDesk::change_power(const model::Operation& operation, const std::stop_token& stop) {
  const auto action = action_of(operation);
  const model::NodeId id(operation.target);
  const auto node = inventory_.find<model::Node>(id);
  if (!node) return fail(ErrorCode::not_found, "the node is gone");
  const bool switched_off = parameter(operation, kSwitchedOff, false);
  if (action != MachinePowerAction::on && !switched_off && !parameter(operation, "force", false)) {
    // Again: something may have begun since it was asked for.
    if (auto idle = reconcile::check_nothing_runs_on(inventory_, node->value); !idle) return forward(idle);
  }
  auto opened = open(id);
  if (!opened) return forward(opened);
  auto limits = options_.change;
  limits.stop = stop;
  limits.witness_time = options_.heartbeat * kMissedHeartbeats;
  if (!opened->abilities.status) limits.deadline = options_.unreadable_deadline;
  progress_.note(operation, {.phase = switched_off ? "switching on again" : operation.progress.phase});
  auto& control = *opened->control;
  if (action == MachinePowerAction::off) return control.off(limits);
  if (action == MachinePowerAction::on || switched_off) return control.on(limits);
  if (action == MachinePowerAction::sleep) return control.sleep([&] { return fall_asleep(operation, stop); }, limits);
  return control.cycle([&] { return note_step(operation.id, kSwitchedOff, "switching on again"); }, limits);
}

Status PowerDesk::fall_asleep(const model::Operation& operation, const std::stop_token& stop) {
  if (parameter(operation, kFallsAsleep, false)) return {};
  const auto answer = reconcile::ask_agent(agents_, model::NodeId(operation.target),
                                           {.kind = reconcile::TunnelKind::sleep}, options_.agent_answers, stop);
  if (!answer) return forward(answer);
  return note_step(operation.id, kFallsAsleep, "falling asleep");
}

Status PowerDesk::note_step(const model::OperationId& id, const char* parameter, const char* phase) {
  const auto committed = state::change(inventory_, [&](state::Edit& edit) -> Status {
    const auto record = inventory_.find<model::Operation>(id);
    if (!record) return fail(ErrorCode::not_found, "the operation is gone");
    auto operation = record->value;
    operation.parameters[parameter] = true;
    operation.progress = {.phase = phase};
    edit.update(record, operation);
    return {};
  });
  return committed ? Status() : forward(committed);
}

void PowerDesk::finish(const model::OperationId& id, const Result<power::PowerReport>& result) {
  const auto committed = state::change(inventory_, [&](state::Edit& edit) -> Status {
    const auto record = inventory_.find<model::Operation>(id);
    if (!record) return {};
    auto ended = record->value;
    const auto* error = result ? nullptr : &result.error();
    const bool cancelled = error != nullptr && error->code == ErrorCode::cancelled;
    ended.state = result      ? model::OperationState::succeeded
                  : cancelled ? model::OperationState::cancelled
                              : model::OperationState::failed;
    if (error != nullptr) ended.error = *error;
    ended.finished = clock_.now();
    const bool was_begun = record->value.state == model::OperationState::running;
    std::string how = cancelled ? "was cancelled" : "failed: ";
    if (error != nullptr && !cancelled) how += error->message;
    if (result) {
      ended.parameters["report"] = {{"state", model::to_string(state_of(result->state))},
                                    {"evidence", model::to_string(evidence_of(result->evidence))},
                                    {"changed", result->changed},
                                    {"accepted_ms", result->timing.accepted.count()},
                                    {"confirmed_ms", result->timing.confirmed.count()},
                                    {"requests", result->timing.requests},
                                    {"readings", result->timing.readings},
                                    {"failures", result->timing.failures}};
      how = fmt::format("succeeded: it is {}, says {}, after {}", power::to_string(result->state),
                        power::to_string(result->evidence), seconds_text(result->timing.confirmed));
    }
    edit.update(record, ended);
    const auto bmc = inventory_.find<model::Bmc>(model::NodeId(ended.target));
    if (bmc && was_begun && (result || !is_untouched(error->code))) {
      auto known = bmc->value;
      keep_what_is_known(known, ended, result);
      edit.update(bmc, known);
    }
    edit.event({.kind = "operation.finished",
                .object_kind = "operation",
                .object = ended.id.str(),
                .object_name = ended.target_name,
                .message = fmt::format("{} ({}) of node '{}' {}", ended.kind,
                                       parameter<std::string>(ended, "action", {}), ended.target_name, how),
                .actor = ended.created_by});
    return {};
  });
  if (!committed) log::error(power_not_noted, "{}: {}", id, committed.error().describe());
  if (!result && result.error().code != ErrorCode::cancelled) {
    log::warning(power_operation_failed, "{}: {}", id, result.error().describe());
  }
  progress_.forget(id);
}

// What an end that may have changed the machine says of it.
void PowerDesk::keep_what_is_known(model::Bmc& bmc, const model::Operation& ended,
                                   const Result<power::PowerReport>& result) const {
  const auto action = action_of(ended);
  bmc.power = {.time = ended.finished};
  if (result) {
    // Most BMCs call a machine that sleeps off.
    bmc.power.state = action == MachinePowerAction::sleep ? model::MachinePower::sleeping : state_of(result->state);
    bmc.power.evidence = evidence_of(result->evidence);
  }
  const auto node = inventory_.find<model::Node>(bmc.id);
  if (action == MachinePowerAction::sleep && !result) {
    if (parameter(ended, kFallsAsleep, false)) reconcile::note_no_sleep(bmc, result.error().message);
    const bool heard = node && ended.finished - node->value.last_seen < options_.heartbeat * kMissedHeartbeats;
    if (heard) bmc.power = {model::MachinePower::on, model::PowerEvidence::others, ended.finished};
  }
  if (bmc.asleep_since != Timestamp{} && action != MachinePowerAction::on) {
    reconcile::note_no_sleep(bmc, "it didn't come back when it was woken");
  }
  if (action == MachinePowerAction::sleep && result) bmc.asleep_since = ended.started;
  const bool woken = result && result->changed && action == MachinePowerAction::on;
  bmc.waking_since = woken ? ended.started : Timestamp{};
  // A quick machine's agent is there before its BMC has said twice that it is on.
  const bool there = node && node->value.state == model::NodeState::ready && node->value.last_seen > ended.started;
  if (woken && there) reconcile::note_woken(bmc, node->value, ended.finished);
}

Status PowerDesk::try_settings(const model::Bmc& bmc, std::string_view password) const {
  const auto driver = power::open_driver(settings_of(bmc), password, tools_);
  return driver ? Status() : forward(driver);
}

Status PowerDesk::submit_reading(std::function<void()> reading) {
  const bool taken = readings_.pending() < options_.most_readings && readings_.submit(std::move(reading));
  if (taken) return {};
  return fail_with_hint(ErrorCode::unavailable, "too many BMCs are being asked", "Try again in a moment.");
}

Status PowerDesk::read(const model::NodeId& node, std::function<void(Result<reconcile::PowerReading>)> told) {
  return submit_reading([this, node, told = std::move(told)] { told(read_now(node)); });
}

Status PowerDesk::read_watts(const model::NodeId& node, std::function<void(Result<double>)> told) {
  return submit_reading([this, node, told = std::move(told)] { told(read_watts_now(node)); });
}

Result<double> PowerDesk::read_watts_now(const model::NodeId& id) const {
  const auto node = inventory_.find<model::Node>(id);
  if (!node) return fail(ErrorCode::not_found, "the node is gone");
  const auto driver = open_driver(node->value);
  if (!driver) return forward(driver);
  return (*driver)->watts({.timeout = options_.reading.attempt, .stop = stopping_.get_token()});
}

Status PowerDesk::order_off(const model::NodeId& node, std::function<void(Status)> told) {
  return submit_reading([this, node, told = std::move(told)] { told(order_off_now(node)); });
}

Status PowerDesk::order_off_now(const model::NodeId& node) const {
  auto opened = open(node);
  if (!opened) return forward(opened);
  auto limits = options_.order;
  limits.stop = stopping_.get_token();
  const auto off = opened->control->off(limits);
  return off ? Status() : forward(off);
}

Status PowerDesk::check(const model::NodeId& node, std::function<void(Result<reconcile::BmcCheck>)> told) {
  return submit_reading([this, node, told = std::move(told)] { told(check_now(node)); });
}

Result<std::shared_ptr<reconcile::Tunnel>> PowerDesk::open_console(const model::NodeId& id, bool take_over,
                                                                   reconcile::TunnelHandlers handlers) {
  const auto node = inventory_.find<model::Node>(id);
  if (!node) return fail(ErrorCode::not_found, "the node is gone");
  const auto driver = open_driver(node->value);
  if (!driver) return fail(as_answer(driver.error()));
  auto program = (*driver)->console();
  if (!program) {
    return fail_with_hint(ErrorCode::unsupported,
                          fmt::format("the driver that switches '{}' has no console", node->value.name),
                          "ipmi has one (Serial over LAN), and lab.");
  }
  auto console = MachineConsole::create(std::move(*program), tools_.runner, std::move(handlers));
  if (!console) return forward(console);
  const std::lock_guard lock(mutex_);
  const auto found = consoles_.find(id);
  const auto before = found == consoles_.end() ? std::shared_future<void>() : found->second;
  const bool taken = console_threads_.pending() < options_.most_consoles &&
                     console_threads_.submit([console = *console, before, take_over, stop = stopping_.get_token()] {
                       console->run(before, take_over, stop);
                     });
  if (!taken) {
    return fail_with_hint(ErrorCode::unavailable, "too many consoles of machines are open", "Close one of them.");
  }
  std::erase_if(consoles_, [](const auto& entry) {
    return entry.second.wait_for(std::chrono::seconds(0)) == std::future_status::ready;
  });
  consoles_[id] = (*console)->end();
  return std::shared_ptr<reconcile::Tunnel>(*console);
}

Result<reconcile::PowerReading> PowerDesk::read_now(const model::NodeId& node) const {
  auto opened = open(node);
  if (!opened) return fail(as_answer(opened.error()));
  auto limits = options_.reading;
  limits.stop = stopping_.get_token();
  const auto state = opened->control->status(limits);
  if (!state) return fail(as_answer(state.error()));
  reconcile::PowerReading reading{.state = state_of(*state), .warning = {}};
  const auto record = inventory_.find<model::Node>(node);
  if (!record) return reading;
  const auto silent = clock_.now() - record->value.last_seen;
  const bool heard = silent < options_.heartbeat * kMissedHeartbeats;
  const auto ago = seconds_text(std::chrono::duration_cast<std::chrono::milliseconds>(silent));
  if (!opened->abilities.status) {
    if (heard) reading.state = model::MachinePower::on;
    reading.warning = heard ? fmt::format("only its agent tells, which was heard {} ago", ago)
                            : "nobody can tell: its driver reads no state, and its agent wasn't heard";
  } else if (heard && *state != power::PowerState::on) {
    reading.warning =
        fmt::format("its BMC says {}, but its agent was heard {} ago: perhaps it is another machine's BMC",
                    power::to_string(*state), ago);
  }
  return reading;
}

Result<reconcile::BmcCheck> PowerDesk::check_now(const model::NodeId& node) const {
  auto opened = open(node);
  if (!opened) return fail(as_answer(opened.error()));
  auto limits = options_.reading;
  limits.stop = stopping_.get_token();
  return check_of(opened->control->check(limits));
}

}  // namespace bridgehead::power_desk
