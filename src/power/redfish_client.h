// RedfishClient: JSON by HTTPS to one BMC, by libcurl; no redirects, no proxy, no environment. The BMC is known by its
// pinned public key, by a CA, or by the system's CAs, and by nothing less: the password is only sent to it. Not
// thread-safe.
//
// Errors as in power_driver.h. The BMC's text enters as JSON of at most 1 MiB; links must be paths on the same BMC.
#pragma once

#include <nlohmann/json.hpp>

#include "power/power_driver.h"

namespace bridgehead::power {

inline constexpr char kServiceRoot[] = "/redfish/v1/";  // readable by anybody (DSP0266, 8.2)

struct RedfishConfig {
  std::string address;
  std::uint16_t port = 443;
  std::string user;
  std::string password;
  std::string pin;  // "sha256//<base64>" of its public key (SubjectPublicKeyInfo), as curl writes it; "" = by CA
  std::string ca;   // certificates in PEM; "" = the system's
  bool basic_auth = false;  // send user and password with each request, for BMCs whose sessions fail
  std::string system;       // Id, UUID or path of one among several; "" = the only one
};

struct RedfishAnswer {
  long status = 0;
  nlohmann::json body;  // null where there is none
  std::string token;    // X-Auth-Token
  std::string location;
  std::optional<Timestamp> date;
};

class RedfishClient {
 public:
  explicit RedfishClient(RedfishConfig config) : config_(std::move(config)) {}
  ~RedfishClient();  // ends its session, within two seconds
  RedfishClient(const RedfishClient&) = delete;
  RedfishClient& operator=(const RedfishClient&) = delete;

  // Opens a session where there is none, and once more where the BMC has forgotten it.
  Result<RedfishAnswer> get(const std::string& path, const Attempt& attempt);
  Result<RedfishAnswer> post(const std::string& path, const nlohmann::json& body, const Attempt& attempt);

  // The key that whoever answers there shows, as a pin; nothing secret is sent.
  Result<std::string> shown_pin(const Attempt& attempt);

  const RedfishConfig& config() const { return config_; }

 private:
  enum class Identify { nobody, session, user };
  Result<RedfishAnswer> send(const char* method, const std::string& path, const std::string& body, Identify identify,
                             const Attempt& attempt);
  Result<RedfishAnswer> call(const char* method, const std::string& path, const std::string& body,
                             const Attempt& attempt);
  Status open_session(const Attempt& attempt);

  const RedfishConfig config_;
  std::string token_;
  std::string session_;  // its path
};

// The path of a link like {"@odata.id": "/redfish/v1/Systems"}; io_error for anything else.
Result<std::string> path_of_link(const nlohmann::json& link);

}  // namespace bridgehead::power
