// CertificateAuthority: the cluster's own CA; signs the manager's server certificate and the nodes' certificates.
// Lives as <directory>/ca.pem (0644) and <directory>/ca.key (0600), EC P-256, ten years. Immutable after opening, so
// thread-safe. Fails with io_error and its kin for files, data_corrupt for a damaged or half-lost CA: that is never
// replaced silently, because every node trusts the old one.
#pragma once

#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/random.h"
#include "base/result.h"
#include "model/ids.h"

namespace bridgehead::pki {

// A private key (PKCS #8, PEM) and the certificate chain to serve with it: the leaf, then the CA. The CA is sent along
// so that a joining agent, which knows only its fingerprint, can check it.
struct Identity {
  std::string key_pem;
  std::string chain_pem;
};

class CertificateAuthority {
 public:
  // Loads the CA, or makes it when neither file exists. Killed between key and certificate, the next call finishes it.
  static Result<std::unique_ptr<CertificateAuthority>> open(const std::filesystem::path& directory, const Clock& clock,
                                                            RandomSource& random);
  ~CertificateAuthority();
  CertificateAuthority(const CertificateAuthority&) = delete;
  CertificateAuthority& operator=(const CertificateAuthority&) = delete;

  const std::string& certificate_pem() const;
  // SHA-256 of the certificate's DER form, 64 lower-case hex digits.
  const std::string& fingerprint() const;

  // A new key and a certificate for TLS servers under these DNS names and IP addresses (text). It never outlives the
  // CA. invalid_argument for a name that is no host name, or an address that is none.
  Result<Identity> issue_server(const std::vector<std::string>& names, const std::vector<std::string>& ips,
                                std::chrono::seconds validity) const;

  // The node's certificate: subject CN=node:<id>, for TLS clients and servers. Takes only the key from the request,
  // whatever subject or extensions that asks for. invalid_argument when the request is damaged, not signed by its own
  // key, or its key is too weak.
  Result<std::string> sign_node_request(std::string_view request_pem, const model::NodeId& node,
                                        std::chrono::seconds validity) const;

 private:
  struct State;
  explicit CertificateAuthority(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace bridgehead::pki
