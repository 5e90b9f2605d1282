#include "alert_desk/webhook_post.h"

#include <curl/curl.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <array>
#include <memory>

#include "model/json.h"

namespace bridgehead::alert_desk {
namespace {

constexpr long kPatienceSeconds = 10;

// What they answer is of no interest.
std::size_t ignore(char*, std::size_t size, std::size_t count, void*) { return size * count; }

int on_progress(void* stop, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  return static_cast<const std::stop_token*>(stop)->stop_requested() ? 1 : 0;
}

}  // namespace

std::string webhook_signature(std::string_view secret, std::string_view body) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> mac{};
  unsigned size = 0;
  const auto* done = ::HMAC(::EVP_sha256(), secret.data(), static_cast<int>(secret.size()),
                            reinterpret_cast<const unsigned char*>(body.data()), body.size(), mac.data(), &size);
  require(done != nullptr, "OpenSSL has no HMAC-SHA256");
  std::string text = "sha256=";
  for (unsigned i = 0; i < size; ++i) text += fmt::format("{:02x}", mac[i]);
  return text;
}

WebhookPost webhook_post(const std::string& url, const model::Alert& alert, std::string_view cluster,
                         std::string_view secret) {
  const bool over = alert.cleared != Timestamp{};
  nlohmann::json json = alert;
  json.erase("told");
  if (!over) json["cleared"] = nullptr;
  json["state"] = over ? "cleared" : "raised";
  json["cluster"] = cluster;
  WebhookPost post{
      .url = url, .headers = {}, .body = json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)};
  post.headers["Content-Type"] = "application/json";
  const auto milliseconds =
      std::chrono::duration_cast<std::chrono::milliseconds>(alert.since.time_since_epoch()).count();
  post.headers["X-Bridgehead-Delivery"] = fmt::format("{}:{}:{}", alert.id, milliseconds, over ? "cleared" : "raised");
  if (!secret.empty()) post.headers["X-Bridgehead-Signature"] = webhook_signature(secret, post.body);
  return post;
}

Status CurlPoster::post(const WebhookPost& post, const std::stop_token& stop) {
  static const CURLcode initialised = ::curl_global_init(CURL_GLOBAL_DEFAULT);
  const std::unique_ptr<CURL, decltype(&::curl_easy_cleanup)> owned(::curl_easy_init(), &::curl_easy_cleanup);
  if (initialised != CURLE_OK || !owned) return fail(ErrorCode::resource_exhausted, "libcurl has no memory");
  auto* handle = owned.get();
  std::unique_ptr<curl_slist, decltype(&::curl_slist_free_all)> headers{nullptr, &::curl_slist_free_all};
  for (const auto& [name, value] : post.headers) {
    headers.reset(::curl_slist_append(headers.release(), fmt::format("{}: {}", name, value).c_str()));
  }
  std::array<char, CURL_ERROR_SIZE> message{};
  ::curl_easy_setopt(handle, CURLOPT_URL, post.url.c_str());
  ::curl_easy_setopt(handle, CURLOPT_ERRORBUFFER, message.data());
  ::curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
  ::curl_easy_setopt(handle, CURLOPT_USERAGENT, "bridgehead");
  ::curl_easy_setopt(handle, CURLOPT_PROTOCOLS_STR, "http,https");
  ::curl_easy_setopt(handle, CURLOPT_TIMEOUT, kPatienceSeconds);
  ::curl_easy_setopt(handle, CURLOPT_HTTPHEADER, headers.get());
  ::curl_easy_setopt(handle, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(post.body.size()));
  ::curl_easy_setopt(handle, CURLOPT_POSTFIELDS, post.body.data());
  ::curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, &ignore);
  ::curl_easy_setopt(handle, CURLOPT_NOPROGRESS, 0L);
  ::curl_easy_setopt(handle, CURLOPT_XFERINFOFUNCTION, &on_progress);
  ::curl_easy_setopt(handle, CURLOPT_XFERINFODATA, &stop);
  const auto code = ::curl_easy_perform(handle);
  if (code == CURLE_ABORTED_BY_CALLBACK) return fail(ErrorCode::cancelled, "the manager stops");
  if (code != CURLE_OK) {
    return fail(code == CURLE_OPERATION_TIMEDOUT ? ErrorCode::timeout : ErrorCode::unavailable, "{}",
                message[0] != '\0' ? message.data() : ::curl_easy_strerror(code));
  }
  long status = 0;
  ::curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &status);
  if (status >= 200 && status < 300) return {};
  return fail(ErrorCode::unavailable, "the receiver answered {}", status);
}

}  // namespace bridgehead::alert_desk
