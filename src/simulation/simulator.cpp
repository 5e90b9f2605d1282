#include "simulation/simulator.h"

#include <algorithm>

#include "base/file.h"
#include "simulation/dice.h"
#include "simulation/faults.h"

namespace bridgehead::simulation {
namespace {

using scheduler::HostPower;

constexpr double kDaySeconds = 86400;

class Run {
 public:
  Run(const Scenario& scenario, const Trace& trace, const RunOptions& options)
      : scenario_(scenario),
        options_(options),
        log_(agenda_, options.log),
        world_(scenario, trace, agenda_, log_),
        control_(scenario, world_, agenda_, log_, options.planner ? options.planner : scheduler::plan, options.hooks),
        watch_(scenario, world_, control_, agenda_),
        faults_(scenario, world_, control_, agenda_, log_),
        length_(scenario.length.count()),
        step_(scenario.step.count()),
        unmet_today_(world_.guests.size()),
        moves_before_(world_.guests.size()) {
    for (const auto& host : world_.hosts) largest_host_ = std::max(largest_host_, host.cpus);
  }

  Outcome go() {
    const auto started = std::chrono::steady_clock::now();
    remember_earlier_days();
    come_and_go();
    control_.begin();
    faults_.plan_all();
    agenda_.at(0, [this] { step(); });
    while (!stopped_ && agenda_.step(length_)) {
    }
    world_.account();
    end_day();
    auto outcome = sum_up();
    outcome.real_seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
    return outcome;
  }

 private:
  // The manager has known the guests for two weeks. One interval stands for its hour, so that a large fleet's past is
  // made in seconds.
  void remember_earlier_days() {
    constexpr std::int64_t kHours = 14 * 24;
    constexpr std::int64_t kHourIntervals = 12;
    const auto now = interval_of(scenario_.begin) / kHourIntervals;
    for (GuestId id = 0; id < world_.guests.size(); ++id) {
      const auto& trace = *world_.guests[id].trace;
      if (trace.start > 0) continue;
      for (auto hour = now - kHours; hour < now; ++hour) {
        // An imported trace repeats, and has no past before its begin.
        const auto shown = trace.load.imported ? hour + kHours : hour;
        const auto load = load_in(trace.load, shown * kHourIntervals + kHourIntervals / 2);
        control_.usage.observe_hour(id, hour, measured(load, trace.vcpus));
      }
    }
  }

  double measured(const IntervalLoad& load, double vcpus) const {
    const double peak = std::min<double>(load.peak, load.average * kMinutes);  // of a minute
    return scheduler::with_bursts(load.average * vcpus, peak * vcpus, kMinutes, largest_host_);
  }

  void come_and_go() {
    for (GuestId id = 0; id < world_.guests.size(); ++id) {
      const auto& trace = *world_.guests[id].trace;
      if (trace.start <= 0) {
        world_.guests[id].there = true;
        control_.records[id].phase = Phase::waiting;
      } else {
        agenda_.at(trace.start, [this, id] {
          world_.guests[id].there = true;
          log_.line("{} comes", world_.name(id));
          control_.arrive(id);
        });
      }
      if (trace.end) agenda_.at(*trace.end, [this, id] { go_away(id); });
    }
  }

  // Its owner deletes it: as soon as the manager and its host can be told.
  void go_away(GuestId id) {
    const auto& record = control_.records[id];
    const bool at_rest =
        record.phase == Phase::waiting || (record.phase == Phase::running && world_.heard(record.host));
    if (!control_.up() || !at_rest) {
      agenda_.after(30, [this, id] { go_away(id); });
      return;
    }
    world_.account();
    if (record.phase == Phase::running) world_.remove(id, record.host);
    world_.guests[id].there = false;
    control_.leave(id);
    log_.line("{} is gone", world_.name(id));
  }

