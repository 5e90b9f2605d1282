#include "energy_desk/energy_book.h"

#include <cmath>
#include <map>

#include "model/codec.h"

namespace bridgehead::energy_desk {
namespace {

using model::EnergyPeriod;
using model::EnergyPeriodId;

constexpr std::chrono::hours kHoursKept{48};
constexpr std::chrono::days kDaysKept{62};
constexpr std::chrono::days kMonthsKept{731};

constexpr std::string_view kPrefix = "energy_period/";

std::string key_of(const EnergyPeriodId& id) { return fmt::format("{}{}", kPrefix, id); }

Result<EnergyPeriod> decode(const EnergyPeriodId& id, std::string_view text) {
  auto period = model::decode<EnergyPeriod>(text);
  if (!period) return forward(period);
  if (period->id != id) return fail(ErrorCode::data_corrupt, "the ledger's '{}' calls itself '{}'", id, period->id);
  return period;
}

// What nobody needs takes room: a microwatt-hour is enough.
void shorten(double& value) { value = std::round(value * 1e9) / 1e9; }
void shorten(model::KilowattHours& used) {
  for (auto* one : {&used.bmc, &used.rapl, &used.model}) shorten(*one);
}

std::string encode(EnergyPeriod period) {
  for (auto& [id, node] : period.nodes) {
    shorten(node.used);
    for (auto* one : {&node.unknown, &node.off, &node.saved, &node.promised, &node.least_watts}) shorten(*one);
  }
  for (auto& [id, guest] : period.guests) shorten(guest.used);
  return model::encode(period);
}

// What this period is to become a part of by now; the same: it stays.
Length length_by_now(const EnergyPeriodId& id, const model::TimeSpan& span, Timestamp now) {
  const auto length = length_of(id);
  if (length == Length::month || span.to + kDaysKept < now) return Length::month;
  // Whole days: their hours go together.
  const auto day_end = std::chrono::floor<std::chrono::days>(span.from) + std::chrono::days(1);
  return length == Length::hour && now < day_end + kHoursKept ? Length::hour : Length::day;
}

}  // namespace

Result<EnergyPeriod> EnergyBook::find(const EnergyPeriodId& id) const {
  const auto entry = store_.get(key_of(id));
  if (entry) return decode(id, entry->value);
  if (entry.error().code != ErrorCode::not_found) return forward(entry);
  EnergyPeriod period;
  period.id = id;
  return period;
}

Status EnergyBook::keep(const EnergyPeriod& period) {
  state::Transaction transaction;
  transaction.put(key_of(period.id), encode(period));
  const auto committed = store_.commit(transaction);
  return committed ? Status() : forward(committed);
}

Status EnergyBook::roll_up(Timestamp now) {
  const auto entries = store_.list(kPrefix);
  if (!entries) return forward(entries);
  std::map<EnergyPeriodId, EnergyPeriod> longer;
  state::Transaction transaction;
  for (const auto& entry : *entries) {
    const EnergyPeriodId id(entry.key.substr(kPrefix.size()));
    const auto span = span_of(id);
    if (!span) return forward(span);
    const auto length = length_by_now(id, *span, now);
    const bool over = length == Length::month && span->to + kMonthsKept < now;
    if (length == length_of(id) && !over) continue;
    transaction.erase(entry.key);
    if (over) continue;
    const auto period = decode(id, entry.value);
    if (!period) return forward(period);
    const auto into = period_of(span->from, length);
    auto found = longer.find(into);
    if (found == longer.end()) {
      const auto kept = find(into);
      if (!kept) return forward(kept);
      found = longer.emplace(into, *kept).first;
    }
    merge(found->second, *period);
  }
  for (const auto& [id, period] : longer) transaction.put(key_of(id), encode(period));
  if (transaction.empty()) return {};
  const auto committed = store_.commit(transaction);
  return committed ? Status() : forward(committed);
}

Result<std::vector<EnergyPeriod>> EnergyBook::since(Timestamp from) const {
  const auto entries = store_.list(kPrefix);
  if (!entries) return forward(entries);
  std::map<std::pair<Timestamp, std::string>, EnergyPeriod> found;
  for (const auto& entry : *entries) {
    const EnergyPeriodId id(entry.key.substr(kPrefix.size()));
    const auto span = span_of(id);
    if (!span) return forward(span);
    if (span->to <= from) continue;
    auto period = decode(id, entry.value);
    if (!period) return forward(period);
    found.emplace(std::pair(span->from, id.str()), std::move(*period));
  }
  std::vector<EnergyPeriod> periods;
  for (auto& [order, period] : found) periods.push_back(std::move(period));
  return periods;
}

}  // namespace bridgehead::energy_desk
