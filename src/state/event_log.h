// EventLog: the newest events in memory, and which older ones the store still has. Not thread-safe: the Inventory's
// lock guards it.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "model/event.h"
#include "state/state_store.h"

namespace bridgehead::state {

inline constexpr std::string_view kEventPrefix = "event/";
std::string event_key(std::uint64_t sequence);
std::optional<std::uint64_t> event_sequence(std::string_view key);
// With its revision, which the store knows and the value doesn't.
Result<model::Event> decode_event(std::string_view key, std::string_view value, Revision revision);

class EventLog {
 public:
  static constexpr std::size_t kInMemory = 10000;

  void add(std::uint64_t sequence, model::Event event);
  // The store has it, but it is too old to be kept here.
  void add_stored_only(std::uint64_t sequence, Revision revision);
  void forget_stored(std::uint64_t sequence) { stored_.erase(sequence); }

  // Empty when some of them are only in the store.
  std::optional<std::vector<model::Event>> since(Revision revision, std::size_t limit) const;
  // The oldest in the store, beyond the newest `keep`.
  std::vector<std::uint64_t> surplus(std::size_t keep) const;
  std::uint64_t last_sequence() const { return stored_.empty() ? 0 : *stored_.rbegin(); }

 private:
  struct Kept {
    std::uint64_t sequence;
    model::Event event;
  };
  std::deque<Kept> newest_;      // by revision, then sequence
  Revision complete_after_ = 0;  // everything newer is in newest_
  std::set<std::uint64_t> stored_;
};

}  // namespace bridgehead::state
