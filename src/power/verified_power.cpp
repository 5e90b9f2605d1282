#include "power/verified_power.h"

#include <algorithm>
#include <condition_variable>

#include "power/messages.h"

namespace bridgehead::power {
namespace {

using std::chrono::milliseconds;

// Two readings in a row: some BMCs say off as soon as they were asked, and on again when it failed.
constexpr unsigned kReadingsOfOff = 2;
constexpr int kReadingsOfCheck = 3;
constexpr milliseconds kSlow{2000};
constexpr milliseconds kTurnStep{50};  // how soon a stop request is seen
constexpr std::chrono::seconds kMuchSkew{60};

std::string seconds_text(milliseconds time) {
  return fmt::format("{:.1f} s", std::chrono::duration<double>(time).count());
}

bool is_reached(PowerState target, PowerState state) {
  return state == target || (target == PowerState::sleeping && state == PowerState::off);
}

tl::unexpected<Error> fail_cancelled(const std::string& machine) {
  return fail(ErrorCode::cancelled, "{}: switching its power was cancelled; it may be on or off", machine);
}

}  // namespace

std::string_view to_string(PowerState state) {
  switch (state) {
    case PowerState::on: return "on";
    case PowerState::off: return "off";
    case PowerState::sleeping: return "sleeping";
    case PowerState::unknown: return "unknown";
  }
  return "unknown";
}

std::string_view to_string(Evidence evidence) {
  switch (evidence) {
    case Evidence::none: return "nobody";
    case Evidence::bmc: return "its BMC alone";
    case Evidence::witness: return "others than its BMC";
    case Evidence::bmc_and_witness: return "its BMC and others";
  }
  return "nobody";
}

bool is_transient(ErrorCode code) {
  return code == ErrorCode::unavailable || code == ErrorCode::timeout || code == ErrorCode::resource_exhausted ||
         code == ErrorCode::io_error;
}

bool PowerCheck::good() const {
  return std::none_of(findings.begin(), findings.end(),
                      [](const Finding& finding) { return finding.level == Finding::Level::bad; });
}

void pause(milliseconds time, const std::stop_token& stop) {
  std::mutex mutex;
  std::condition_variable_any waiting;
  std::unique_lock lock(mutex);
  waiting.wait_for(lock, stop, time, [] { return false; });
}

// One change of the power, from asking to proof.
class VerifiedPower::Change {
 public:
  Change(VerifiedPower& power, PowerState target, const PowerLimits& limits, Monotonic until,
         const std::function<Status()>& fall_asleep)
      : power_(power),
        target_(target),
        limits_(limits),
        until_(until),
        fall_asleep_(fall_asleep),
        can_read_(power.driver_->abilities().status),
        begun_(power.clock_.monotonic()) {}

  Result<PowerReport> run() {
    while (power_.left(until_) > milliseconds::zero()) {
      if (limits_.stop.stop_requested()) return fail_cancelled(power_.machine_);
      if (can_read_) {
        if (auto read = look(); !read) return forward(read);
      }
      if (is_done()) return finish();
      if (wants_request()) {
        if (auto asked = ask(); !asked) return forward(asked);
        if (!can_read_ && !power_.witness_) return finish();
      }
      power_.pause_(std::min(limits_.pause, std::max(milliseconds(1), power_.left(until_))), limits_.stop);
    }
    if (limits_.stop.stop_requested()) return fail_cancelled(power_.machine_);
    auto error = given_up();
    log::warning(power_not_proven, "{}", error.describe());
    return fail(std::move(error));
  }

 private:
  Monotonic now() const { return power_.clock_.monotonic(); }

  Status look() {
    // What has too little time left to be answered says nothing about the BMC.
    const bool cut_short = power_.left(until_) < limits_.attempt / 2;
    auto state = power_.read_once(limits_, until_);
    if (!state && cut_short && state.error().code == ErrorCode::timeout && report_.timing.readings > 0) return {};
    ++report_.timing.readings;
    if (!state) {
      ++report_.timing.failures;
      in_a_row_ = 0;
      reached_at_.reset();
      state_ = PowerState::unknown;
      last_error_ = state.error();
      return is_transient(state.error().code) ? Status() : forward(state);
    }
    if (report_.timing.readings == 1) report_.changed = !is_reached(target_, *state);
    state_ = *state;
    if (!is_reached(target_, *state)) {
      in_a_row_ = 0;
      reached_at_.reset();
      report_.changed = true;
      return {};
    }
    ++in_a_row_;
    if (!reached_at_) reached_at_ = now();
    return {};
  }

