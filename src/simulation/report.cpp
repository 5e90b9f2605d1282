#include "simulation/report.h"

#include <algorithm>
#include <cmath>

#include "plot/terminal.h"

namespace bridgehead::simulation {
namespace {

constexpr double kJoulesPerKwh = 3.6e6;

std::string per_day(double value, const Outcome& outcome) {
  return fmt::format("{:.2f}", outcome.guest_days > 0 ? value / outcome.guest_days : 0);
}

std::string grouped(std::uint64_t value) { return plot::readable(static_cast<double>(value)); }

std::string number(double value) {
  return value >= 100 || value == std::floor(value) ? fmt::format("{:.0f}", value) : fmt::format("{:.1f}", value);
}

std::string plot_of(const Curve& curve, std::size_t columns, double length) {
  plot::Columns drawn;
  drawn.title = curve.name + (curve.beside.empty() ? "" : fmt::format(" (the top line: {})", curve.beside_name));
  drawn.unit = curve.unit;
  drawn.values = curve.values;
  for (const double value : curve.beside) drawn.top = std::max(drawn.top, value);
  drawn.length = length;
  drawn.unit_length = 86400;
  return "\n" + plot::terminal_columns(drawn, columns);
}

}  // namespace

std::vector<Figure> figures_of(const Outcome& o) {
  std::vector<Figure> figures;
  const auto add = [&](std::string name, std::string value) { figures.push_back({std::move(name), std::move(value)}); };
  add("energy", fmt::format("{:.1f} kWh, always on {:.1f} kWh: {:.1f} % saved", o.energy / kJoulesPerKwh,
                            o.energy_always_on / kJoulesPerKwh, o.saved() * 100));
  add("hosts on", fmt::format("{:.1f} of {} on average; {} times to sleep, {} times awake", o.mean_hosts_on, o.hosts,
                              grouped(o.counts.sleeps), grouped(o.counts.wakes)));
  add("unmet demand",
      fmt::format("{} s in a day for the guest that fared worst{}; {} s per guest and day", number(o.worst_unmet),
                  o.worst_guest.empty() ? "" : fmt::format(" ({})", o.worst_guest), per_day(o.unmet, o)));
  add("moves", fmt::format("{} per guest and day on average, {} at most; {} in all",
                           per_day(static_cast<double>(o.counts.moves), o), o.most_moves, grouped(o.counts.moves)));
  add("guests down", fmt::format("{} s per guest and day; {} wait at the end", per_day(o.down, o), o.waiting_at_end));
  add("guests", fmt::format("{} at any time, {} started", grouped(o.guests), grouped(o.counts.starts)));
  add("faults", fmt::format("{} host failures, {} partitions, {} restarts of the manager", o.failures, o.partitions,
                            o.counts.restarts));
  add("plans",
      fmt::format("{}; {:.1f} ms each, {:.1f} ms at most", grouped(o.counts.plans),
                  o.counts.plans > 0 ? o.counts.planning_seconds * 1000 / static_cast<double>(o.counts.plans) : 0,
                  o.counts.longest_planning * 1000));
  add("invariants", o.violations.empty()
                        ? fmt::format("held in {} checks", grouped(o.checks))
                        : fmt::format("BROKEN: {}", o.violations.size() == 1
                                                        ? "one violation"
                                                        : fmt::format("{} violations or more", o.violations.size())));
  add("log", fmt::format("digest {:016x}", o.digest));
  return figures;
}

std::vector<Curve> curves_of(const Outcome& outcome) {
  std::vector<Curve> curves{{"Hosts on", "hosts", {}, {}, ""},
                            {"Power", "kW", {}, {}, "always on"},
                            {"CPUs that guests want", "CPUs", {}, {}, ""},
                            {"Unmet demand", "guest s", {}, {}, ""},
                            {"Moves", "moves", {}, {}, ""},
                            {"Guests that wait", "guests", {}, {}, ""}};
  for (const auto& sample : outcome.samples) {
    curves[0].values.push_back(sample.hosts_on);
    curves[1].values.push_back(sample.watts / 1000);
    curves[1].beside.push_back(sample.watts_always_on / 1000);
    curves[2].values.push_back(sample.cpus);
    curves[3].values.push_back(sample.unmet);
    curves[4].values.push_back(sample.moves);
    curves[5].values.push_back(sample.waiting);
  }
  // What never happened isn't worth a plot.
  std::erase_if(curves, [](const auto& curve) {
    return std::all_of(curve.values.begin(), curve.values.end(), [](double value) { return value == 0; });
  });
  return curves;
}

std::string text_report(const Outcome& outcome, std::size_t columns) {
  std::string text = fmt::format("{}: {}, {} hosts, seed {}, in {:.1f} s\n\n", outcome.name,
                                 to_text(Seconds(outcome.length)), outcome.hosts, outcome.seed, outcome.real_seconds);
  for (const auto& [name, value] : figures_of(outcome)) text += fmt::format("{:<14} {}\n", name, value);
  for (const auto& violation : outcome.violations) {
    text += fmt::format("{:>14} {}: {}\n", to_text(Seconds(violation.at)), violation.invariant, violation.what);
  }
  for (const auto& curve : curves_of(outcome)) text += plot_of(curve, columns, outcome.length);
  return text;
}

nlohmann::json json_report(const Outcome& o) {
  nlohmann::json json{
      {"name", o.name},
      {"seed", o.seed},
      {"seconds", o.length},
      {"hosts", o.hosts},
      {"guests", o.guests},
      {"energy_kwh", o.energy / kJoulesPerKwh},
      {"energy_always_on_kwh", o.energy_always_on / kJoulesPerKwh},
      {"saved", o.saved()},
      {"mean_hosts_on", o.mean_hosts_on},
      {"worst_unmet_seconds_per_day", o.worst_unmet},
      {"worst_guest", o.worst_guest},
      {"unmet_guest_seconds", o.unmet},
      {"down_guest_seconds", o.down},
      {"waiting_at_end", o.waiting_at_end},
      {"moves", o.counts.moves},
      {"moves_per_guest_day", o.moves_per_guest_day()},
      {"most_moves_of_a_guest_in_a_day", o.most_moves},
      {"starts", o.counts.starts},
      {"sleeps", o.counts.sleeps},
      {"wakes", o.counts.wakes},
      {"plans", o.counts.plans},
      {"planning_seconds", o.counts.planning_seconds},
      {"longest_planning_seconds", o.counts.longest_planning},
      {"host_failures", o.failures},
      {"partitions", o.partitions},
      {"manager_restarts", o.counts.restarts},
      {"checks", o.checks},
      {"digest", fmt::format("{:016x}", o.digest)},
      {"real_seconds", o.real_seconds},
      {"violations", nlohmann::json::array()},
      {"samples", nlohmann::json::array()},
  };
  for (const auto& violation : o.violations) {
    json["violations"].push_back(
        {{"seconds", violation.at}, {"invariant", violation.invariant}, {"what", violation.what}});
  }
  for (const auto& sample : o.samples) {
    json["samples"].push_back({{"seconds", sample.at},
                               {"hosts_on", sample.hosts_on},
                               {"watts", sample.watts},
                               {"watts_always_on", sample.watts_always_on},
                               {"cpus", sample.cpus},
                               {"unmet_guest_seconds", sample.unmet},
                               {"moves", sample.moves},
                               {"waiting", sample.waiting}});
  }
  return json;
}

}  // namespace bridgehead::simulation
