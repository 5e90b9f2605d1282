// Who this node is to its manager: address, CA, certificate and key, in one file <state dir>/identity.json (0600),
// replaced as a whole, so that key and certificate always belong together. Not thread-safe. Fails with the file
// system's error, or data_corrupt for a file that isn't what save writes.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "model/ids.h"

namespace bridgehead::host_agent {

struct Identity {
  std::string manager;  // "host:port"
  model::NodeId node;
  std::string ca_pem;
  std::string certificate_pem;
  std::string key_pem;
  Timestamp issued{};  // when the certificate was got

  bool operator==(const Identity&) const = default;
};

class IdentityFile {
 public:
  explicit IdentityFile(std::filesystem::path state_dir) : state_dir_(std::move(state_dir)) {}

  // Nothing = this node has not joined.
  Result<std::optional<Identity>> load() const;
  Status save(const Identity& identity) const;

  // The key of a join that is under way, kept so that the same token with the same key can be tried again after a lost
  // answer. Made at the first call for a token.
  Result<std::string> joining_key(const std::string& token_sha256) const;
  Status forget_joining_key() const;

 private:
  std::filesystem::path file() const { return state_dir_ / "identity.json"; }
  std::filesystem::path joining_file() const { return state_dir_ / "joining.json"; }

  std::filesystem::path state_dir_;
};

// When two thirds of the certificate's time are over. Errors: invalid_argument for a damaged certificate.
Result<Timestamp> renewal_time(const Identity& identity);

}  // namespace bridgehead::host_agent
