#include "alert_desk/alert_book.h"

namespace bridgehead::alert_desk {
namespace {

// By id, each with the messages of all.
std::map<model::AlertId, model::Alert> alerts_of(const std::vector<reconcile::Problem>& problems) {
  constexpr int kMostMessages = 3;
  std::map<model::AlertId, model::Alert> alerts;
  std::map<model::AlertId, int> counts;
  for (const auto& problem : problems) {
    const auto id = alert_id(problem);
    const auto [at, fresh] = alerts.try_emplace(id);
    auto& alert = at->second;
    const int count = ++counts[id];
    if (fresh) {
      alert = {.id = id,
               .condition = std::string(problem.condition),
               .severity = problem.severity,
               .object_kind = problem.object_kind,
               .object = problem.object,
               .message = problem.message,
               .action = problem.action};
    } else if (count <= kMostMessages) {
      alert.message += " " + problem.message;
    }
  }
  for (auto& [id, alert] : alerts) {
    if (counts[id] > kMostMessages) alert.message += fmt::format(" And {} more.", counts[id] - kMostMessages);
  }
  return alerts;
}

}  // namespace

model::AlertId alert_id(const reconcile::Problem& problem) {
  return model::AlertId(fmt::format("{}:{}:{}", problem.condition, problem.object_kind, problem.object));
}

AlertChanges AlertBook::look(const std::vector<model::Alert>& known, const std::vector<reconcile::Problem>& problems,
                             Timestamp now) {
  AlertChanges changes;
  auto seen = alerts_of(problems);
  for (const auto& kept : known) {
    const auto found = seen.find(kept.id);
    auto alert = kept;
    if (found != seen.end()) {
      last_seen_[kept.id] = now;
      alert.message = found->second.message;
      alert.action = found->second.action;
      alert.cleared = {};
      if (alert != kept) changes.changed.push_back(std::move(alert));
      seen.erase(found);
      continue;
    }
    if (kept.cleared != Timestamp{}) continue;
    // After a restart it counts from the first look.
    const auto last = last_seen_.try_emplace(kept.id, now).first->second;
    if (now - last < times_.clear_after) continue;
    last_seen_.erase(kept.id);
    alert.cleared = now;
    changes.cleared.push_back(std::move(alert));
  }
  std::erase_if(first_seen_, [&](const auto& entry) { return !seen.contains(entry.first); });
  for (auto& [id, alert] : seen) {
    const auto first = first_seen_.try_emplace(id, now).first->second;
    if (now - first < times_.raise_after) continue;
    first_seen_.erase(id);
    last_seen_[id] = now;
    alert.since = first;
    changes.raised.push_back(std::move(alert));
  }
  return changes;
}

}  // namespace bridgehead::alert_desk
