#include "state/event_log.h"

#include <charconv>

#include "model/codec.h"

namespace bridgehead::state {

std::string event_key(std::uint64_t sequence) { return fmt::format("{}{:020}", kEventPrefix, sequence); }

std::optional<std::uint64_t> event_sequence(std::string_view key) {
  if (!key.starts_with(kEventPrefix)) return std::nullopt;
  key.remove_prefix(kEventPrefix.size());
  std::uint64_t sequence = 0;
  const auto parsed = std::from_chars(key.data(), key.data() + key.size(), sequence);
  if (parsed.ec != std::errc() || parsed.ptr != key.data() + key.size()) return std::nullopt;
  return sequence;
}

Result<model::Event> decode_event(std::string_view key, std::string_view value, Revision revision) {
  auto event = model::decode<model::Event>(value);
  if (!event) return fail(event.error().code, "'{}' in the store: {}", key, event.error().message);
  event->revision = revision;
  return event;
}

void EventLog::add(std::uint64_t sequence, model::Event event) {
  stored_.insert(sequence);
  const auto order = [](const Kept& a, const Kept& b) {
    return std::pair(a.event.revision, a.sequence) < std::pair(b.event.revision, b.sequence);
  };
  Kept kept{sequence, std::move(event)};
  const auto at = std::lower_bound(newest_.begin(), newest_.end(), kept, order);
  if (at != newest_.end() && at->sequence == sequence) return;  // seen both while loading and as a commit
  newest_.insert(at, std::move(kept));                          // nearly always at the end
  if (newest_.size() > kInMemory) {
    complete_after_ = newest_.front().event.revision;
    newest_.pop_front();
  }
}

void EventLog::add_stored_only(std::uint64_t sequence, Revision revision) {
  stored_.insert(sequence);
  complete_after_ = std::max(complete_after_, revision);
}

std::optional<std::vector<model::Event>> EventLog::since(Revision revision, std::size_t limit) const {
  if (revision < complete_after_) return std::nullopt;
  auto at = std::upper_bound(newest_.begin(), newest_.end(), revision,
                             [](Revision wanted, const Kept& kept) { return wanted < kept.event.revision; });
  std::vector<model::Event> events;
  for (; at != newest_.end() && (limit == 0 || events.size() < limit); ++at) events.push_back(at->event);
  return events;
}

std::vector<std::uint64_t> EventLog::surplus(std::size_t keep) const {
  std::vector<std::uint64_t> result;
  if (stored_.size() <= keep) return result;
  auto at = stored_.begin();
  for (auto count = stored_.size() - keep; count > 0; --count) result.push_back(*at++);
  return result;
}

}  // namespace bridgehead::state
