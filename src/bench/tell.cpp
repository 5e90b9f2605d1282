// The stories: words, tables and charts of a record.
#include <algorithm>
#include <cmath>

#include "base/units.h"
#include "bench/report.h"
#include "bench/tell_parts.h"

namespace bridgehead::bench {

std::string figure(double value) {
  if (!std::isfinite(value)) return "no end";
  return plot::readable(value);
}

std::string percent(double part) { return fmt::format("{:.{}f} %", part * 100, part < 0.1 ? 1 : 0); }

std::string interval_text(const Interval& interval, double unit) {
  if (interval.confidence <= 0) return "–";
  return fmt::format("{} to {} ({:.0f} %)", figure(interval.low / unit), figure(interval.high / unit),
                     interval.confidence * 100);
}

std::string ratio_text(const Ratio& ratio) {
  auto text = fmt::format("{:.2f} times", ratio.value);
  if (ratio.interval.confidence > 0) {
    text += fmt::format(", {:.2f} to {:.2f} ({:.0f} %)", ratio.interval.low, ratio.interval.high,
                        ratio.interval.confidence * 100);
    if (!ratio.distinct()) text += ", no difference that can be told";
  }
  return text;
}

namespace {

// MB/s of 10^6 bytes, as links and disks are sold; operations as they are.
struct Unit {
  std::string name;
  double size;
  bool inverse = false;
  double of(double rate) const { return inverse ? size / rate : rate / size; }
};
Unit unit_of(const Workload& workload) {
  if (workload.in_seconds) return {"s", 1, true};
  return workload.in_operations ? Unit{"operations/s", 1} : Unit{"MB/s", 1e6};
}

std::string optional_percent(const std::optional<double>& part) { return part ? percent(*part) : "–"; }

template <typename T, typename Pick>
std::string joined(const std::vector<T>& list, const Pick& pick) {
  std::vector<std::string> seen;
  for (const auto& one : list) {
    const std::string text = pick(one);
    if (!text.empty() && std::find(seen.begin(), seen.end(), text) == seen.end()) seen.push_back(text);
  }
  return fmt::format("{}", fmt::join(seen, ", "));
}

std::string link_text(double bits) { return bits > 0 ? fmt::format("{:.0f} Mbit/s", bits / 1e6) : "?"; }
std::string number_text(unsigned value) { return value > 0 ? std::to_string(value) : "?"; }

Section environment(const Record& record) {
  Section section{"Where and how", {}};
  TextTable hosts{{"", "what"}, {}};
  const auto row = [&](const char* name, const std::string& text) {
    if (!text.empty()) hosts.rows.push_back({name, text});
  };
  row("command", record.command);
  row("begun", record.started);
  row("Bridgehead", record.version);
  row("fio", record.fio);
  row("nodes", fmt::format("{}: {}", record.nodes.size(), joined(record.nodes, [](const auto& n) { return n.name; })));
  row("measured", !record.through_guests() ? ""
                  : record.emulated()      ? "through guests' disks, the guests emulated"
                                           : "through guests' disks, the guests with KVM");
  row("kernel", joined(record.nodes, [](const auto& node) { return node.kernel; }));
  row("CPUs", joined(record.nodes, [](const auto& node) {
        return node.cpus == 0 ? std::string() : fmt::format("{} of {}", node.cpus, node.cpu.empty() ? "?" : node.cpu);
      }));
  row("memory", joined(record.nodes, [](const auto& node) {
        return node.memory_bytes == 0 ? std::string() : Bytes(node.memory_bytes).human();
      }));
  row("links of the nodes",
      joined(record.nodes, [](const auto& n) { return n.link_bits > 0 ? link_text(n.link_bits) : std::string(); }));
  section.blocks.emplace_back(std::move(hosts));
  TextTable pools{{"pool", "driver", "servers", "link of each", "copies", "layout"}, {}};
  for (const auto& pool : record.pools) {
    pools.rows.push_back({pool.name, pool.driver, number_text(pool.servers), link_text(pool.server_link_bits),
                          number_text(pool.copies), pool.layout.empty() ? "–" : pool.layout});
  }
  section.blocks.emplace_back(std::move(pools));
  TextTable work{{"workload", "what each node does"}, {}};
  for (const auto& workload : record.workloads) work.rows.push_back({workload.name, workload.what});
  section.blocks.emplace_back(std::move(work));
  if (record.emulated()) {
    section.blocks.emplace_back(Paragraph{
        "The guests were emulated (their nodes have no KVM): what they got is that of the emulation, and says nothing "
        "of guests with KVM.",
        true});
  }
  for (const auto& note : record.notes) section.blocks.emplace_back(Paragraph{note, true});
  return section;
}

std::string outliers_text(const Group& group, const Unit& unit) {
  std::vector<std::string> list;
  for (const auto index : group.rate.outliers) {
    list.push_back(fmt::format("run {}: {}", group.number[index], figure(group.rates[index] / unit.size)));
  }
  return fmt::format("{}", fmt::join(list, ", "));
}

void tell_groups(Section& section, const Record& record, const std::vector<Group>& groups, const Workload& workload) {
  const auto unit = unit_of(workload);
  TextTable table{{"pool", "nodes", "runs", unit.name, "interval of the median", "spread", "p99 ms", "CPU"}, {}};
  std::vector<Paragraph> notes;
  for (const auto& group : groups) {
    if (group.workload != workload.name) continue;
    if (group.lost > 0) {
      notes.push_back({fmt::format("{}, {} nodes: {} lost a node and doesn't count.", group.pool, group.nodes,
                                   group.lost == 1 ? "one run" : fmt::format("{} runs", group.lost)),
                       true});
    }
    if (group.rates.empty()) {
      table.rows.push_back({group.pool, std::to_string(group.nodes), "0", "–", "–", "–", "–", "–"});
      continue;
    }
    table.rows.push_back({group.pool, std::to_string(group.nodes), std::to_string(group.rates.size()),
                          figure(group.rate.median / unit.size), interval_text(group.rate.interval, unit.size),
                          percent(group.rate.variation()), figure(group.p99_ms), optional_percent(group.cpu_busy)});
    if (!group.rate.outliers.empty()) {
      notes.push_back({fmt::format("{}, {} nodes: far from the others (kept): {}.", group.pool, group.nodes,
                                   outliers_text(group, unit)),
                       true});
    }
    if (group.cpu_busy.value_or(0) >= kBusyClient) {
      notes.push_back(
          {fmt::format("{}, {} nodes: {} the limit, not the storage.", group.pool, group.nodes, busy_clients(record)),
           true});
    }
    // Nodes that begin late are beside the others for less of the run than it seems.
    if (group.skew > 0.05) {
      notes.push_back({fmt::format("{}, {} nodes: the last began {:.0f} ms after the first.", group.pool, group.nodes,
                                   group.skew * 1000),
                       true});
    }
  }
  section.blocks.emplace_back(std::move(table));
  for (auto& note : notes) section.blocks.emplace_back(std::move(note));
}

void tell_comparisons(Section& section, const std::vector<Comparison>& rows, const std::string& workload) {
  TextTable table{{"nodes", "beside", "is", "times"}, {}};
  std::vector<Paragraph> refusals;
  for (const auto& row : rows) {
    if (row.workload != workload) continue;
    if (row.ratio) {
      table.rows.push_back({std::to_string(row.nodes), row.a, row.b, ratio_text(*row.ratio)});
    } else {
      refusals.push_back(
          {fmt::format("No ratio of {} and {} at {} nodes: {}.", row.a, row.b, row.nodes, row.refusal), true});
    }
  }
  if (!table.rows.empty()) section.blocks.emplace_back(std::move(table));
  for (auto& refusal : refusals) section.blocks.emplace_back(std::move(refusal));
}

plot::Chart scaling_chart(const Scaling& scaling, const Unit& unit) {
  plot::Chart chart;
  chart.title = fmt::format("{} on {}", scaling.workload, scaling.pool);
  chart.x_label = "nodes";
  chart.y_label = unit.name;
  const double peak = scaling.fit.usl.peak();
  const bool in_reach = scaling.form == Form::law && peak <= 2 * scaling.fit.largest;
  const double right = in_reach ? std::max(scaling.fit.largest, peak * 1.2) : scaling.fit.largest * 1.25;
  std::vector<double> at;
  for (int i = 0; i <= 60; ++i) at.push_back(1 + (right - 1) * i / 60);
  plot::Band band{"95 % for the curve", {}};
  plot::Line law{"USL", {}, scaling.form != Form::law};
  for (const auto& slice : scaling.fit.band(at)) {
    if (scaling.form == Form::law) {
      band.slices.push_back({slice.nodes, slice.curve.low / unit.size, slice.curve.high / unit.size});
    }
    law.points.push_back({slice.nodes, slice.value / unit.size});
  }
  plot::Line bend{"hard limit", {}, scaling.form != Form::bend};
  for (const double n : at) {
    bend.points.push_back({n, scaling.bend.bend.at(n) / unit.size});
    if (scaling.form != Form::bend) continue;
    std::vector<double> values;
    for (const auto& sample : scaling.bend.samples) values.push_back(sample.at(n));
    const auto range = percentiles(std::move(values), 0.95);
    band.slices.push_back({n, range.low / unit.size, range.high / unit.size});
  }
  chart.bands.push_back(std::move(band));
  chart.lines.push_back(std::move(law));
  chart.lines.push_back(std::move(bend));
  plot::Marks whole{"runs", {}, false};
  plot::Marks lost{"lost a node", {}, true};
  for (const auto& point : scaling.points) {
    (point.complete ? whole : lost).points.push_back({point.nodes, point.rate / unit.size});
  }
  chart.marks.push_back(std::move(whole));
  if (!lost.points.empty()) chart.marks.push_back(std::move(lost));
  for (const auto& limit : scaling.diagnosis.limits) chart.limits.push_back({limit.name, limit.rate / unit.size});
  if (in_reach) chart.places.push_back({fmt::format("peak at {:.1f}", peak), peak});
  return chart;
}

void tell_form(Section& section, const Scaling& scaling, const Unit& unit) {
  const auto& fit = scaling.fit;
  const auto& bend = scaling.bend;
  if (scaling.form == Form::law) {
    section.blocks.emplace_back(
        Paragraph{fmt::format("The curve {}. Peak: {} nodes ({}), {} {} there ({}).", to_string(fit.shape),
                              figure(fit.usl.peak()), interval_text(fit.peak), figure(fit.usl.capacity() / unit.size),
                              unit.name, interval_text(fit.capacity, unit.size))});
    for (const auto& note : fit.notes) section.blocks.emplace_back(Paragraph{note, true});
    return;
  }
  const auto each = fmt::format("{} {} for each node ({})", figure(bend.bend.per_node / unit.size), unit.name,
                                interval_text(bend.per_node, unit.size));
  const auto all = fmt::format("{} {} in all ({})", figure(bend.bend.limit / unit.size), unit.name,
                               interval_text(bend.limit, unit.size));
  std::string text;
  if (!std::isfinite(bend.bend.limit)) {
    text = fmt::format("In proportion to the nodes: {}; no limit was reached.", each);
  } else if (bend.bend.nodes_at_limit() <= 1.1) {
    text = fmt::format("A hard limit that one node reaches: {}. More nodes bring nothing.", all);
  } else {
    text = fmt::format("A hard limit: {}, until {}, reached at {} nodes. More nodes bring nothing.", each, all,
                       figure(bend.bend.nodes_at_limit()));
  }
  section.blocks.emplace_back(Paragraph{std::move(text)});
  if (fit.shape != Shape::superlinear) return;
  for (const auto& note : fit.notes) section.blocks.emplace_back(Paragraph{note, true});
}

void tell_scaling(Section& section, const Scaling& scaling, const Unit& unit) {
  const auto& fit = scaling.fit;
  section.blocks.emplace_back(scaling_chart(scaling, unit));
  tell_form(section, scaling, unit);
  section.blocks.emplace_back(Paragraph{fmt::format("Bottleneck: {}. {} {}", scaling.diagnosis.bottleneck,
                                                    scaling.diagnosis.because, scaling.diagnosis.advice)});
  TextTable table{{"of the fit", "value", "interval"}, {}};
  table.rows.push_back({fmt::format("one node alone, {}", unit.name), figure(fit.usl.lambda / unit.size),
                        interval_text(fit.lambda, unit.size)});
  table.rows.push_back({"serial share (sigma)", fmt::format("{:.4f}", fit.usl.sigma), interval_text(fit.sigma)});
  table.rows.push_back({"price of agreeing (kappa)", fmt::format("{:.5f}", fit.usl.kappa), interval_text(fit.kappa)});
  table.rows.push_back({"runs lie off the USL by", percent(fit.spread), "–"});
  table.rows.push_back({"runs lie off the hard limit by", percent(scaling.bend.spread), "–"});
  section.blocks.emplace_back(std::move(table));
  if (!scaling.validation) {
    section.blocks.emplace_back(
        Paragraph{fmt::format("Not tested against itself: {}.", scaling.validation.error().message), true});
    return;
  }
  const auto& validation = *scaling.validation;
  TextTable tested{{"nodes", "predicted", "interval", "measured", "error"}, {}};
  for (const auto& row : validation.rows) {
    tested.rows.push_back({figure(row.nodes), figure(row.predicted / unit.size), interval_text(row.run, unit.size),
                           figure(row.measured / unit.size), fmt::format("{:+.1f} %", row.error * 100)});
  }
  section.blocks.emplace_back(
      Paragraph{fmt::format("Predicted by the {} of up to {} nodes and measured beyond: off by {} on average, {} at "
                            "worst.",
                            scaling.validated_form == Form::law ? "USL" : "hard limit", validation.fitted_up_to,
                            percent(validation.mean_error), percent(validation.worst_error))});
  section.blocks.emplace_back(std::move(tested));
}

}  // namespace

Story tell(const Record& record) {
  Story story{record.name, {}};
  const auto groups = groups_of(record);
  const auto comparisons = compare_pools(record);
  for (const auto& workload : record.workloads) {
    Section section{workload.name, {}};
    if (!workload.peer_of.empty()) continue;  // beside the one whose peer it is
    if (has_steps(record, workload)) {
      tell_waves(section, record, workload);
      story.sections.push_back(std::move(section));
      continue;
    }
    if (workload.in_seconds) {
      tell_times(section, record, groups, workload);
    } else {
      tell_groups(section, record, groups, workload);
    }
    tell_comparisons(section, comparisons, workload.name);
    for (const auto& pool : record.pools) {
      const auto counts = std::count_if(groups.begin(), groups.end(), [&](const Group& group) {
        return group.workload == workload.name && group.pool == pool.name;
      });
      if (counts < 2 || workload.in_seconds) continue;
      const auto scaling = study_scaling(record, workload.name, pool.name);
      if (scaling) {
        tell_scaling(section, *scaling, unit_of(workload));
      } else {
        section.blocks.emplace_back(
            Paragraph{fmt::format("No curve of {}: {}", pool.name, scaling.error().describe()), true});
      }
    }
    story.sections.push_back(std::move(section));
  }
  story.sections.push_back(environment(record));
  return story;
}

Story tell(const Record& a, const Record& b, const RecordComparison& comparison) {
  Story story{fmt::format("{} beside {}", b.name, a.name), {}};
  for (const auto& workload : a.workloads) {
    const auto unit = unit_of(workload);
    TextTable table{{"nodes", a.name, b.name, unit.name, "times"}, {}};
    for (const auto& row : comparison.rows) {
      if (row.workload != workload.name) continue;
      table.rows.push_back({std::to_string(row.nodes), figure(unit.of(row.median_a)), figure(unit.of(row.median_b)),
                            row.b,

                            row.ratio ? ratio_text(*row.ratio) : "not comparable: " + row.refusal});
    }
    if (table.rows.empty()) continue;
    table.head[3] = unit.name + " on";
    story.sections.push_back({workload.name, {std::move(table)}});
  }
  if (!comparison.warnings.empty()) {
    Section section{"What else differs", {}};
    for (const auto& warning : comparison.warnings) section.blocks.emplace_back(Paragraph{warning, true});
    story.sections.push_back(std::move(section));
  }
  return story;
}

Story tell(const Record& record, const Scaling& scaling, const Sizes& sizes, const Prediction& prediction) {
  const auto unit = unit_of(*record.workload(scaling.workload));
  Story story{fmt::format("{} on {}, predicted from {}", scaling.workload, scaling.pool, record.name), {}};
  Section section{fmt::format("{:.0f} clients", sizes.clients), {}};
  section.blocks.emplace_back(Paragraph{fmt::format(
      "{} {} in all, {} to {} with {:.0f} %; {} {} for each client.", figure(prediction.rate / unit.size), unit.name,
      figure(prediction.interval.low / unit.size), figure(prediction.interval.high / unit.size),
      prediction.interval.confidence * 100, figure(prediction.rate / sizes.clients / unit.size), unit.name)});
  section.blocks.emplace_back(Paragraph{
      std::isfinite(prediction.best_clients)
          ? fmt::format("Limited by {}. It grows up to {:.0f} clients.", prediction.limited_by, prediction.best_clients)
          : fmt::format("Limited by {}. No number of clients is known at which it stops growing.",
                        prediction.limited_by)});
  story.sections.push_back(std::move(section));
  Section assumed{"What this assumes", {}};
  for (const auto& sentence : prediction.assumptions) assumed.blocks.emplace_back(Paragraph{sentence});
  story.sections.push_back(std::move(assumed));
  return story;
}

}  // namespace bridgehead::bench
