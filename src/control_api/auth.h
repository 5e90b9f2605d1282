// Authenticator: from a request's bearer token to who asks. Thread-safe.
// Fails with unauthenticated (no token, unknown, wrong, expired: the same words for all, so that nothing is told to who
// guesses), resource_exhausted when an address has failed too often lately (HTTP 429); a right token is let in even
// then.
#pragma once

#include <deque>
#include <map>
#include <mutex>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"
#include "model/token.h"
#include "state/inventory.h"

namespace bridgehead::control_api {

struct Actor {
  model::TokenId id;
  std::string name;  // "anonymous" without a token
  model::Role role = model::Role::viewer;
};

class Authenticator {
 public:
  Authenticator(state::Inventory& inventory, const Clock& clock) : inventory_(inventory), clock_(clock) {}

  // `header` is the Authorization header's value.
  Result<Actor> authenticate(std::string_view header, std::string_view address);
  // Not deleted and not expired since; for streams that live long.
  bool still_valid(const Actor& actor) const;

 private:
  Result<Actor> check(std::string_view header) const;
  bool throttled(const std::string& address);

  state::Inventory& inventory_;
  const Clock& clock_;
  std::mutex mutex_;
  std::map<std::string, std::deque<Monotonic>> failures_;  // by address, of the last minute
};

bool is_loopback(std::string_view address);

}  // namespace bridgehead::control_api
