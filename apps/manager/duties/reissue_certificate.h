// Periodic duty: a new server certificate while the old one still has a month, so that nobody ever meets an ended one.
#pragma once

#include <chrono>
#include <functional>

#include "base/clock.h"
#include "pki/certificate_authority.h"

namespace bridgehead::manager {

inline constexpr std::chrono::seconds server_certificate_validity = std::chrono::days(397);
inline constexpr std::chrono::seconds reissue_before_end = std::chrono::days(30);

class CertificateDuty {
 public:
  using Issue = std::function<Result<pki::Identity>()>;
  using Serve = std::function<Status(const pki::Identity&)>;
  // `current`: what is served now.
  CertificateDuty(const Clock& clock, pki::Identity current, Issue issue, Serve serve);

  // Does nothing before it is time. Failures are logged; the next turn tries again.
  void run();

 private:
  const Clock& clock_;
  pki::Identity current_;
  const Issue issue_;
  const Serve serve_;
};

}  // namespace bridgehead::manager
