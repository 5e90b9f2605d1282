#include "host_agent/manager/join.h"

#include "host_agent/manager/ca_probe.h"
#include "pki/certificate.h"
#include "pki/tokens.h"

namespace bridgehead::host_agent {
namespace {

constexpr std::chrono::seconds kTimeout{60};  // machines that boot are busy, and so is the manager of many that do

// What the manager gave must fit the key and the CA, or the node would be locked out at its next start.
Status check(const Identity& identity, Timestamp now) {
  auto matches = pki::check_key_matches(identity.key_pem, identity.certificate_pem);
  if (!matches) return matches;
  return pki::verify_certificate(identity.certificate_pem, identity.ca_pem, now, pki::Purpose::client);
}

}  // namespace

Result<Joined> join_cluster(const std::string& token, const IdentityFile& file, const JoinRequestFacts& facts,
                            const Clock& clock) {
  const auto ticket = pki::parse_join_token(token);
  if (!ticket) return forward(ticket);
  auto known = file.load();
  if (!known) return forward(known);
  if (*known) {
    const auto ca = pki::certificate_fingerprint((*known)->ca_pem);
    if (ca && *ca == ticket->ca_fingerprint) return Joined{std::move(**known), true};
    return fail_with_hint(
        ErrorCode::already_exists, fmt::format("this node belongs to the cluster of {}", (*known)->manager),
        "To move it, remove it there, stop the agent and remove identity.json of its state directory.");
  }
  const auto ca = fetch_ca(ticket->address, ticket->ca_fingerprint, kTimeout);
  if (!ca) return forward(ca);
  const auto key = file.joining_key(pki::sha256_hex(token));
  if (!key) return forward(key);
  const auto request = pki::make_request(*key);
  if (!request) return forward(request);
  auto answer = call_join(ticket->address, *ca, token, *request, facts, kTimeout);
  if (!answer) return forward(answer);
  Identity identity{.manager = ticket->address,
                    .node = answer->node,
                    .ca_pem = *ca,
                    .certificate_pem = answer->certificate_pem,
                    .key_pem = *key,
                    .issued = clock.now()};
  if (auto fits = check(identity, clock.now()); !fits) return forward(fits);
  if (auto saved = file.save(identity); !saved) return forward(saved);
  if (auto forgotten = file.forget_joining_key(); !forgotten) return forward(forgotten);
  return Joined{std::move(identity), false};
}

Result<Identity> renew_certificate(const Identity& identity, const IdentityFile& file, const Clock& clock) {
  const auto made = pki::make_key_and_request();
  if (!made) return forward(made);
  auto certificate = call_renew(identity, made->request_pem, kTimeout);
  if (!certificate) return forward(certificate);
  auto renewed = identity;
  renewed.key_pem = made->key_pem;
  renewed.certificate_pem = std::move(*certificate);
  renewed.issued = clock.now();
  if (auto fits = check(renewed, clock.now()); !fits) return forward(fits);
  if (auto saved = file.save(renewed); !saved) return forward(saved);
  return renewed;
}

}  // namespace bridgehead::host_agent
