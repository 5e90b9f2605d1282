// bridgehead-sim: clusters on virtual time. `bh sim ...` runs this program.
#include <CLI/CLI.hpp>

#include <sys/ioctl.h>
#include <unistd.h>
#include <csignal>
#include <cstdio>

#include "base/file.h"
#include "base/length.h"
#include "simulation/report.h"
#include "simulation/simulator.h"
#include "simulation/trace_statistics.h"

namespace {

using namespace bridgehead;

// As those of bh; scripts depend on them.
int exit_code(ErrorCode code) {
  switch (code) {
    case ErrorCode::invalid_argument: return 2;
    case ErrorCode::not_found: return 3;
    default: return 1;
  }
}

struct Wishes {
  std::string file;
  std::string format = "table";
  std::string html;
  std::string log;
  std::string out;
  std::string length;
  std::optional<std::uint64_t> seed;
  bool quiet = false;
  bool keep_going = false;
};

Result<simulation::Scenario> scenario_of(const Wishes& wishes) {
  auto scenario = simulation::load_scenario(wishes.file);
  if (!scenario) return scenario;
  if (wishes.seed) scenario->seed = *wishes.seed;
  if (!wishes.length.empty()) {
    const auto length = parse_length(wishes.length);
    if (!length) return forward(length);
    scenario->length = *length;
  }
  return scenario;
}

std::size_t columns() {
  winsize size{};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 40)
    return std::min<std::size_t>(size.ws_col, 140);
  return 80;
}

// One line on a terminal, ten times a second at most.
class ProgressLine {
 public:
  explicit ProgressLine(bool shown) : shown_(shown && ::isatty(STDERR_FILENO) == 1) {}
  ~ProgressLine() {
    if (shown_) fmt::print(stderr, "\r\033[K");
  }
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;

  void show(double done, double length) {
    const auto now = std::chrono::steady_clock::now();
    if (!shown_ || now - last_ < std::chrono::milliseconds(100)) return;
    last_ = now;
    const double part = length > 0 ? done / length : 1;
    const double gone = std::chrono::duration<double>(now - began_).count();
    fmt::print(stderr, "\r\033[K{} of {} simulated, {:.0f} %, {:.0f} s left",
               simulation::to_text(simulation::Seconds(done)), simulation::to_text(simulation::Seconds(length)),
               part * 100, part > 0 ? gone * (1 - part) / part : 0);
    std::fflush(stderr);
  }

 private:
  const bool shown_;
  const std::chrono::steady_clock::time_point began_ = std::chrono::steady_clock::now();
  std::chrono::steady_clock::time_point last_{};
};

Status run(const Wishes& wishes) {
  if (wishes.format != "table" && wishes.format != "json") {
    return fail_with_hint(ErrorCode::invalid_argument, fmt::format("there is no output '{}'", wishes.format),
                          "Use table or json.");
  }
  const auto scenario = scenario_of(wishes);
  if (!scenario) return forward(scenario);
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> log(nullptr, &std::fclose);
  if (!wishes.log.empty()) {
    log.reset(std::fopen(wishes.log.c_str(), "we"));
    if (!log) return fail_errno(errno, "write " + wishes.log);
  }
  simulation::RunOptions options;
  options.stop_at_violation = !wishes.keep_going;
  if (log) options.log = [&](std::string_view line) { std::fwrite(line.data(), 1, line.size(), log.get()); };
  Result<simulation::Outcome> outcome;
  {
    ProgressLine progress(!wishes.quiet);
    options.progress = [&](double done, double length) { progress.show(done, length); };
    outcome = simulation::run(*scenario, options);
  }
  if (!outcome) return forward(outcome);
  if (wishes.format == "json") {
    fmt::print("{}\n", simulation::json_report(*outcome).dump(2));
  } else {
    fmt::print("{}", simulation::text_report(*outcome, columns()));
  }
  if (!wishes.html.empty()) {
    if (auto written = write_file_atomic(wishes.html, simulation::html_report(*outcome), 0644); !written)
      return written;
  }
  if (outcome->violations.empty()) return {};
  return fail_with_hint(
      ErrorCode::internal, "an invariant was broken",
      fmt::format("It comes again with: bh sim run {} --seed {} --log FILE", wishes.file, scenario->seed));
}

