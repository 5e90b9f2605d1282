// Of stories: what is told by how long it takes.
#include <algorithm>
#include <map>

#include "bench/tell_parts.h"

namespace bridgehead::bench {
namespace {

// "guest-create by virt-install" -> "virt-install"
std::string peer_name(const std::string& workload, const std::string& of) {
  const auto lead = of + " by ";
  return workload.starts_with(lead) ? workload.substr(lead.size()) : workload;
}

// Waves of booting nodes: each node counts, and how far it was when.
struct Wave {
  std::vector<std::vector<double>> steps;  // in the order of `names`, of all nodes that came to them
  std::vector<double> total;
  std::vector<double> http, root;  // bytes of those that were counted
  std::size_t failed = 0;
};

std::string megabytes(std::vector<double> bytes) {
  return bytes.empty() ? "–" : figure(median_of(std::move(bytes)) / 1e6);
}

}  // namespace

// What isn't a rate: how long each took, by Bridgehead and by its peers.
void tell_times(Section& section, const Record& record, const std::vector<Group>& groups, const Workload& workload) {
  TextTable table{
      {"pool", "by", "times", "median, s", "interval of the median", "95 % within, s", "longest, s", "failed"}, {}};
  for (const auto& group : groups) {
    const auto& of = record.workload(group.workload)->peer_of;
    if (group.workload != workload.name && of != workload.name) continue;
    const auto by = of.empty() ? std::string("Bridgehead") : peer_name(group.workload, of);
    std::vector<double> seconds;
    for (const double rate : group.rates) seconds.push_back(1 / rate);
    std::sort(seconds.begin(), seconds.end());
    const auto lost = std::to_string(group.lost);
    if (seconds.empty()) {
      table.rows.push_back({group.pool, by, "0", "–", "–", "–", "–", lost});
      continue;
    }
    const auto summary = summarise(seconds);
    table.rows.push_back({group.pool, by, std::to_string(seconds.size()), figure(summary.median),
                          interval_text(summary.interval), figure(quantile_of(seconds, 0.95)), figure(summary.most),
                          lost});
  }
  section.blocks.emplace_back(std::move(table));
  TextTable beside{{"pool", "beside", "is", "times as quick"}, {}};
  for (const auto& row : compare_peers(record)) {
    if (row.workload != workload.name) continue;
    beside.rows.push_back({row.b, peer_name(row.a, row.workload), "Bridgehead",
                           row.ratio ? ratio_text(*row.ratio) : "no ratio: " + row.refusal});
  }
  if (!beside.rows.empty()) section.blocks.emplace_back(std::move(beside));
}

bool has_steps(const Record& record, const Workload& workload) {
  return std::any_of(record.runs.begin(), record.runs.end(), [&](const Run& run) {
    return run.workload == workload.name &&
           std::any_of(run.parts.begin(), run.parts.end(), [](const Part& part) { return !part.steps.empty(); });
  });
}

void tell_waves(Section& section, const Record& record, const Workload& workload) {
  std::vector<std::string> names;
  std::map<unsigned, Wave> waves;
  const auto place_of = [&](const std::string& name) {
    const auto found = std::find(names.begin(), names.end(), name);
    if (found == names.end()) names.push_back(name);
    return static_cast<std::size_t>(std::find(names.begin(), names.end(), name) - names.begin());
  };
  plot::Marks each{"each node", {}};
  for (const auto& run : record.runs) {
    if (run.workload != workload.name) continue;
    auto& wave = waves[run.nodes];
    for (const auto& part : run.parts) {
      for (const auto& step : part.steps) {
        const auto place = place_of(step.name);
        wave.steps.resize(std::max(wave.steps.size(), place + 1));
        wave.steps[place].push_back(step.at);
      }
      if (!part.error.empty()) {
        ++wave.failed;
        continue;
      }
      wave.total.push_back(part.seconds);
      if (part.http_bytes) wave.http.push_back(static_cast<double>(*part.http_bytes));
      if (part.root_bytes) wave.root.push_back(static_cast<double>(*part.root_bytes));
      each.points.push_back({static_cast<double>(run.nodes), part.seconds});
    }
  }
  TextTable table{{"at once", "boots"}, {}};
  for (const auto& name : names) table.head.push_back(name == "ready" ? "ready, s" : name);
  for (const char* word : {"interval", "longest", "HTTP, MB", "root, MB", "failed"}) table.head.emplace_back(word);
  std::vector<plot::Line> lines;
  for (const auto& name : names) lines.push_back({name, {}, name != "ready"});
  for (auto& [size, wave] : waves) {
    std::vector<std::string> row{std::to_string(size), std::to_string(wave.total.size())};
    wave.steps.resize(names.size());
    for (std::size_t i = 0; i < names.size(); ++i) {
      if (wave.steps[i].empty()) {
        row.emplace_back("–");
        continue;
      }
      const double median = median_of(wave.steps[i]);
      row.push_back(figure(median));
      lines[i].points.push_back({static_cast<double>(size), median});
    }
    const auto summary = summarise(wave.total);
    row.push_back(wave.total.empty() ? "–" : interval_text(summary.interval));
    row.push_back(wave.total.empty() ? "–" : figure(summary.most));
    row.push_back(megabytes(wave.http));
    row.push_back(megabytes(wave.root));
    row.push_back(std::to_string(wave.failed));
    table.rows.push_back(std::move(row));
  }
  section.blocks.emplace_back(Paragraph{
      "Seconds from the request for power until a node came to each step: medians of all nodes of such waves."});
  section.blocks.emplace_back(std::move(table));
  section.blocks.emplace_back(Paragraph{
      "MB: what each node took from the manager's host until it was ready, medians: by HTTP from the loader's script "
      "on, and of its root by NBD or NFS with what the protocol adds. What came by TFTP isn't in it."});
  std::size_t booted = 0, http = 0, root = 0;
  for (const auto& [size, wave] : waves) {
    booted += wave.total.size();
    http += wave.http.size();
    root += wave.root.size();
  }
  if (http < booted || root < booted) {
    section.blocks.emplace_back(Paragraph{
        fmt::format("Of {} boots {} weren't counted by HTTP and {} not by their root: the manager was started "
                    "meanwhile, the node has another address than is reserved for it, or its root came from another "
                    "server.",
                    booted, booted - http, booted - root),
        true});
  }
  plot::Chart chart;
  chart.title = "from power to each step";
  chart.x_label = "nodes at once";
  chart.y_label = "seconds";
  chart.lines = std::move(lines);
  chart.marks.push_back(std::move(each));
  section.blocks.emplace_back(std::move(chart));
}

}  // namespace bridgehead::bench
