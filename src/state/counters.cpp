#include "state/counters.h"

#include <charconv>

namespace bridgehead::state {
namespace {
constexpr int kTries = 20;
}  // namespace

Status Counters::load(const std::string& key, Counter& counter) const {
  const auto entry = store_.get(key);
  if (!entry) {
    if (entry.error().code != ErrorCode::not_found) return forward(entry);
    counter = {};
    return {};
  }
  std::uint64_t reserved = 0;
  const auto* end = entry->value.data() + entry->value.size();
  const auto parsed = std::from_chars(entry->value.data(), end, reserved);
  if (parsed.ec != std::errc() || parsed.ptr != end) {
    return fail(ErrorCode::data_corrupt, "'{}' in the store is no number", key);
  }
  counter = {std::max(counter.next, reserved + 1), reserved, entry->revision};
  return {};
}

Status Counters::reserve(const std::string& key, Counter& counter, std::uint64_t last, std::uint64_t ahead) {
  const std::uint64_t reserved = last + ahead;
  Transaction transaction;
  transaction.expect(key, counter.revision).put(key, std::to_string(reserved));
  auto committed = store_.commit(transaction);
  if (!committed) return forward(committed);
  counter.reserved = reserved;
  counter.revision = *committed;
  return {};
}

Result<std::uint64_t> Counters::take(std::string_view name, std::uint64_t count, std::uint64_t ahead) {
  const std::lock_guard lock(mutex_);
  const std::string key = fmt::format("counter/{}", name);
  auto found = counters_.find(name);
  if (found == counters_.end()) {
    Counter counter;
    if (auto loaded = load(key, counter); !loaded) return forward(loaded);
    found = counters_.emplace(std::string(name), counter).first;
  }
  auto& counter = found->second;
  for (int tries = 0; counter.next + count - 1 > counter.reserved; ++tries) {
    auto reserved = reserve(key, counter, counter.next + count - 1, ahead);
    if (reserved) break;
    if (reserved.error().code != ErrorCode::conflict || tries == kTries) return forward(reserved);
    if (auto loaded = load(key, counter); !loaded) return forward(loaded);
  }
  const auto first = counter.next;
  counter.next += count;
  return first;
}

}  // namespace bridgehead::state
