#include "control_api/auth.h"

#include "base/log.h"
#include "pki/tokens.h"

namespace bridgehead::control_api {
namespace {

constexpr log::Message auth_failed{
    "API_AUTH_FAILED",
    "A request came without a valid token. Many from one address: somebody guesses, or a program has an old one."};

constexpr std::size_t kFailuresAllowed = 20;
constexpr auto kWindow = std::chrono::minutes(1);
constexpr std::size_t kMostAddresses = 10'000;

tl::unexpected<Error> refused() {
  return fail_with_hint(ErrorCode::unauthenticated, "no valid token came with this request",
                        "Send 'Authorization: Bearer bh_...' with a token that has not expired.");
}

}  // namespace

Result<Actor> Authenticator::check(std::string_view header) const {
  constexpr std::string_view scheme = "bearer ";
  if (header.size() <= scheme.size()) return refused();
  for (std::size_t i = 0; i < scheme.size(); ++i) {
    const char c = header[i];
    if ((c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c) != scheme[i]) return refused();
  }
  header.remove_prefix(scheme.size());
  while (header.starts_with(' ')) header.remove_prefix(1);
  const auto token = pki::parse_access_token(header);
  if (!token) return refused();
  const auto record = inventory_.find<model::Token>(token->id);
  // An unknown id takes the same way and time as a known one.
  static const std::string nobody(64, '0');
  const bool matches = pki::secret_matches(token->secret, record ? record->value.secret_sha256 : nobody);
  if (!record || !matches) return refused();
  if (record->value.expires && *record->value.expires <= clock_.now()) return refused();
  return Actor{record->value.id, record->value.name, record->value.role};
}

Result<Actor> Authenticator::authenticate(std::string_view header, std::string_view address) {
  auto actor = check(header);
  if (actor) {
    inventory_.note_token_use(actor->id);
    return actor;
  }
  const bool refuse = throttled(std::string(address));
  log::warning(auth_failed, "from {}: {}", address, refuse ? "again, throttled" : actor.error().message);
  if (!refuse) return actor;
  return fail_with_hint(ErrorCode::resource_exhausted, "too many requests without a valid token came from this address",
                        "Wait a minute.");
}

bool Authenticator::throttled(const std::string& address) {
  const Monotonic now = clock_.monotonic();
  const std::lock_guard lock(mutex_);
  if (failures_.size() >= kMostAddresses && !failures_.contains(address)) {
    std::erase_if(failures_, [&](const auto& entry) { return entry.second.back() + kWindow < now; });
    if (failures_.size() >= kMostAddresses) failures_.clear();  // better forgetful than out of memory
  }
  auto& times = failures_[address];
  while (!times.empty() && times.front() + kWindow < now) times.pop_front();
  times.push_back(now);
  if (times.size() <= kFailuresAllowed) return false;
  times.pop_front();
  return true;
}

bool Authenticator::still_valid(const Actor& actor) const {
  const auto record = inventory_.find<model::Token>(actor.id);
  return record && (!record->value.expires || *record->value.expires > clock_.now());
}

bool is_loopback(std::string_view address) {
  return address.starts_with("127.") || address == "::1" || address.starts_with("::ffff:127.");
}

}  // namespace bridgehead::control_api
