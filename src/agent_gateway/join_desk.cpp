#include "agent_gateway/join_desk.h"

#include "agent_gateway/messages.h"
#include "model/names.h"
#include "pki/certificate.h"
#include "pki/tokens.h"

namespace bridgehead::agent_gateway {
namespace {

constexpr std::size_t longest_hostname = 255;

tl::unexpected<Error> refuse_token() {
  return fail_with_hint(ErrorCode::permission_denied, "this join token isn't valid",
                        "It may be mistyped, used, expired or of another cluster. Make a new one: bh node join-token.");
}

// What a stranger wrote, fit for a log line.
std::string printable(std::string_view text, std::size_t limit) {
  std::string result;
  for (const char c : text.substr(0, limit)) result += c > ' ' && c < 127 ? c : '?';
  return result;
}

// A node's name from what the machine calls itself: its first label, in the characters that names may have.
std::string name_from(std::string_view hostname, const model::NodeId& id) {
  std::string name;
  for (const char c : hostname.substr(0, std::min(hostname.find('.'), longest_hostname))) {
    const bool upper = c >= 'A' && c <= 'Z';
    const bool fine = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
    if (upper) name += static_cast<char>(c - 'A' + 'a');
    if (fine) name += c;
  }
  name = name.substr(0, 56);  // leaves room for a suffix
  if (model::check_name("node", name) && name != "localhost") return name;
  return fmt::format("node-{}", id.str().substr(0, 8));
}

model::Event joined(const model::Node& node, std::string_view peer) {
  return {.kind = "node.joined",
          .object_kind = "node",
          .object = node.id.str(),
          .object_name = node.name,
          .message = fmt::format("Machine {} joined as node {}.", peer, node.name),
          .actor = "manager"};
}

}  // namespace

model::NodeId node_id_of(const model::TokenId& token, std::string_view key_fingerprint) {
  std::string hex = pki::sha256_hex(fmt::format("bridgehead node {} {}", token, key_fingerprint)).substr(0, 32);
  hex[12] = '8';  // RFC 9562: version 8, our own way to fill it
  hex[16] = "89ab"[static_cast<std::size_t>(hex[16]) % 4];
  return model::NodeId(fmt::format("{}-{}-{}-{}-{}", hex.substr(0, 8), hex.substr(8, 4), hex.substr(12, 4),
                                   hex.substr(16, 4), hex.substr(20)));
}

JoinDesk::JoinDesk(state::Inventory& inventory, const pki::CertificateAuthority& authority, const Clock& clock,
                   std::chrono::seconds certificate_validity)
    : inventory_(inventory), authority_(authority), clock_(clock), certificate_validity_(certificate_validity) {}

Result<Admission> JoinDesk::join(const JoinAsk& ask) {
  const auto ticket = pki::parse_join_token(ask.join_token);
  if (!ticket) {
    log::warning(join_refused, "{}: not a join token", ask.peer);
    return refuse_token();
  }
  const auto token = inventory_.find<model::JoinToken>(ticket->id);
  if (!token || !pki::secret_matches(ticket->secret, token->value.secret_sha256)) {
    log::warning(join_refused, "{}: unknown join token {}", ask.peer, ticket->id);
    return refuse_token();
  }
  if (token->value.expires <= clock_.now()) {
    log::warning(join_refused, "{}: join token {} expired at {}", ask.peer, ticket->id,
                 to_rfc3339(token->value.expires));
    return refuse_token();
  }
  const auto key = pki::request_key_fingerprint(ask.certificate_request_pem);
  if (!key) return forward(key);
  auto admission = admit(ask, token->value, *key);
  if (!admission) log::warning(join_refused, "{}: {}", ask.peer, admission.error().message);
  return admission;
}

Result<Admission> JoinDesk::admit(const JoinAsk& ask, const model::JoinToken& token,
                                  const std::string& key_fingerprint) {
  const auto id = token.node.empty() ? node_id_of(token.id, key_fingerprint) : token.node;
  if (token.used && token.used_by != key_fingerprint) {
    log::error(join_replayed, "{} (host name '{}') came with join token {}, which was used with another key", ask.peer,
               printable(ask.hostname, 64), token.id);
    return refuse_token();
  }
  auto certificate = authority_.sign_node_request(ask.certificate_request_pem, id, certificate_validity_);
  if (!certificate) return forward(certificate);
  const auto serial = pki::certificate_serial(*certificate);
  if (!serial) return forward(serial);

  Result<state::Revision> committed = fail(ErrorCode::conflict, "not tried");
  bool first_time = false;
  // A name that looked free can be taken by another join before ours is committed.
  for (int attempt = 0; attempt < 10; ++attempt) {
    committed = state::change(inventory_, [&](state::Edit& edit) {
      return enter_node(edit, inventory_.find<model::JoinToken>(token.id), id, ask,
                        {.serial = *serial, .key_fingerprint = key_fingerprint}, first_time);
    });
    if (committed || committed.error().code != ErrorCode::already_exists || !token.node_name.empty()) break;
  }
  if (!committed) return forward(committed);
  log::info(node_joined, "{} is node {}{}", ask.peer, id, first_time ? "" : " (asked again)");
  return Admission{id, std::move(*certificate)};
}

// One transaction: the token is used up and the node is there, or neither.
Status JoinDesk::enter_node(state::Edit& edit, const state::Record<model::JoinToken>& token, const model::NodeId& id,
                            const JoinAsk& ask, const Entry& entry, bool& first_time) {
  if (!token) return refuse_token();
  if (token->value.used && token->value.used_by != entry.key_fingerprint) {
    log::error(join_replayed, "{} came with join token {} at the moment when another used it", ask.peer,
               token->value.id);
    return refuse_token();
  }
  first_time = !token->value.used;
  if (first_time) {
    auto used = token->value;
    used.used = true;
    used.used_by = entry.key_fingerprint;
    edit.update(token, used);
  }
  if (const auto known = inventory_.find<model::Node>(id)) {
    auto node = known->value;
    // Asked again with the same key: the answer may have been lost, so the certificate before stays valid. A node that
    // has booted anew has forgotten its old key.
    node.previous_certificate_serial = first_time ? std::string() : node.certificate_serial;
    node.certificate_serial = entry.serial;
    if (first_time) edit.event(joined(node, ask.peer));
    edit.update(known, node);
    return {};
  }
  if (!first_time || !token->value.node.empty()) return fail(ErrorCode::permission_denied, "this node was deleted");
  return create_node(edit, token->value, id, ask, entry.serial);
}

Status JoinDesk::create_node(state::Edit& edit, const model::JoinToken& token, const model::NodeId& id,
                             const JoinAsk& ask, const std::string& serial) {
  model::Node node;
  node.id = id;
  node.name = token.node_name.empty() ? free_name(name_from(ask.hostname, id), id) : token.node_name;
  if (!token.node_name.empty() && inventory_.find_by_name<model::Node>(node.name)) {
    return fail_with_hint(ErrorCode::already_exists, fmt::format("there is a node named '{}' already", node.name),
                          "Delete it first (bh node delete), or make a join token with another name.");
  }
  node.facts.hostname = printable(ask.hostname, longest_hostname);
  node.facts.machine_id = printable(ask.machine_id, 64);
  node.certificate_serial = serial;
  node.created = clock_.now();
  edit.create(node);
  edit.event(joined(node, ask.peer));
  return {};
}

std::string JoinDesk::free_name(const std::string& wanted, const model::NodeId& id) const {
  if (!inventory_.find_by_name<model::Node>(wanted)) return wanted;
  for (int n = 2; n < 1000; ++n) {
    auto name = fmt::format("{}-{}", wanted, n);
    if (!inventory_.find_by_name<model::Node>(name)) return name;
  }
  return fmt::format("node-{}", id.str());
}

Result<std::string> JoinDesk::renew(const Peer& peer, std::string_view certificate_request_pem) {
  auto certificate = authority_.sign_node_request(certificate_request_pem, peer.node, certificate_validity_);
  if (!certificate) return forward(certificate);
  const auto serial = pki::certificate_serial(*certificate);
  if (!serial) return forward(serial);
  const auto committed = state::change(inventory_, [&](state::Edit& edit) -> Status {
    const auto known = inventory_.find<model::Node>(peer.node);
    if (!known) return fail(ErrorCode::permission_denied, "this node was deleted");
    auto node = known->value;
    if (peer.serial != node.certificate_serial && peer.serial != node.previous_certificate_serial) {
      return fail(ErrorCode::permission_denied, "this certificate was replaced by a newer one");
    }
    // What the caller holds stays valid: should this answer be lost, it asks again with it.
    node.previous_certificate_serial = peer.serial;
    node.certificate_serial = *serial;
    edit.update(known, node);
    return {};
  });
  if (!committed) return forward(committed);
  log::info(certificate_renewed, "node {}", peer.node);
  return std::move(*certificate);
}

Result<Peer> JoinDesk::recognise(std::string_view certificate_pem) const {
  if (certificate_pem.empty()) {
    return fail_with_hint(ErrorCode::unauthenticated, "a node's certificate is needed", "Join the cluster first.");
  }
  const auto id = pki::certificate_node_id(certificate_pem);
  if (!id) return forward(id);
  const auto serial = pki::certificate_serial(certificate_pem);
  if (!serial) return forward(serial);
  const auto node = inventory_.find<model::Node>(*id);
  if (!node) {
    return fail_with_hint(ErrorCode::permission_denied, fmt::format("there is no node {} in this cluster", *id),
                          "It was deleted. Join anew with a new token.");
  }
  if (*serial != node->value.certificate_serial && *serial != node->value.previous_certificate_serial) {
    return fail_with_hint(ErrorCode::permission_denied, "this certificate was replaced by a newer one",
                          "If this agent's state is a copy of another machine's, join anew with a new token.");
  }
  return Peer{*id, *serial};
}

}  // namespace bridgehead::agent_gateway
