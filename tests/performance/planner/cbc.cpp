#include "cbc.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>

#include "base/file.h"
#include "command.h"

namespace bridgehead::bench {
namespace {

using namespace bridgehead::scheduler;

constexpr std::size_t kCounted[] = {1, 2};  // memory and CPU use

// In CPLEX's LP format: x<guest>_<host> = 1 where the guest is, z<resource> the fullest host's use.
std::string program(const Cluster& cluster, std::size_t most_moves) {
  std::string text = "Minimize\n use: z1 + z2\nSubject To\n";
  for (std::size_t g = 0; g < cluster.guests.size(); ++g) {
    text += fmt::format(" one{}:", g);
    for (std::size_t h = 0; h < cluster.hosts.size(); ++h)
      text += fmt::format(" + x{}_{}{}", g, h, h % 20 == 19 ? "\n" : "");
    text += " = 1\n";
  }
  for (std::size_t h = 0; h < cluster.hosts.size(); ++h) {
    for (const auto r : kCounted) {
      text += fmt::format(" load{}_{}:", h, r);
      for (std::size_t g = 0; g < cluster.guests.size(); ++g) {
        text += fmt::format(" + {:.10g} x{}_{}{}", cluster.guests[g].demand[r] / cluster.hosts[h].limits[r], g, h,
                            g % 10 == 9 ? "\n" : "");
      }
      text += fmt::format(" - z{} <= 0\n", r);
    }
  }
  text += " stay:";
  for (std::size_t g = 0; g < cluster.guests.size(); ++g) {
    text += fmt::format(" + x{}_{}{}", g, cluster.guests[g].host, g % 20 == 19 ? "\n" : "");
  }
  text += fmt::format(" >= {}\nBounds\n 0 <= z1 <= 1\n 0 <= z2 <= 1\nBinaries\n", cluster.guests.size() - most_moves);
  for (std::size_t g = 0; g < cluster.guests.size(); ++g) {
    for (std::size_t h = 0; h < cluster.hosts.size(); ++h) text += fmt::format(" x{}_{}", g, h);
    text += "\n";
  }
  return text + "End\n";
}

}  // namespace

CbcRun run_cbc(const Cluster& cluster, std::size_t most_moves, const std::string& directory, double seconds) {
  CbcRun result;
  const auto path = directory + "/cluster.lp";
  if (!write_file_atomic(path, program(cluster, most_moves), 0644)) {
    std::fprintf(stderr, "planner_bench: cannot write %s\n", path.c_str());
    std::exit(2);
  }
  const auto output = run_command(fmt::format("cbc {} sec {} ratioGap 0 solve 2>&1", path, seconds));
  result.seconds = output.seconds;
  result.value = number_after(output.text, "Objective value:").value_or(-1);
  result.bound = number_after(output.text, "Lower bound:").value_or(result.value);  // it says none when it is done
  return result;
}

double fullest(const Cluster& cluster) {
  std::vector<Amounts> load(cluster.hosts.size());
  for (const auto& guest : cluster.guests) {
    for (const auto r : kCounted) load[guest.host][r] += guest.demand[r];
  }
  double sum = 0;
  for (const auto r : kCounted) {
    double most = 0;
    for (std::size_t h = 0; h < load.size(); ++h) most = std::max(most, load[h][r] / cluster.hosts[h].limits[r]);
    sum += most;
  }
  return sum;
}

}  // namespace bridgehead::bench