  void step() {
    const double now = agenda_.now();
    world_.account();
    measure(now);
    control_.tick();
    watch_.step();
    if (options_.stop_at_violation && !watch_.violations().empty()) stopped_ = true;
    if (now - day_began_ >= kDaySeconds) end_day();
    if (options_.progress) options_.progress(now, length_);
    if (now + step_ <= length_) agenda_.after(step_, [this] { step(); });
  }

  // The demand of the time until the next step, and what becomes of it.
  void measure(double now) {
    const auto interval = interval_of(scenario_.begin + std::chrono::seconds(static_cast<std::int64_t>(now)));
    const bool fresh = interval != interval_;
    const int minute = static_cast<int>(now / 60) % kMinutes;
    if (fresh && interval_ >= 0) report_usage();
    if (fresh) {
      interval_ = interval;
      loads_.resize(world_.guests.size());
    }
    double wanted = 0, on = 0, watts = 0, always_on = 0, unmet = 0;
    for (auto& host : world_.hosts) {
      host.cpu = 0;
      for (const auto guest : host.guests) host.cpu += demand(guest, minute, fresh);
      wanted += host.cpu;
      const double share = host.limits[static_cast<std::size_t>(scheduler::Resource::cpu_used)];
      if (host.cpu > share) unmet += lacking(host);
      const double now_watts = world_.watts(host);
      watts += now_watts;
      always_on += host.power == HostPower::on ? now_watts : host.broken ? 0 : host.model.idle_watts;
      on += host.power == HostPower::on && !host.broken ? 1 : 0;
    }
    sample(now, on, watts, always_on, wanted, unmet);
  }

  double demand(GuestId guest, int minute, bool fresh) {
    const auto& trace = *world_.guests[guest].trace;
    auto& load = loads_[guest];
    if (fresh || load.interval != interval_) load = {load_in(trace.load, interval_), interval_};
    if (step_ > 60) return load.load.average * trace.vcpus;
    return minute_of(trace.load, load.load, interval_, minute) * trace.vcpus;
  }

  double lacking(const World::Host& host) {
    log_.line("{} guests on {} want {:.1f} CPUs of {:.1f}", host.guests.size(), host.name, host.cpu,
              host.limits[static_cast<std::size_t>(scheduler::Resource::cpu_used)]);
    for (const auto guest : host.guests) {
      unmet_today_[guest] += static_cast<float>(step_);
    }
    return step_ * static_cast<double>(host.guests.size());
  }

  // Agents measure their guests; who isn't heard isn't measured.
  void report_usage() {
    for (HostId id = 0; id < world_.hosts.size(); ++id) {
      for (const auto guest : world_.hosts[id].guests) {
        const auto& load = loads_[guest];
        if (load.interval != interval_) continue;
        const double cpus = measured(load.load, world_.guests[guest].trace->vcpus);
        if (control_.up() && world_.heard(id)) control_.usage.observe(guest, interval_, cpus);
      }
    }
  }

  void sample(double now, double on, double watts, double always_on, double wanted, double unmet) {
    std::size_t waiting = 0, there = 0;
    for (GuestId id = 0; id < world_.guests.size(); ++id) {
      if (!world_.guests[id].there) continue;
      ++there;
      if (world_.guests[id].runs_on.empty()) ++waiting;
    }
    outcome_.guest_days += static_cast<double>(there) * step_ / kDaySeconds;
    outcome_.down += static_cast<double>(waiting) * step_;
    outcome_.unmet += unmet;
    const double width = std::max(step_, length_ / static_cast<double>(options_.samples));
    if (outcome_.samples.empty() || now >= outcome_.samples.back().at + width) {
      if (!outcome_.samples.empty()) finish(outcome_.samples.back());
      outcome_.samples.push_back({.at = now});
      steps_in_sample_ = 0;
    }
    auto& last = outcome_.samples.back();
    ++steps_in_sample_;
    ++steps_;
    outcome_.mean_hosts_on += on;
    last.hosts_on += on;
    last.watts += watts;
    last.watts_always_on += always_on;
    last.cpus += wanted;
    last.unmet += unmet;
    last.waiting = std::max(last.waiting, static_cast<double>(waiting));
  }

