#include "manager/duties/reissue_certificate.h"

#include "manager/messages.h"
#include "pki/certificate.h"

namespace bridgehead::manager {

CertificateDuty::CertificateDuty(const Clock& clock, pki::Identity current, Issue issue, Serve serve)
    : clock_(clock), current_(std::move(current)), issue_(std::move(issue)), serve_(std::move(serve)) {}

void CertificateDuty::run() {
  const auto expiry = pki::certificate_expiry(current_.chain_pem);
  if (expiry && *expiry - clock_.now() > reissue_before_end) return;
  auto identity = issue_();
  const Status served = identity ? serve_(*identity) : forward(identity);
  if (!served) {
    log::error(certificate_not_reissued, "{}", served.error().describe());
    return;
  }
  current_ = std::move(*identity);
  log::info(certificate_reissued, "it ends at {}",
            to_rfc3339(pki::certificate_expiry(current_.chain_pem).value_or(Timestamp{})));
}

}  // namespace bridgehead::manager
