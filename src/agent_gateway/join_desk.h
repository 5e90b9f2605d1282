// Who is a node: admits machines with a join token, renews certificates, recognises callers. No gRPC in here.
// Thread-safe; join and renew commit to the store, so they run on workers. Refusals are permission_denied or
// unauthenticated and say no more than the caller may know; the log says why.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"
#include "model/ids.h"
#include "pki/certificate_authority.h"
#include "state/inventory.h"

namespace bridgehead::agent_gateway {

struct JoinAsk {
  std::string join_token;  // pki::format_join_token's text
  std::string certificate_request_pem;
  std::string hostname;
  std::string machine_id;
  std::string peer;  // for the log
};

struct Admission {
  model::NodeId node;
  std::string certificate_pem;
};

struct Peer {
  model::NodeId node;
  std::string serial;  // of the certificate it came with
};

class JoinDesk {
 public:
  JoinDesk(state::Inventory& inventory, const pki::CertificateAuthority& authority, const Clock& clock,
           std::chrono::seconds certificate_validity);

  // Uses the token and makes the node in one transaction. The same token with the same key gives the same node again as
  // long as the token is valid, with another key permission_denied. already_exists when the token names a node that is
  // there; otherwise a host name that is taken gets a suffix. A token of a boot gives the node that it was made for:
  // its certificates of earlier boots are worth nothing from then on.
  Result<Admission> join(const JoinAsk& ask);
  // The certificate that `peer` came with stays valid until its end or the next renewal.
  Result<std::string> renew(const Peer& peer, std::string_view certificate_request_pem);
  // `certificate_pem`: already verified against our CA by TLS; empty = none was shown. It must be of a node that exists
  // and be one of the two last ones issued to it.
  Result<Peer> recognise(std::string_view certificate_pem) const;

 private:
  struct Entry {
    std::string serial;
    std::string key_fingerprint;
  };
  Result<Admission> admit(const JoinAsk& ask, const model::JoinToken& token, const std::string& key_fingerprint);
  Status enter_node(state::Edit& edit, const state::Record<model::JoinToken>& token, const model::NodeId& id,
                    const JoinAsk& ask, const Entry& entry, bool& first_time);
  Status create_node(state::Edit& edit, const model::JoinToken& token, const model::NodeId& id, const JoinAsk& ask,
                     const std::string& serial);
  std::string free_name(const std::string& wanted, const model::NodeId& id) const;

  state::Inventory& inventory_;
  const pki::CertificateAuthority& authority_;
  const Clock& clock_;
  const std::chrono::seconds certificate_validity_;
};

// The node that a token and a key make: the same for the same pair, which is how a repeated join is recognised.
model::NodeId node_id_of(const model::TokenId& token, std::string_view key_fingerprint);

}  // namespace bridgehead::agent_gateway