  // Also asks the witness.
  bool is_done() {
    if (!can_read_) {
      if (target_ != PowerState::on || !accepted_at_ || !power_.witness_) return false;
      if (power_.witness_(*accepted_at_) != Sign::alive) return false;
      report_.evidence = Evidence::witness;
      state_ = PowerState::on;
      return true;
    }
    if (in_a_row_ == 0) return false;
    report_.evidence = Evidence::bmc;
    if (target_ == PowerState::on) return true;
    if (!was_asked_ || in_a_row_ < kReadingsOfOff) return false;
    if (!power_.witness_) return true;
    const auto sign = power_.witness_(*reached_at_);
    if (sign == Sign::alive) {
      // Perhaps a message that was on its way: so it must be silent from now on.
      contradicted_ = true;
      reached_at_ = now();
      return false;
    }
    if (now() - *reached_at_ < limits_.witness_time) return false;
    if (sign == Sign::silent) report_.evidence = Evidence::bmc_and_witness;
    return true;
  }

  bool wants_request() const {
    if (target_ == PowerState::on && in_a_row_ > 0) return false;
    if (!accepted_at_) return true;
    if (fall_asleep_) return false;
    return (in_a_row_ == 0 || contradicted_) && now() - *accepted_at_ >= limits_.ask_again;
  }

  Status ask() {
    if (accepted_at_) {
      log::warning(power_asked_again, "{}: switching {}, after {}", power_.machine_, to_string(target_),
                   seconds_text(std::chrono::duration_cast<milliseconds>(now() - begun_)));
    }
    ++report_.timing.requests;
    const auto asked = fall_asleep_ ? fall_asleep_()
                                    : power_.ask_once(target_ == PowerState::on ? PowerRequest::on : PowerRequest::off,
                                                      limits_, until_);
    if (asked || (asked.error().code == ErrorCode::failed_precondition && in_a_row_ > 0)) {
      was_asked_ = true;
      accepted_at_ = now();
      report_.timing.accepted = std::chrono::duration_cast<milliseconds>(now() - begun_);
      // What was read before it was asked for proves nothing.
      in_a_row_ = 0;
      reached_at_.reset();
      return {};
    }
    ++report_.timing.failures;
    last_error_ = asked.error();
    const bool may_pass = is_transient(asked.error().code) || asked.error().code == ErrorCode::failed_precondition;
    return may_pass && !fall_asleep_ ? Status() : asked;
  }

  Result<PowerReport> finish() {
    report_.state = state_;
    if (!can_read_) report_.changed = true;
    report_.timing.confirmed = std::chrono::duration_cast<milliseconds>(now() - begun_);
    if (was_asked_) {
      log::info(power_changed, "{} is {} after {}, says {}; {} requests, {} readings, {} failures", power_.machine_,
                to_string(state_), seconds_text(report_.timing.confirmed), to_string(report_.evidence),
                report_.timing.requests, report_.timing.readings, report_.timing.failures);
    }
    return report_;
  }

  Error given_up() const {
    const auto& name = power_.machine_;
    const auto time = seconds_text(std::chrono::duration_cast<milliseconds>(now() - begun_));
    const auto asked = fmt::format("asked to {} {}, {} {} within {}", fall_asleep_ ? "go to" : "switch",
                                   fall_asleep_ ? "sleep" : to_string(target_), report_.timing.requests,
                                   report_.timing.requests == 1 ? "time" : "times", time);
    if (contradicted_ && in_a_row_ > 0) {
      return {ErrorCode::failed_precondition,
              fmt::format("{} was {}; its BMC says {}, but others have heard of it since: it must not be taken for {}",
                          name, asked, to_string(state_), to_string(state_)),
              "Check that the BMC is this machine's, and look at the machine."};
    }
    if (can_read_ && report_.timing.readings > 0 && state_ == PowerState::unknown && last_error_) {
      return {last_error_->code, fmt::format("{} was {}; it may be on or off: {}", name, asked, last_error_->message),
              last_error_->hint};
    }
    if (!can_read_) {
      return {ErrorCode::timeout, fmt::format("{} was {}, and was not heard of since", name, asked),
              "Look at its console. Wake-on-LAN must be enabled in its firmware and for its NIC."};
    }
    const auto last = last_error_ ? fmt::format(" (last trouble: {})", last_error_->message) : "";
    return {ErrorCode::timeout, fmt::format("{} was {}, but its BMC says {}{}", name, asked, to_string(state_), last),
            fall_asleep_ ? "The log of its kernel says what held it up, or that it woke at once."
                         : "Look at the machine and at its BMC's event log; a BMC that takes requests and does nothing "
                           "often wants a cold reset."};
  }