Status trace(const Wishes& wishes) {
  const auto scenario = scenario_of(wishes);
  if (!scenario) return forward(scenario);
  const auto trace = simulation::trace_of(*scenario);
  if (!trace) return forward(trace);
  if (!wishes.out.empty()) {
    return write_file_atomic(wishes.out, simulation::write_trace(*trace, scenario->begin, scenario->length.count()),
                             0644);
  }
  const int days = std::max(1, static_cast<int>(scenario->length.count() / 86400));
  const auto figures = simulation::statistics_of(*trace, scenario->begin, days);
  const auto middle = [](const std::vector<double>& sorted, double part) {
    return sorted.empty() ? 0 : sorted[static_cast<std::size_t>(part * static_cast<double>(sorted.size() - 1))];
  };
  fmt::print("{} guests, {:.1f} virtual CPUs and {:.1f} GiB each on average\n", figures.guests, figures.mean_vcpus,
             figures.mean_memory_gib);
  fmt::print("{:<28}{:>8}{:>8}{:>8}{:>8}\n", "", "p25", "p50", "p75", "p95");
  for (const auto& [name, list, factor] :
       {std::tuple{"average CPU, %", &figures.average_cpu, 100.0},
        std::tuple{"peak CPU (P95), %", &figures.peak_cpu, 100.0}, std::tuple{"lifetime, h", &figures.lifetime, 1.0}}) {
    if (list->empty()) continue;
    fmt::print("{:<28}{:>8.1f}{:>8.1f}{:>8.1f}{:>8.1f}\n", name, middle(*list, 0.25) * factor,
               middle(*list, 0.5) * factor, middle(*list, 0.75) * factor, middle(*list, 0.95) * factor);
  }
  fmt::print("all together use {:.1f} % of their virtual CPUs, {:.2f} times that at most\n", figures.cpu_use * 100,
             figures.peak_to_mean);
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_DFL);
  Wishes wishes;
  std::function<Status()> chosen;
  CLI::App app{"Simulated clusters on virtual time: the product's own planner against load, failures and partitions",
               "bridgehead-sim"};
  app.require_subcommand(1);
  app.set_version_flag("--version", "bridgehead-sim " BRIDGEHEAD_VERSION);
  const auto common = [&](CLI::App* command) {
    command->add_option("scenario", wishes.file, "What is simulated, in TOML; see docs/simulation.md and scenarios/")
        ->required();
    command->add_option("--seed", wishes.seed, "Instead of the scenario's");
    command->add_option("--length", wishes.length, "Instead of the scenario's, like 1d or 12h");
  };
  auto* run_command = app.add_subcommand("run", "Simulate, and report energy, moves, unmet demand and invariants");
  common(run_command);
  run_command->add_option("-o,--output", wishes.format, "table or json");
  run_command->add_option("--html", wishes.html, "Write the report with its plots to this file, one page by itself");
  run_command->add_option("--log", wishes.log,
                          "Write what happens to this file, a line each; the same for the same seed");
  run_command->add_flag("-q,--quiet", wishes.quiet, "No progress on standard error");
  run_command->add_flag("--keep-going", wishes.keep_going, "Don't stop where an invariant is broken");
  run_command->callback([&] { chosen = [&] { return run(wishes); }; });
  auto* trace_command = app.add_subcommand("trace", "What the scenario's guests are like, or write them as CSV");
  common(trace_command);
  trace_command->add_option("--csv", wishes.out, "Write the guests and their load to this file");
  trace_command->callback([&] { chosen = [&] { return trace(wishes); }; });
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);  // help
    fmt::print(stderr, "bridgehead-sim: {}\nSee: bh sim --help\n", error.what());
    return 2;
  }
  const auto outcome = chosen();
  std::fflush(stdout);
  if (outcome) return 0;
  fmt::print(stderr, "bridgehead-sim: {}\n", outcome.error().describe());
  return exit_code(outcome.error().code);
}
