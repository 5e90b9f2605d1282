// Sizes that weren't measured, from the fitted curve and what is known of the servers.
#include <algorithm>
#include <cmath>

#include "bench/study.h"

namespace bridgehead::bench {
namespace {

// How the measured figures change with the sizes.
struct Scale {
  double pace = 1;                // of one client alone
  double shared = 1;              // of what all share
  double pace_cap = kInfinite;    // a client's link
  double shared_cap = kInfinite;  // the servers' links and disks
};

struct Curve {
  double pace;
  double limit;         // of a bend
  double sigma, kappa;  // of the law
  Form form;

  double at(double n, const Scale& scale) const {
    const double own = std::min(pace * scale.pace, scale.pace_cap);
    double rate = own * n;
    if (form == Form::bend) {
      rate = std::min(rate, limit * scale.shared);
    } else {
      // The law's asymptote is pace / sigma: the shared part grows with the servers.
      rate = law(own, scale).at(n);
    }
    return std::min(rate, scale.shared_cap);
  }
  Usl law(double own, const Scale& scale) const {
    return {own, std::clamp(sigma * (own / pace) / scale.shared, 0.0, 1.0), kappa};
  }
};

Curve curve_of(const Usl& usl) { return {usl.lambda, kInfinite, usl.sigma, usl.kappa, Form::law}; }
Curve curve_of(const Bend& bend) { return {bend.per_node, bend.limit, 0, 0, Form::bend}; }

Status scale_servers(const PoolFacts& pool, const Workload& workload, const Scaling& scaling, const Sizes& sizes,
                     Scale& scale, std::vector<std::string>& assumptions) {
  if (sizes.servers && pool.servers == 0) {
    return fail_with_hint(ErrorCode::failed_precondition,
                          fmt::format("how many servers {} had isn't in the result", pool.name),
                          "Say so with --measured-servers.");
  }
  if (sizes.server_bits && pool.server_link_bits <= 0) {
    return fail_with_hint(ErrorCode::failed_precondition,
                          fmt::format("the links of {}'s servers aren't in the result", pool.name),
                          "Say so with --measured-nic.");
  }
  const double servers = sizes.servers.value_or(pool.servers);
  if (sizes.servers) {
    scale.shared *= servers / pool.servers;
    assumptions.push_back(fmt::format(
        "Each of {} servers brings as much as each of the {} that were measured, and the work is spread evenly.",
        *sizes.servers, pool.servers));
  }
  const double bits = sizes.server_bits.value_or(pool.server_link_bits);
  if (sizes.server_bits) {
    if (scaling.diagnosis.bottleneck == "the servers' links") {
      scale.shared *= bits / pool.server_link_bits;
      assumptions.emplace_back(
          "The servers' links held the measured rate, so other links change it in proportion, until something else "
          "holds it: the servers' CPUs and disks keep up.");
    } else if (bits < pool.server_link_bits) {
      assumptions.emplace_back("The servers' links didn't hold the measured rate; slower ones only cap it.");
    } else {
      assumptions.emplace_back("The servers' links didn't hold the measured rate, so faster ones don't change it.");
    }
  }
  if (workload.in_operations || servers <= 0) return {};
  const double copies = workload.writes && pool.copies > 1 ? pool.copies : 1;
  if (bits > 0) scale.shared_cap = servers * bits / 8 / copies;
  if (pool.server_disk_bytes > 0) {
    scale.shared_cap = std::min(scale.shared_cap, servers * pool.server_disk_bytes / copies);
  } else if (scale.shared > 1) {
    assumptions.emplace_back("What the servers' disks can do isn't known; they are taken not to hold it.");
  }
  return {};
}

void scale_clients(const Record& record, const Workload& workload, double pace, const Sizes& sizes, Scale& scale,
                   std::vector<std::string>& assumptions) {
  double bits = 0;
  for (const auto& node : record.nodes) {
    if (node.link_bits > 0 && (bits == 0 || node.link_bits < bits)) bits = node.link_bits;
  }
  if (workload.in_operations) return;
  const double asked = sizes.client_bits.value_or(bits);
  if (asked > 0) scale.pace_cap = asked / 8;
  if (sizes.client_bits && bits > 0 && pace >= 0.75 * bits / 8) {
    scale.pace = *sizes.client_bits / bits;
    assumptions.emplace_back("A client alone was held by its link; with another it changes in proportion.");
  } else {
    assumptions.emplace_back("A client alone gets what a measured one got, unless its link carries less.");
  }
}

}  // namespace

Result<Prediction> predict(const Record& record, const Scaling& scaling, const Sizes& sizes) {
  const auto* workload = record.workload(scaling.workload);
  const auto* pool = record.pool(scaling.pool);
  require(workload != nullptr && pool != nullptr, "a study of what isn't in its record");
  if (!(sizes.clients >= 1) || sizes.clients > 1e6) {
    return fail(ErrorCode::invalid_argument, "1 to 1,000,000 clients can be predicted, not {}", sizes.clients);
  }
  if (sizes.servers == 0U || sizes.server_bits.value_or(1) <= 0 || sizes.client_bits.value_or(1) <= 0) {
    return fail(ErrorCode::invalid_argument, "servers and links of 0 carry nothing");
  }
  if (scaling.diagnosis.bottleneck == "the clients' CPUs") {
    return fail_with_hint(ErrorCode::failed_precondition,
                          "the clients' CPUs held the measured rate; it says nothing of the storage",
                          scaling.diagnosis.advice);
  }
  Prediction prediction;
  Scale scale;
  const auto best = scaling.form == Form::law ? curve_of(scaling.fit.usl) : curve_of(scaling.bend.bend);
  if (auto scaled = scale_servers(*pool, *workload, scaling, sizes, scale, prediction.assumptions); !scaled) {
    return forward(scaled);
  }
  scale_clients(record, *workload, best.pace, sizes, scale, prediction.assumptions);
  const bool no_limit = scaling.form == Form::bend ? !std::isfinite(best.limit) : best.sigma <= 0 && best.kappa <= 0;
  if (no_limit && !std::isfinite(scale.shared_cap) && sizes.clients > scaling.fit.largest) {
    return fail_with_hint(ErrorCode::failed_precondition,
                          fmt::format("up to {:.0f} nodes nothing held the rate, and no limit of the servers is known",
                                      scaling.fit.largest),
                          "Measure more nodes, or say what the servers' links carry.");
  }
  const double n = sizes.clients;
  prediction.rate = best.at(n, scale);
  std::vector<double> runs;
  const auto draw = [&](const Curve& curve, const std::vector<double>& residuals, std::size_t i) {
    const double value = curve.at(n, scale);
    for (std::size_t j = 0; j < 5; ++j) runs.push_back(value * (1 + residuals[(i * 5 + j) % residuals.size()]));
  };
  if (scaling.form == Form::law) {
    for (std::size_t i = 0; i < scaling.fit.samples.size(); ++i) {
      draw(curve_of(scaling.fit.samples[i]), scaling.fit.residuals, i);
    }
    if (best.kappa > 0) {
      prediction.assumptions.emplace_back("What it costs the clients to agree stays as it was for each pair of them.");
    }
  } else {
    for (std::size_t i = 0; i < scaling.bend.samples.size(); ++i) {
      draw(curve_of(scaling.bend.samples[i]), scaling.bend.residuals, i);
    }
  }
  prediction.interval = percentiles(std::move(runs), 0.95);
  const double own = std::min(best.pace * scale.pace, scale.pace_cap);
  const double top = std::min(scale.shared_cap, best.limit * scale.shared);
  if (scaling.form == Form::law) {
    prediction.best_clients = best.law(own, scale).peak();
    if (std::isfinite(top)) prediction.best_clients = std::min(prediction.best_clients, std::ceil(top / own));
    prediction.limited_by = prediction.rate >= 0.999 * scale.shared_cap ? "the servers' links and disks"
                            : prediction.rate >= 0.85 * own * n         ? "each client's own pace"
                                                                        : "what the clients share";
  } else {
    prediction.best_clients = std::ceil(top / own);
    prediction.limited_by = prediction.rate < 0.999 * own * n ? "the servers" : "each client's own pace";
  }
  if (n > 3 * scaling.fit.largest) {
    prediction.assumptions.push_back(
        fmt::format("{:.0f} clients are more than three times the {:.0f} that were measured: the interval holds only "
                    "if nothing new comes up on the way.",
                    n, scaling.fit.largest));
  }
  return prediction;
}

}  // namespace bridgehead::bench
