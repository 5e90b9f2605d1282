// Keys, signing requests, and what is read from certificates. Free functions; thread-safe.
// PEM texts come from the network: anything malformed, or beyond 64 KiB, is invalid_argument.
#pragma once

#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"
#include "model/ids.h"

namespace bridgehead::pki {

struct KeyAndRequest {
  std::string key_pem;      // PKCS #8, EC P-256; never leaves the host
  std::string request_pem;  // PKCS #10, signed with it
};

// The subject is a placeholder: the CA chooses it.
Result<KeyAndRequest> make_key_and_request();
// A request for a key that exists already: the same key gives the same node when a join is repeated.
Result<std::string> make_request(std::string_view key_pem);

// All of the first certificate in the text.
Result<model::NodeId> certificate_node_id(std::string_view pem);  // permission_denied when it isn't a node's
Result<Timestamp> certificate_expiry(std::string_view pem);
Result<std::string> certificate_serial(std::string_view pem);       // lower-case hex
Result<std::string> certificate_fingerprint(std::string_view pem);  // SHA-256 of the DER form, lower-case hex

// SHA-256 of a signing request's public key (SubjectPublicKeyInfo, DER), lower-case hex: tells whether a repeated join
// comes with the same key.
Result<std::string> request_key_fingerprint(std::string_view request_pem);

enum class Purpose { server, client };

// The first certificate in `pem` was signed by this CA, is valid at `now` and may be used for `purpose`;
// permission_denied says which of these doesn't hold.
Status verify_certificate(std::string_view pem, std::string_view ca_pem, Timestamp now, Purpose purpose);

// The key belongs to the first certificate in the text; failed_precondition otherwise.
Status check_key_matches(std::string_view key_pem, std::string_view certificate_pem);

}  // namespace bridgehead::pki
