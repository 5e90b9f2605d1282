#include "energy_desk/periods.h"

#include <algorithm>
#include <cstdio>

namespace bridgehead::energy_desk {
namespace {

using model::NodeEnergy;

// So many times are told apart; what lies between two of them counts as away where there are more.
constexpr std::size_t kMostAway = 50;

double kwh(double watts, Hours time) { return watts * time.count() / 1000; }

// Of two spans that follow each other the gap between them is the shortest.
void limit(std::vector<model::TimeSpan>& away) {
  std::sort(away.begin(), away.end(), [](const auto& a, const auto& b) { return a.from < b.from; });
  std::vector<model::TimeSpan> merged;
  for (const auto& span : away) {
    if (!merged.empty() && span.from <= merged.back().to) {
      merged.back().to = std::max(merged.back().to, span.to);
    } else {
      merged.push_back(span);
    }
  }
  while (merged.size() > kMostAway) {
    std::size_t shortest = 1;
    for (std::size_t i = 1; i < merged.size(); ++i) {
      if (merged[i].from - merged[i - 1].to < merged[shortest].from - merged[shortest - 1].to) shortest = i;
    }
    merged[shortest - 1].to = merged[shortest].to;
    merged.erase(merged.begin() + static_cast<std::ptrdiff_t>(shortest));
  }
  away = std::move(merged);
}

}  // namespace

model::EnergyPeriodId period_of(Timestamp time, Length length) {
  const auto text = to_rfc3339(time);
  return model::EnergyPeriodId(text.substr(0, length == Length::hour ? 13 : length == Length::day ? 10 : 7));
}

Length length_of(const model::EnergyPeriodId& id) {
  const auto size = id.str().size();
  return size >= 13 ? Length::hour : size >= 10 ? Length::day : Length::month;
}

Result<model::TimeSpan> span_of(const model::EnergyPeriodId& id) {
  const auto length = length_of(id);
  const auto begin = parse_rfc3339(id.str() + (length == Length::hour  ? ":00:00Z"
                                               : length == Length::day ? "T00:00:00Z"
                                                                       : "-01T00:00:00Z"));
  if (!begin || period_of(*begin, length) != id) {
    return fail(ErrorCode::data_corrupt, "'{}' is no hour, day or month", id);
  }
  if (length == Length::hour) return model::TimeSpan{*begin, *begin + std::chrono::hours(1)};
  if (length == Length::day) return model::TimeSpan{*begin, *begin + std::chrono::hours(24)};
  const std::chrono::year_month_day first(std::chrono::floor<std::chrono::days>(*begin));
  const auto next = first.year() / first.month() / 1 + std::chrono::months(1);
  return model::TimeSpan{*begin, std::chrono::sys_days(next)};
}

void add(model::EnergyPeriod& period, const Seen& seen, Hours time) {
  auto& node = period.nodes[seen.id];
  node.name = seen.name;
  node.promised += kwh(seen.promised, time);
  if (!seen.watts) {
    node.unknown += time.count();
    return;
  }
  const auto& now = *seen.watts;
  const bool by_bmc = now.source == model::PowerSource::bmc;
  node.used.of(now.source) += kwh(now.watts, time);
  if (now.off) {
    node.off += time.count();
    const double idle = by_bmc && node.least_watts > 0 ? node.least_watts : now.least;
    node.saved += kwh(std::max(0.0, idle - now.watts), time);
  } else if (by_bmc) {
    node.least_watts = node.least_watts > 0 ? std::min(node.least_watts, now.watts) : now.watts;
  }
  for (const auto& one : seen.guests) {
    auto& guest = period.guests[one.id];
    guest.name = one.name;
    guest.used.of(now.source) += kwh(now.watts * one.part, time);
  }
}

void merge(NodeEnergy& into, const NodeEnergy& later) {
  into.name = later.name;
  into.used += later.used;
  into.unknown += later.unknown;
  into.off += later.off;
  into.saved += later.saved;
  into.promised += later.promised;
  if (later.least_watts > 0) into.least_watts = later.least_watts;
}

void merge(model::EnergyPeriod& into, const model::EnergyPeriod& later) {
  for (const auto& [id, node] : later.nodes) merge(into.nodes[id], node);
  for (const auto& [id, guest] : later.guests) {
    auto& mine = into.guests[id];
    mine.name = guest.name;
    mine.used += guest.used;
  }
  into.counted_to = std::max(into.counted_to, later.counted_to);
  into.away.insert(into.away.end(), later.away.begin(), later.away.end());
  limit(into.away);
}

double part_of(const Share& share, double idle_part) { return idle_part * share.memory + (1 - idle_part) * share.cpus; }

}  // namespace bridgehead::energy_desk
