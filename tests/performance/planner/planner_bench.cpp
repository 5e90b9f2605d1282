// The planner's speed, and its plans beside those of Ganeti's hbal and of an integer program (CBC), and beside lower
// bounds; all in one run, on the same clusters, which are made from seeds.
//
//   planner_bench [--only scale|hbal|cbc|consolidation] [--hbal-seconds N] [--cbc-seconds N] [--directory DIR]
//   [--assert]
//
// Times are CPU seconds (all are single threads), so that what else runs on the machine matters less. --assert: exits 1
// if a figure is beyond its limit. hbal and cbc come from Debian's ganeti-htools and coinor-cbc.
#include <sys/resource.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string>
#include <string_view>

#include "base/file.h"
#include "cbc.h"
#include "clusters.h"
#include "hbal.h"
#include "scheduler/placement.h"
#include "scheduler/testing/clusters.h"

namespace {

using namespace bridgehead;
using namespace bridgehead::bench;
using namespace bridgehead::scheduler;

struct Options {
  std::string only;
  double hbal_seconds = 120;
  double cbc_seconds = 60;
  std::string directory = "/tmp";
  bool assert_figures = false;
};

double cpu_seconds() {
  timespec time{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

class Table {
 public:
  // One figure with its limit; `at_least`: it must not be below, else not above.
  void row(const std::string& what, double seen, double limit, bool at_least = false) {
    const bool kept = at_least ? seen >= limit : seen <= limit;
    failed_ = failed_ || !kept;
    std::printf("%-72s %12.5g  %s %-10.5g %s\n", what.c_str(), seen, at_least ? ">=" : "<=", limit, kept ? "ok" : "NO");
    std::fflush(stdout);
  }
  void note(const std::string& text) {
    std::printf("%s\n", text.c_str());
    std::fflush(stdout);
  }
  bool failed() const { return failed_; }

 private:
  bool failed_ = false;
};

struct Timed {
  Plan plan;
  double seconds = 0;
};

Timed timed_plan(const Cluster& cluster, const Policy& policy, std::uint64_t seed) {
  const double start = cpu_seconds();
  Timed result{.plan = plan(cluster, policy, Timestamp{}, seed)};
  result.seconds = cpu_seconds() - start;
  return result;
}

std::size_t count_moves(const Plan& plan) {
  return static_cast<std::size_t>(std::count_if(plan.actions.begin(), plan.actions.end(),
                                                [](const Action& a) { return a.kind == ActionKind::move; }));
}

// New guests one at a time into 10,000 hosts.
void place_one_by_one(Table& table) {
  constexpr int kNew = 2000;
  auto cluster = mixed_cluster(10000, 100000, 3, 0);
  const auto first = static_cast<GuestIndex>(cluster.guests.size());
  for (int i = 0; i < kNew; ++i) {
    auto one = cluster.guests[static_cast<std::size_t>(i)];
    one.host = kNowhere;
    cluster.guests.push_back(one);
  }
  Policy policy;
  policy.consolidate = Mode::off;
  PlacementIndex index(cluster, policy, Timestamp{});
  double longest = 0;
  const double start = cpu_seconds();
  for (GuestIndex guest = first; guest < first + kNew; ++guest) {
    const double before = cpu_seconds();
    if (!index.place(guest)) table.note("a guest found no host");
    longest = std::max(longest, cpu_seconds() - before);
  }
  table.row("one placement in 10,000 hosts, mean of 2,000, ms", (cpu_seconds() - start) / kNew * 1e3, 1);
  table.note(fmt::format("  the longest of them {:.3f} ms", longest * 1e3));
  Policy repair;
  repair.balance = repair.consolidate = Mode::off;
  const auto placed = timed_plan(cluster, repair, 1);
  table.note(
      fmt::format("  the same 2,000 in one plan: {:.0f} left, {:.3f} s", placed.plan.after.unplaced, placed.seconds));
}

void scale(Table& table) {
  Policy balance;
  balance.consolidate = Mode::off;
  balance.repair = Mode::off;
  Policy repair;
  repair.balance = repair.consolidate = Mode::off;
  Policy gather;
  gather.balance = gather.repair = Mode::off;
  for (const auto& [hosts, guests, limit] : {std::tuple{5000, 30000, 1.0}, std::tuple{10000, 100000, 3.0}}) {
    const auto even = mixed_cluster(hosts, guests, 1, 0);
    const auto broken = mixed_cluster(hosts, guests, 2, 10);
    const auto what = fmt::format("{} hosts, {} guests: ", hosts, guests);
    const auto balanced = timed_plan(even, balance, 1);
    table.note(fmt::format("{}{} moves, unevenness {:.4f} -> {:.4f}, bound {:.4f}", what, count_moves(balanced.plan),
                           balanced.plan.before.unevenness, balanced.plan.after.unevenness, balanced.plan.bound));
    table.row(what + "balance plan, s", balanced.seconds, limit);
    const auto repaired = timed_plan(broken, repair, 1);
    table.note(fmt::format("{}{} moves, violations {:.2f} -> {:.2f}", what, count_moves(repaired.plan),
                           repaired.plan.before.violations, repaired.plan.after.violations));
    table.row(what + "repair plan, s", repaired.seconds, limit);
    const auto gathered = timed_plan(even, gather, 1);
    table.note(fmt::format("{}{} moves, {:.0f} hosts in use -> {:.0f}, bound {:.0f}", what, count_moves(gathered.plan),
                           gathered.plan.before.hosts_on, gathered.plan.after.hosts_on, gathered.plan.bound));
    table.row(what + "consolidation plan, s", gathered.seconds, limit);
    table.row(what + "hosts in use / the lower bound", gathered.plan.after.hosts_on / gathered.plan.bound, 1.03);
  }
  place_one_by_one(table);
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  table.row("memory at most, MiB", static_cast<double>(usage.ru_maxrss) / 1024, 1024);
}

void against_hbal(Table& table, const Options& options) {
  for (const auto& [hosts, guests] :
       {std::pair{20, 200}, std::pair{30, 300}, std::pair{100, 1000}, std::pair{1000, 10000}}) {
    const bool small = hosts <= 30;
    const auto cluster = skewed_cluster(hosts, guests, 1);
    const auto peer = run_hbal(cluster, options.directory, small ? 600 : options.hbal_seconds);
    auto policy = like_hbal(small ? peer.moves : 0xffffffff);
    policy.effort = small ? 200'000 : 2'000'000;
    const auto ours = timed_plan(cluster, policy, 1);
    const double score = hbal_score(scheduler::testing::apply(cluster, ours.plan), options.directory);
    const auto what = fmt::format("{} hosts, {} guests: ", hosts, guests);
    table.note(fmt::format("{}hbal {:.4f} -> {:.4f} in {} moves, {:.1f} s{}; ours -> {:.4f} in {} moves, {:.3f} s",
                           what, peer.score_before, peer.score_after, peer.moves, peer.seconds,
                           peer.converged ? "" : " (not converged)", score, count_moves(ours.plan), ours.seconds));
    table.row(what + "hbal's score of our plan / of its own", score / peer.score_after, 1);
    if (!small) continue;
    table.row(what + "our moves / hbal's",
              static_cast<double>(count_moves(ours.plan)) / static_cast<double>(peer.moves), 1);
    table.row(what + "hbal's time / ours", peer.seconds / ours.seconds, 100, true);
  }
}

void against_cbc(Table& table, const Options& options) {
  for (const auto& [hosts, guests, moves] : {std::tuple{10, 100, 50}, std::tuple{50, 500, 250}}) {
    const bool small = hosts <= 10;
    const auto cluster = measured_cluster(hosts, guests, 7);
    auto policy = evening_peaks(static_cast<std::size_t>(moves));
    policy.effort = small ? 5'000'000 : 2'000'000;
    const auto ours = timed_plan(cluster, policy, 1);
    const double value = fullest(scheduler::testing::apply(cluster, ours.plan));
    const auto peer = run_cbc(cluster, static_cast<std::size_t>(moves), options.directory, options.cbc_seconds);
    const auto what = fmt::format("{} hosts, {} guests, at most {} moves: ", hosts, guests, moves);
    table.note(fmt::format(
        "{}fullest {:.5f}; CBC {:.5f} (bound {:.5f}) in {:.1f} s; ours {:.5f} in {} moves, {:.3f} s, bound {:.5f}",
        what, fullest(cluster), peer.value, peer.bound, peer.seconds, value, count_moves(ours.plan), ours.seconds,
        ours.plan.bound));
    if (small) {
      table.row(what + "ours / the bound CBC proves", value / peer.bound, 1.01);
    } else {
      table.row(what + "ours / what CBC finds", peer.value < 0 ? 0 : value / peer.value, 1);
      table.row(what + "CBC's time / ours", peer.seconds / ours.seconds, 100, true);
    }
  }
}

void consolidation(Table& table) {
  Policy policy;
  policy.balance = policy.repair = Mode::off;
  for (const auto& [hosts, guests, seed] :
       {std::tuple{50, 500, 1}, std::tuple{100, 800, 2}, std::tuple{200, 2400, 3}, std::tuple{1000, 9000, 4}}) {
    const auto cluster = mixed_cluster(hosts, guests, static_cast<std::uint64_t>(seed), 0);
    const auto ours = timed_plan(cluster, policy, 1);
    const auto what = fmt::format("{} hosts, {} guests: ", hosts, guests);
    table.note(fmt::format("{}{:.0f} hosts in use -> {:.0f}, bound {:.0f}, {} moves, {:.3f} s", what,
                           ours.plan.before.hosts_on, ours.plan.after.hosts_on, ours.plan.bound, count_moves(ours.plan),
                           ours.seconds));
    table.row(what + "hosts in use / the lower bound", ours.plan.after.hosts_on / ours.plan.bound, 1.03);
  }
}

Options parse(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    const auto value = [&] {
      if (i + 1 < argc) return std::string(argv[++i]);
      std::fprintf(stderr, "planner_bench: %s needs a value\n", argv[i]);
      std::exit(2);
    };
    if (argument == "--only") {
      options.only = value();
    } else if (argument == "--hbal-seconds") {
      options.hbal_seconds = std::stod(value());
    } else if (argument == "--cbc-seconds") {
      options.cbc_seconds = std::stod(value());
    } else if (argument == "--directory") {
      options.directory = value();
    } else if (argument == "--assert") {
      options.assert_figures = true;
    } else {
      std::fprintf(stderr,
                   "usage: planner_bench [--only scale|hbal|cbc|consolidation] [--hbal-seconds N] [--cbc-seconds N] "
                   "[--directory DIR] [--assert]\n");
      std::exit(2);
    }
  }
  return options;
}

}  // namespace

int main(int argc, char** argv) {
  const auto options = parse(argc, argv);
  Table table;
  const auto wanted = [&](const char* part) { return options.only.empty() || options.only == part; };
  if (wanted("scale")) scale(table);
  if (wanted("hbal")) against_hbal(table, options);
  if (wanted("cbc")) against_cbc(table, options);
  if (wanted("consolidation")) consolidation(table);
  return options.assert_figures && table.failed() ? 1 : 0;
}