  VerifiedPower& power_;
  const PowerState target_;
  const PowerLimits& limits_;
  const Monotonic until_;
  const std::function<Status()>& fall_asleep_;
  const bool can_read_;
  const Monotonic begun_;
  PowerReport report_;
  PowerState state_ = PowerState::unknown;
  unsigned in_a_row_ = 0;  // readings of the target
  bool was_asked_ = false;
  bool contradicted_ = false;
  std::optional<Monotonic> reached_at_;
  std::optional<Monotonic> accepted_at_;
  std::optional<Error> last_error_;
};

VerifiedPower::VerifiedPower(std::string machine, std::unique_ptr<PowerDriver> driver, const Clock& clock,
                             PowerWitness witness, Pause pause)
    : machine_(std::move(machine)),
      driver_(std::move(driver)),
      clock_(clock),
      witness_(std::move(witness)),
      pause_(std::move(pause)) {}

milliseconds VerifiedPower::left(Monotonic until) const {
  return std::chrono::duration_cast<milliseconds>(until - clock_.monotonic());
}

Result<std::unique_lock<std::timed_mutex>> VerifiedPower::take_turn(const PowerLimits& limits) {
  std::unique_lock turn(mutex_, std::defer_lock);
  const auto until = std::chrono::steady_clock::now() + limits.deadline;
  while (!turn.try_lock_for(kTurnStep)) {
    if (limits.stop.stop_requested()) return fail(ErrorCode::cancelled, "{}: cancelled before it began", machine_);
    if (std::chrono::steady_clock::now() >= until) {
      return fail(ErrorCode::unavailable, "the power of {} is being switched by somebody else", machine_);
    }
  }
  return turn;
}

Result<PowerState> VerifiedPower::read_once(const PowerLimits& limits, Monotonic until) {
  return driver_->read({.timeout = std::min(limits.attempt, left(until)), .stop = limits.stop});
}

Status VerifiedPower::ask_once(PowerRequest request, const PowerLimits& limits, Monotonic until) {
  return driver_->request(request, {.timeout = std::min(limits.attempt, left(until)), .stop = limits.stop});
}

Result<PowerReport> VerifiedPower::change(PowerState target, const PowerLimits& limits, Monotonic until,
                                          const std::function<Status()>& fall_asleep) {
  const auto abilities = driver_->abilities();
  const bool can = target == PowerState::on    ? abilities.on
                   : target == PowerState::off ? abilities.off
                                               : abilities.status;
  if (!can) {
    return fail_with_hint(
        ErrorCode::unsupported,
        fmt::format("{} can't be {} this way", machine_,
                    target == PowerState::sleeping ? "proven to sleep" : fmt::format("switched {}", to_string(target))),
        "Give it a driver that can: docs/power.md.");
  }
  return Change(*this, target, limits, until, fall_asleep).run();
}

Result<PowerState> VerifiedPower::status(const PowerLimits& limits) {
  const auto turn = take_turn(limits);
  if (!turn) return forward(turn);
  if (!driver_->abilities().status) return PowerState::unknown;
  const auto until = clock_.monotonic() + limits.deadline;
  for (;;) {
    auto state = read_once(limits, until);
    if (state || !is_transient(state.error().code) || left(until) <= limits.pause) return state;
    pause_(limits.pause, limits.stop);
    if (limits.stop.stop_requested())
      return fail(ErrorCode::cancelled, "{}: reading its power was cancelled", machine_);
  }
}

Result<PowerReport> VerifiedPower::on(const PowerLimits& limits) {
  const auto turn = take_turn(limits);
  if (!turn) return forward(turn);
  return change(PowerState::on, limits, clock_.monotonic() + limits.deadline);
}

Result<PowerReport> VerifiedPower::off(const PowerLimits& limits) {
  const auto turn = take_turn(limits);
  if (!turn) return forward(turn);
  return change(PowerState::off, limits, clock_.monotonic() + limits.deadline);
}

Result<PowerReport> VerifiedPower::cycle(const std::function<Status()>& switched_off, const PowerLimits& limits) {
  const auto turn = take_turn(limits);
  if (!turn) return forward(turn);
  const auto until = clock_.monotonic() + limits.deadline;
  const auto off = change(PowerState::off, limits, until);
  if (!off) return off;
  if (auto noted = switched_off(); !noted) return forward(noted);
  pause_(std::min(limits.off_time, std::max(milliseconds(1), left(until))), limits.stop);
  auto on = change(PowerState::on, limits, until);
  if (!on) {
    auto error = on.error();
    error.message = fmt::format("{} was switched off and could not be switched on again: {}", machine_, error.message);
    return fail(std::move(error));
  }
  on->changed = true;
  on->timing.confirmed += off->timing.confirmed;
  on->timing.requests += off->timing.requests;
  on->timing.readings += off->timing.readings;
  on->timing.failures += off->timing.failures;
  return on;
}

Result<PowerReport> VerifiedPower::sleep(const std::function<Status()>& fall_asleep, const PowerLimits& limits) {
  const auto turn = take_turn(limits);
  if (!turn) return forward(turn);
  return change(PowerState::sleeping, limits, clock_.monotonic() + limits.deadline, fall_asleep);
}

PowerCheck VerifiedPower::check(const PowerLimits& limits) {
  PowerCheck check;
  const auto turn = take_turn(limits);
  if (!turn) {
    check.findings.push_back({"reachable", Finding::Level::warning, turn.error().message, turn.error().hint});
    return check;
  }
  const auto until = clock_.monotonic() + limits.deadline;
  check.abilities = driver_->abilities();
  const auto add = [&](const char* subject, Finding::Level level, std::string message, std::string fix = {}) {
    check.findings.push_back({subject, level, std::move(message), std::move(fix)});
  };
  for (int i = 0; check.abilities.status && i < kReadingsOfCheck; ++i) {
    const auto begun = clock_.monotonic();
    const auto state = read_once(limits, until);
    const auto took = std::chrono::duration_cast<milliseconds>(clock_.monotonic() - begun);
    if (!state) {
      const auto& error = state.error();
      const bool refused = error.code == ErrorCode::unauthenticated || error.code == ErrorCode::permission_denied;
      if (refused) add("reachable", Finding::Level::good, "it answers");
      const auto* subject = error.code == ErrorCode::unauthenticated                                   ? "credentials"
                            : error.code == ErrorCode::permission_denied                               ? "privilege"
                            : error.code == ErrorCode::unavailable || error.code == ErrorCode::timeout ? "reachable"
                                                                                                       : "status";
      add(subject, Finding::Level::bad, error.message, error.hint);
      break;
    }
    if (i == 0) {
      add("reachable", Finding::Level::good, "it answers");
      add("credentials", Finding::Level::good, "they are accepted");
      add("status", *state == PowerState::unknown ? Finding::Level::warning : Finding::Level::good,
          fmt::format("it says {}", to_string(*state)));
    }
    check.latency = std::min(check.latency.value_or(took), took);
  }
  if (check.latency) {
    const bool slow = *check.latency > kSlow;
    add("latency", slow ? Finding::Level::warning : Finding::Level::good, seconds_text(*check.latency),
        slow ? "Fencing waits for it: look for a slow management network or a BMC that wants a cold reset." : "");
  }
  driver_->inspect({.timeout = std::min(limits.attempt, std::max(milliseconds(1), left(until))), .stop = limits.stop},
                   check);
  if (check.clock_skew) {
    const bool far = std::chrono::abs(*check.clock_skew) > kMuchSkew;
    add("clock", far ? Finding::Level::warning : Finding::Level::good,
        fmt::format("its clock is {} s {} ours", std::chrono::abs(*check.clock_skew).count(),
                    check.clock_skew->count() < 0 ? "behind" : "ahead of"),
        far ? "Set it, best by NTP: its event log is dated by it." : "");
  }
  return check;
}

}  // namespace bridgehead::power
