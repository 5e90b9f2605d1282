// What is posted to the webhook, as a value, and who posts it. Thread-safe.
#pragma once

#include <map>
#include <stop_token>
#include <string>
#include <string_view>

#include "base/result.h"
#include "model/alert.h"

namespace bridgehead::alert_desk {

struct WebhookPost {
  std::string url;
  std::map<std::string, std::string> headers;
  std::string body;  // JSON
};

// "sha256=" and the hexadecimal HMAC-SHA256 (RFC 2104) of the body under the secret.
std::string webhook_signature(std::string_view secret, std::string_view body);

// The alert as it is now: raised, or cleared. Headers: X-Bridgehead-Delivery names what is told, the same when it comes
// again; X-Bridgehead-Signature is the body's.
WebhookPost webhook_post(const std::string& url, const model::Alert& alert, std::string_view cluster,
                         std::string_view secret);

class WebhookPoster {
 public:
  virtual ~WebhookPoster() = default;
  // Errors: unavailable (nobody there, or an answer that isn't 2xx), timeout, cancelled.
  virtual Status post(const WebhookPost& post, const std::stop_token& stop) = 0;
};

// Over HTTP and HTTPS, whose certificate must be one that this machine trusts. Follows nobody elsewhere.
class CurlPoster final : public WebhookPoster {
 public:
  Status post(const WebhookPost& post, const std::stop_token& stop) override;
};

}  // namespace bridgehead::alert_desk
