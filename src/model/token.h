// Access tokens of people and programs, and one-time join tokens of nodes. Only hashes are kept.
#pragma once

#include <optional>
#include <string>

#include "base/clock.h"
#include "model/ids.h"

namespace bridgehead::model {

enum class Role { viewer, operator_, admin };  // each may all that the ones before it may

struct Token {
  TokenId id;
  std::string name;
  Role role = Role::viewer;
  std::string
      secret_sha256;  // hex; the secret has 256 random bits, so a slow hash gains nothing. Never shown by the API
  Timestamp created{};
  std::optional<Timestamp> expires;
  Timestamp last_used{};  // to the minute; memory only

  bool operator==(const Token&) const = default;
};

struct JoinToken {
  TokenId id;
  std::string node_name;  // "" = the node's own host name
  NodeId node;            // of a boot over the network: the node that joins again; "" = a new one
  std::string secret_sha256;
  Timestamp created{};
  Timestamp expires{};
  bool used = false;
  std::string used_by;  // the fingerprint of the key that joined with it

  bool operator==(const JoinToken&) const = default;
};

}  // namespace bridgehead::model
