// Secrets in text form: access tokens of people and programs, join tokens of nodes, password hashes for guests.
// Free functions; thread-safe. Whatever is parsed may come from an attacker; messages never repeat it.
#pragma once

#include <string>
#include <string_view>

#include "base/random.h"
#include "base/result.h"
#include "model/ids.h"

namespace bridgehead::pki {

// 256 random bits as 64 lower-case hex digits. Only with a RandomSource that is fit for secrets (SystemRandom).
std::string make_secret(RandomSource& random);
std::string sha256_hex(std::string_view bytes);

// Takes as long for a wrong text as for the right one; only the lengths may be guessed from the time.
bool equal_in_constant_time(std::string_view a, std::string_view b);
// The secret is the one whose hash was kept (model::Token, model::JoinToken).
bool secret_matches(std::string_view secret, std::string_view kept_sha256_hex);

struct AccessToken {
  model::TokenId id;
  std::string secret;
  bool operator==(const AccessToken&) const = default;
};

// "bh_<id>_<secret>"
std::string format_access_token(const model::TokenId& id, std::string_view secret);
// unauthenticated when it isn't of that form.
Result<AccessToken> parse_access_token(std::string_view text);

// All that an agent needs to join, as one word that survives copy and paste: base64url (RFC 4648, no padding) of JSON.
struct JoinTicket {
  std::string address;         // "host:port" of the manager's agent listener; IPv6 in brackets
  std::string ca_fingerprint;  // of the CA that the manager must prove, 64 hex digits
  model::TokenId id;
  std::string secret;
  bool operator==(const JoinTicket&) const = default;
};

std::string format_join_token(const JoinTicket& ticket);
// invalid_argument when it is cut or isn't one.
Result<JoinTicket> parse_join_token(std::string_view text);

// crypt(3) form with SHA-512 ("$6$<salt>$<hash>") for cloud-init's password of a guest's user. invalid_argument for an
// empty password, one with a NUL byte, or beyond 511 bytes.
Result<std::string> hash_password(std::string_view plain, RandomSource& random);

}  // namespace bridgehead::pki
