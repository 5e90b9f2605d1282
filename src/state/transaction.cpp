#include "state/state_store.h"

namespace bridgehead::state {

Transaction& Transaction::expect(std::string key, Revision revision) {
  conditions_.push_back({std::move(key), revision});
  return *this;
}

Transaction& Transaction::expect_exists(std::string key) { return expect(std::move(key), kAnyRevision); }

Transaction& Transaction::put(std::string key, std::string value) {
  changes_.push_back({std::move(key), std::move(value)});
  return *this;
}

Transaction& Transaction::erase(std::string key) {
  changes_.push_back({std::move(key), std::nullopt});
  return *this;
}

bool holds(const Transaction::Condition& condition, Revision found) {
  return condition.revision == kAnyRevision ? found != 0 : condition.revision == found;
}

tl::unexpected<Error> conflict_at(const Transaction::Condition& condition) {
  return fail_with_hint(ErrorCode::conflict, fmt::format("'{}' has been changed meanwhile", condition.key),
                        "Read it again and repeat the change.");
}

}  // namespace bridgehead::state
