// The curve over the nodes, and what holds it.
#include "bench/study.h"

#include <algorithm>
#include <cmath>

namespace bridgehead::bench {
namespace {

constexpr double kNear = 0.75;      // of a limit: it is the one
constexpr double kUndimmed = 0.85;  // of what the nodes would get alone: nothing holds them

std::string rate_text(double rate, const Workload& workload) {
  return workload.in_operations ? fmt::format("{:.0f} operations/s", rate) : fmt::format("{:.1f} MB/s", rate / 1e6);
}

struct Known {
  Diagnosis::Limit limit;
  std::string advice;
};

std::vector<Known> known_limits(const Record& record, const PoolFacts& pool, const Workload& workload, double nodes) {
  std::vector<Known> known;
  if (workload.in_operations) return known;  // no rate of a link says how many operations there can be
  const double copies = workload.writes && pool.copies > 1 ? pool.copies : 1;
  if (pool.servers > 0 && pool.server_link_bits > 0) {
    known.push_back({{"the servers' links", pool.servers * pool.server_link_bits / 8 / copies},
                     "More storage servers, or faster links in them, raise it; more nodes don't."});
  }
  if (pool.servers > 0 && pool.server_disk_bytes > 0) {
    known.push_back({{"the servers' disks", pool.servers * pool.server_disk_bytes / copies},
                     "More or faster disks in the servers raise it, or more servers; faster links don't."});
  }
  double slowest = 0;
  for (const auto& node : record.nodes) {
    if (node.link_bits <= 0) return known;
    if (slowest == 0 || node.link_bits < slowest) slowest = node.link_bits;
  }
  if (slowest > 0) {
    known.push_back({{"the clients' links", nodes * slowest / 8},
                     "Another or a faster NIC in each node raises it, and so do more nodes; more servers don't."});
  }
  return known;
}

Diagnosis diagnose(const Record& record, const Scaling& scaling) {
  const auto& workload = *record.workload(scaling.workload);
  const auto& pool = *record.pool(scaling.pool);
  Diagnosis diagnosis;
  Group top;
  Group widest;
  for (auto& group : groups_of(record)) {
    if (group.workload != scaling.workload || group.pool != scaling.pool || group.rates.empty()) continue;
    if (group.rate.median > top.rate.median) top = group;
    widest = std::move(group);
  }
  const auto known = known_limits(record, pool, workload, widest.nodes);
  for (const auto& one : known) diagnosis.limits.push_back(one.limit);
  if (widest.cpu_busy.value_or(0) >= kBusyClient) {
    diagnosis.bottleneck = "the clients' CPUs";
    diagnosis.because = fmt::format("They were {:.0f} % busy with {} nodes; what the storage can do isn't seen.",
                                    *widest.cpu_busy * 100, widest.nodes);
    diagnosis.advice = "Measure from hosts with more CPU to spare, or fewer streams each.";
    return diagnosis;
  }
  const Known* nearest = nullptr;
  for (const auto& one : known) {
    if (nearest == nullptr || one.limit.rate < nearest->limit.rate) nearest = &one;
  }
  if (nearest != nullptr && top.rate.median >= kNear * nearest->limit.rate) {
    diagnosis.bottleneck = nearest->limit.name;
    diagnosis.because = fmt::format("The best median, {}, is {:.0f} % of the {} that they can carry.",
                                    rate_text(top.rate.median, workload), 100 * top.rate.median / nearest->limit.rate,
                                    rate_text(nearest->limit.rate, workload));
    diagnosis.advice = nearest->advice;
    return diagnosis;
  }
  const double alone = scaling.form == Form::law ? scaling.fit.usl.lambda : scaling.bend.bend.per_node;
  if (scaling.fit.shape == Shape::superlinear || scaling.at(widest.nodes) >= kUndimmed * alone * widest.nodes) {
    diagnosis.bottleneck = "nothing yet";
    diagnosis.because = fmt::format("With {} nodes each still gets about what one alone gets, {}.", widest.nodes,
                                    rate_text(alone, workload));
    diagnosis.advice = "Measure with more nodes to see where it ends.";
    return diagnosis;
  }
  if (scaling.fit.shape == Shape::falls || scaling.fit.shape == Shape::peaks) {
    diagnosis.bottleneck = "the nodes hinder each other";
    diagnosis.because = "The rate falls again with more nodes, which no link or disk does.";
    diagnosis.advice =
        "Look at what all of them share: locks, one directory, the metadata server, a disk that seeks between streams.";
    return diagnosis;
  }
  diagnosis.bottleneck = "unknown";
  diagnosis.because = nearest == nullptr
                          ? std::string("The servers' number, links and disks aren't known.")
                          : fmt::format("Of the known limits {} are nearest, at {:.0f} %.", nearest->limit.name,
                                        100 * top.rate.median / nearest->limit.rate);
  diagnosis.advice = "Look at the servers' CPUs and disks during a run; say what their links and disks can do.";
  return diagnosis;
}

// The first half's own form predicts, and no more than the known limits.
Result<Validation> validate(const Record& record, const Scaling& scaling, const FitOptions& options, Form& form) {
  auto validation = validate_scale(scaling.points, options);
  if (!validation) return validation;
  auto half = scaling.points;
  std::erase_if(half, [&](const auto& point) { return point.nodes > validation->fitted_up_to; });
  const auto bend = fit_bend(half, options);
  form = form_of(half, fit_usl(half), bend.bend);
  double sum = 0;
  validation->worst_error = 0;
  for (auto& row : validation->rows) {
    if (form == Form::bend) {
      row.predicted = bend.bend.at(row.nodes);
      row.run = percentiles(bend.runs_at(row.nodes), options.confidence);
    }
    for (const auto& known :
         known_limits(record, *record.pool(scaling.pool), *record.workload(scaling.workload), row.nodes)) {
      row.predicted = std::min(row.predicted, known.limit.rate);
      row.run.low = std::min(row.run.low, known.limit.rate);
      row.run.high = std::min(row.run.high, known.limit.rate);
    }
    row.error = row.predicted / row.measured - 1;
    row.within = row.measured >= row.run.low && row.measured <= row.run.high;
    sum += std::abs(row.error);
    validation->worst_error = std::max(validation->worst_error, std::abs(row.error));
  }
  validation->mean_error = sum / static_cast<double>(validation->rows.size());
  return validation;
}

}  // namespace

double Scaling::at(double nodes) const { return form == Form::law ? fit.usl.at(nodes) : bend.bend.at(nodes); }

Result<Scaling> study_scaling(const Record& record, const std::string& workload, const std::string& pool,
                              const FitOptions& options) {
  const auto* work = record.workload(workload);
  Scaling scaling;
  scaling.workload = workload;
  scaling.pool = pool;
  if (work != nullptr) {
    for (const auto& run : record.runs) {
      if (run.workload != workload || run.pool != pool) continue;
      scaling.points.push_back({static_cast<double>(run.nodes), rate_of(run, *work), run.complete()});
    }
  }
  if (scaling.points.empty()) {
    return fail(ErrorCode::not_found, "there are no runs of '{}' on '{}' in {}", workload, pool, record.name);
  }
  auto fit = fit_scale(scaling.points, options);
  if (!fit) return forward(fit);
  scaling.fit = std::move(*fit);
  scaling.bend = fit_bend(scaling.points, options);
  scaling.form = form_of(scaling.points, scaling.fit.usl, scaling.bend.bend);
  scaling.validation = validate(record, scaling, options, scaling.validated_form);
  scaling.diagnosis = diagnose(record, scaling);
  return scaling;
}

}  // namespace bridgehead::bench
