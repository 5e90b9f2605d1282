#include "hbal.h"

#include <cstdio>
#include <cstdlib>

#include "base/file.h"
#include "command.h"

namespace bridgehead::bench {
namespace {

using namespace bridgehead::scheduler;

constexpr double kMebibyte = 1 << 20;

std::string write_cluster(const Cluster& cluster, const std::string& directory) {
  const auto path = directory + "/cluster.txt";
  if (!write_file_atomic(path, hbal_text(cluster), 0644)) {
    std::fprintf(stderr, "planner_bench: cannot write %s\n", path.c_str());
    std::exit(2);
  }
  return path;
}

}  // namespace

// Groups, nodes, instances, tags and policies, a blank line between them: as `hbal -S` writes them (Ganeti 3.0).
std::string hbal_text(const Cluster& cluster) {
  std::vector<double> free;
  for (const auto& host : cluster.hosts) free.push_back(host.limits[1] / kMebibyte);
  for (const auto& guest : cluster.guests) free[guest.host] -= guest.demand[1] / kMebibyte;
  std::string text = "group|group-uuid|preferred||\n\n";
  for (std::size_t h = 0; h < cluster.hosts.size(); ++h) {
    text += fmt::format("{}|{:.0f}|0|{:.0f}|4194304|4194304|32|N|group-uuid|1||N|1|0|1.0\n", cluster.hosts[h].name,
                        cluster.hosts[h].limits[1] / kMebibyte, free[h]);
  }
  text += "\n";
  for (const auto& guest : cluster.guests) {
    text += fmt::format("{}|{:.0f}|10240|{:.0f}|running|Y|{}||ext||1\n", guest.name, guest.demand[1] / kMebibyte,
                        guest.demand[0], cluster.hosts[guest.host].name);
  }
  return text + "\n\n";
}

HbalRun run_hbal(const Cluster& cluster, const std::string& directory, double seconds) {
  HbalRun result;
  const auto path = write_cluster(cluster, directory);
  // -v twice prints each move with the score it leads to, so that a run that is cut off still says how far it came.
  const auto output = run_command(fmt::format("ulimit -t {:.0f}; hbal -t {} -v -v -l 1000000 2>&1", seconds, path));
  result.seconds = output.seconds;
  result.score_before = number_after(output.text, "Initial coefficients: overall ").value_or(-1);
  result.score_after = number_after(output.text, "Final coefficients:   overall ").value_or(-1);
  result.converged = result.score_after >= 0;
  if (result.score_before < 0) result.score_before = hbal_score(cluster, directory);  // cut off before it said so
  double last = result.score_before;
  for (std::size_t at = 0; (at = output.text.find(" => ", at)) != std::string::npos; ++at) {
    ++result.moves;
    const auto end = output.text.find('\n', at);
    if (end == std::string::npos) continue;
    const auto line = output.text.substr(at + 4, end - at - 4);  // "n00018        18.95150088 a=fa:n00018"
    last = std::strtod(line.c_str() + std::min(line.find(' '), line.size() - 1), nullptr);
  }
  if (!result.converged) result.score_after = last;
  return result;
}

double hbal_score(const Cluster& cluster, const std::string& directory) {
  const auto path = write_cluster(cluster, directory);
  // One that may move nothing: it prints the score and ends.
  const auto output = run_command(fmt::format("hbal -t {} -v -v -l 0 2>&1", path));
  return number_after(output.text, "Initial coefficients: overall ").value_or(-1);
}

}  // namespace bridgehead::bench