  // Sums become means.
  void finish(Sample& sample) {
    for (auto* value : {&sample.hosts_on, &sample.watts, &sample.watts_always_on, &sample.cpus}) {
      *value /= static_cast<double>(std::max<std::uint64_t>(1, steps_in_sample_));
    }
    sample.moves = static_cast<double>(control_.counts.moves - moves_sampled_);
    moves_sampled_ = control_.counts.moves;
  }

  void end_day() {
    day_began_ = agenda_.now();
    for (GuestId id = 0; id < world_.guests.size(); ++id) {
      if (unmet_today_[id] > static_cast<float>(outcome_.worst_unmet)) {
        outcome_.worst_unmet = unmet_today_[id];
        outcome_.worst_guest = world_.name(id);
      }
      unmet_today_[id] = 0;
      const auto moves = static_cast<std::uint16_t>(control_.moves_of[id] - moves_before_[id]);
      outcome_.most_moves = std::max(outcome_.most_moves, moves);
      moves_before_[id] = control_.moves_of[id];
    }
  }

  Outcome sum_up() {
    auto outcome = std::move(outcome_);
    if (!outcome.samples.empty()) finish(outcome.samples.back());
    outcome.name = scenario_.name;
    outcome.seed = scenario_.seed;
    outcome.length = agenda_.now();
    outcome.hosts = world_.hosts.size();
    outcome.guests = world_.guests.size();
    outcome.energy = world_.energy;
    outcome.energy_always_on = world_.energy_always_on;
    outcome.counts = control_.counts;
    outcome.failures = faults_.failures;
    outcome.partitions = faults_.partitions;
    outcome.mean_hosts_on /= static_cast<double>(std::max<std::uint64_t>(1, steps_));
    for (GuestId id = 0; id < world_.guests.size(); ++id) {
      outcome.waiting_at_end += control_.records[id].phase == Phase::waiting ? 1 : 0;
    }
    outcome.violations = watch_.violations();
    outcome.checks = watch_.checks();
    outcome.digest = log_.digest();
    return outcome;
  }

  struct CurrentLoad {
    IntervalLoad load;
    std::int64_t interval = -1;
  };

  const Scenario& scenario_;
  const RunOptions& options_;
  Agenda agenda_;
  Log log_;
  World world_;
  Control control_;
  Watch watch_;
  Faults faults_;
  const double length_;
  const double step_;
  double largest_host_ = 0;  // CPUs
  std::vector<float> unmet_today_;
  std::vector<std::uint16_t> moves_before_;
  std::vector<CurrentLoad> loads_;
  std::int64_t interval_ = -1;
  double day_began_ = 0;
  std::uint64_t steps_ = 0;
  std::uint64_t steps_in_sample_ = 0;
  std::uint64_t moves_sampled_ = 0;
  bool stopped_ = false;
  Outcome outcome_;
};

}  // namespace

Result<Trace> trace_of(const Scenario& scenario) {
  const auto& guests = scenario.guests;
  if (guests.file.empty()) {
    return generate_trace({.profile = guests.profile,
                           .guests = guests.count,
                           .come_and_go = guests.come_and_go,
                           .length = scenario.length.count(),
                           .seed = scenario.seed});
  }
  const auto file = scenario.directory / guests.file;
  const auto text = read_file(file, 4_GiB);
  if (!text) return forward(text);
  return read_trace(guests.file, *text, scenario.begin);
}

Result<Outcome> run(const Scenario& scenario, const RunOptions& options) {
  const auto trace = trace_of(scenario);
  if (!trace) return forward(trace);
  return Run(scenario, *trace, options).go();
}

}  // namespace bridgehead::simulation
