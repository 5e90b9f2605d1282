#include "power/redfish_client.h"

#include <curl/curl.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <memory>

#include "base/base64.h"
#include "base/text.h"

namespace bridgehead::power {
namespace {

using nlohmann::json;

constexpr std::size_t kLongestAnswer = 1 << 20;
constexpr std::chrono::milliseconds kFarewell{2000};
constexpr char kSessions[] = "/redfish/v1/SessionService/Sessions";  // DSP0266, 13.3.4: also where it isn't linked

struct Exchange {
  std::string received;
  RedfishAnswer answer;
  std::stop_token stop;

  static std::size_t on_body(char* data, std::size_t size, std::size_t count, void* self_pointer) {
    auto& self = *static_cast<Exchange*>(self_pointer);
    if (self.received.size() + size * count > kLongestAnswer) return 0;
    self.received.append(data, size * count);
    return size * count;
  }
  static std::size_t on_header(char* data, std::size_t size, std::size_t count, void* self_pointer) {
    auto& self = *static_cast<Exchange*>(self_pointer);
    const std::string_view line(data, size * count);
    const auto colon = line.find(':');
    if (colon == std::string_view::npos) return size * count;
    const auto name = lower_case(std::string(line.substr(0, colon)));
    const auto value = trimmed(line.substr(colon + 1));
    if (name == "x-auth-token") self.answer.token = value;
    if (name == "location") self.answer.location = value;
    if (name == "date") {
      const auto time = curl_getdate(std::string(value).c_str(), nullptr);
      if (time >= 0) self.answer.date = Timestamp(std::chrono::seconds(time));
    }
    return size * count;
  }
  static int on_progress(void* self_pointer, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
    return static_cast<Exchange*>(self_pointer)->stop.stop_requested() ? 1 : 0;
  }
};

struct Handle {
  CURL* curl = curl_easy_init();
  curl_slist* headers = nullptr;
  Handle() = default;
  Handle(const Handle&) = delete;
  ~Handle() {
    curl_slist_free_all(headers);
    curl_easy_cleanup(curl);
  }
  void add_header(const std::string& header) { headers = curl_slist_append(headers, header.c_str()); }
};

Error explain(CURLcode code, const RedfishConfig& config, std::chrono::milliseconds timeout) {
  const auto& address = config.address;
  switch (code) {
    case CURLE_OPERATION_TIMEDOUT:
      return {ErrorCode::timeout, fmt::format("the BMC at {} didn't answer within {} ms", address, timeout.count()),
              "Check address, cable and VLAN of the BMC."};
    case CURLE_COULDNT_RESOLVE_HOST:
      return {ErrorCode::unavailable, fmt::format("there is no address for the name {}", address),
              "Correct the name, or give the BMC's IP address."};
    case CURLE_COULDNT_CONNECT:
      return {ErrorCode::unavailable, fmt::format("nobody answers at {} port {}", address, config.port),
              "Check address, cable and VLAN of the BMC, and that Redfish is enabled on it."};
    case CURLE_SSL_PINNEDPUBKEYNOTMATCH:
      return {
          ErrorCode::unauthenticated, fmt::format("whoever answers at {} doesn't have the pinned key", address),
          "If the BMC got a new certificate, compare what `bmc check` shows with the BMC's own console and set the pin "
          "anew; otherwise somebody is in between."};
    case CURLE_PEER_FAILED_VERIFICATION:
      return {ErrorCode::unauthenticated, fmt::format("no CA vouches for the certificate of the BMC at {}", address),
              "Most BMCs sign their own: `bmc check` shows its key, to be pinned; or give the CA."};
    case CURLE_ABORTED_BY_CALLBACK:
      return {ErrorCode::cancelled, fmt::format("the call to {} was cancelled", address), ""};
    case CURLE_WRITE_ERROR: return {ErrorCode::io_error, fmt::format("the BMC at {} answers without end", address), ""};
    default:
      return {ErrorCode::unavailable, fmt::format("the BMC at {} fails: {}", address, curl_easy_strerror(code)), ""};
  }
}

// DSP0266, 8.6: {"error": {"message": ..., "@Message.ExtendedInfo": [{"Message": ...}]}}
std::string complaint_of(const json& body) {
  if (!body.is_object() || !body.contains("error") || !body["error"].is_object()) return "";
  const auto& error = body["error"];
  const auto text = [](const json& from, const char* name) {
    return from.is_object() && from.contains(name) && from[name].is_string() ? from[name].get<std::string>() : "";
  };
  std::string said = text(error, "message");
  const auto info = error.find("@Message.ExtendedInfo");
  if (info != error.end() && info->is_array() && !info->empty()) {
    if (auto more = text(info->front(), "Message"); !more.empty()) said = std::move(more);
  }
  for (char& c : said) c = static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
  return said.substr(0, 300);
}

Error refusal(const RedfishAnswer& answer, const std::string& path, const RedfishConfig& config) {
  const auto said = complaint_of(answer.body);
  const auto words = fmt::format("{} {}{}{}", answer.status, path, said.empty() ? "" : ": ", said);
  const auto make = [&](ErrorCode code, std::string_view what, std::string hint = {}) {
    return Error{code, fmt::format("the BMC at {} {} ({})", config.address, what, words), std::move(hint)};
  };
  switch (answer.status) {
    case 401:
      return make(ErrorCode::unauthenticated, fmt::format("doesn't accept user {} and its password", config.user),
                  "Set the password that the BMC has. After several wrong ones many BMCs lock the user for minutes.");
    case 403:
      return make(ErrorCode::permission_denied, fmt::format("doesn't let user {} do that", config.user),
                  "Give the user a role with ConfigureComponents: Operator.");
    case 404: return make(ErrorCode::not_found, "doesn't have that");
    case 400:
    case 405:
    case 501: return make(ErrorCode::unsupported, "can't do that");
    case 409:
    case 412: return make(ErrorCode::failed_precondition, "can't do that in this state");
    case 429:
    case 503: return make(ErrorCode::resource_exhausted, "is busy");
    default: return make(ErrorCode::io_error, "fails");
  }
}

// All that doesn't depend on what is asked and who asks. Both must live until it was carried out.
Status prepare(Handle& handle, Exchange& exchange, const RedfishConfig& config, const std::string& path,
               const Attempt& attempt) {
  auto* const curl = handle.curl;
  if (curl == nullptr) return fail(ErrorCode::internal, "libcurl can't be used");
  const bool bare_ipv6 = config.address.find(':') != std::string::npos;
  const auto url =
      fmt::format("https://{}{}{}:{}{}", bare_ipv6 ? "[" : "", config.address, bare_ipv6 ? "]" : "", config.port, path);
  curl_easy_setopt(curl, CURLOPT_URL, url.c_str());
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "https");
  curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
  curl_easy_setopt(curl, CURLOPT_QUICK_EXIT, 1L);  // doesn't wait for a name server that hangs
  curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, static_cast<long>(attempt.timeout.count()));
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, &Exchange::on_body);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &exchange);
  curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
  curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, &Exchange::on_progress);
  curl_easy_setopt(curl, CURLOPT_XFERINFODATA, &exchange);
  return {};
}

}  // namespace

Result<std::string> path_of_link(const json& link) {
  const auto* text =
      link.is_object() && link.contains("@odata.id") ? link["@odata.id"].get_ptr<const std::string*>() : nullptr;
  const auto good = [](const std::string& path) {
    return path.starts_with("/") && !path.starts_with("//") &&
           std::none_of(path.begin(), path.end(), [](char c) { return static_cast<unsigned char>(c) <= 0x20; });
  };
  if (text == nullptr || !good(*text)) return fail(ErrorCode::io_error, "the BMC gives a link that leads nowhere");
  return *text;
}

RedfishClient::~RedfishClient() {
  if (!token_.empty() && !session_.empty()) {
    static_cast<void>(send("DELETE", session_, "", Identify::session, {.timeout = kFarewell}));
  }
}

Result<RedfishAnswer> RedfishClient::send(const char* method, const std::string& path, const std::string& body,
                                          Identify identify, const Attempt& attempt) {
  Exchange exchange;
  exchange.stop = attempt.stop;
  Handle handle;
  if (auto prepared = prepare(handle, exchange, config_, path, attempt); !prepared) return forward(prepared);
  auto* const curl = handle.curl;
  curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
  curl_easy_setopt(curl, CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
  if (!config_.pin.empty()) {
    // The key says who it is; most certificates of BMCs are signed by themselves and name nobody.
    curl_easy_setopt(curl, CURLOPT_PINNEDPUBLICKEY, config_.pin.c_str());
    curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 0L);
    curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 0L);
  } else if (!config_.ca.empty()) {
    curl_blob blob{const_cast<char*>(config_.ca.data()), config_.ca.size(), CURL_BLOB_COPY};
    curl_easy_setopt(curl, CURLOPT_CAINFO_BLOB, &blob);
    curl_easy_setopt(curl, CURLOPT_CAPATH, nullptr);
  }
  curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, &Exchange::on_header);
  curl_easy_setopt(curl, CURLOPT_HEADERDATA, &exchange);
  handle.add_header("Accept: application/json");
  handle.add_header("OData-Version: 4.0");
  if (!body.empty()) {
    handle.add_header("Content-Type: application/json");
    handle.add_header("Expect:");
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(body.size()));
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body.data());
  }
  if (identify == Identify::session) handle.add_header("X-Auth-Token: " + token_);
  if (identify == Identify::user) {
    curl_easy_setopt(curl, CURLOPT_HTTPAUTH, static_cast<long>(CURLAUTH_BASIC));
    curl_easy_setopt(curl, CURLOPT_USERNAME, config_.user.c_str());
    curl_easy_setopt(curl, CURLOPT_PASSWORD, config_.password.c_str());
  }
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, handle.headers);
  if (const auto code = curl_easy_perform(curl); code != CURLE_OK) return fail(explain(code, config_, attempt.timeout));
  curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &exchange.answer.status);
  exchange.answer.body = json::parse(exchange.received, nullptr, false);
  if (exchange.answer.body.is_discarded()) exchange.answer.body = nullptr;
  if (exchange.answer.status >= 300) return fail(refusal(exchange.answer, path, config_));
  return std::move(exchange.answer);
}

Status RedfishClient::open_session(const Attempt& attempt) {
  const json body{{"UserName", config_.user}, {"Password", config_.password}};
  const auto answer = send("POST", kSessions, body.dump(), Identify::nobody, attempt);
  if (!answer) {
    // Some answer so to a wrong password.
    if (answer.error().code != ErrorCode::unsupported) return forward(answer);
    return fail_with_hint(ErrorCode::unauthenticated, answer.error().message,
                          "Check user and password; if the BMC has no sessions, set the option auth to basic.");
  }
  if (answer->token.empty()) {
    return fail_with_hint(ErrorCode::unsupported, fmt::format("the BMC at {} opens no session", config_.address),
                          "Set the option auth to basic.");
  }
  token_ = answer->token;
  // A path, or the same as an URL.
  const auto at = answer->location.find("/redfish/");
  session_ = at == std::string::npos ? "" : answer->location.substr(at);
  return {};
}

Result<RedfishAnswer> RedfishClient::call(const char* method, const std::string& path, const std::string& body,
                                          const Attempt& attempt) {
  if (config_.basic_auth) return send(method, path, body, Identify::user, attempt);
  const auto until = std::chrono::steady_clock::now() + attempt.timeout;
  const auto left = [&] {
    return Attempt{.timeout = std::max(
                       std::chrono::milliseconds(1),
                       std::chrono::duration_cast<std::chrono::milliseconds>(until - std::chrono::steady_clock::now())),
                   .stop = attempt.stop};
  };
  const bool kept = !token_.empty();
  if (!kept) {
    if (auto opened = open_session(left()); !opened) return forward(opened);
  }
  auto answer = send(method, path, body, Identify::session, left());
  if (answer || !kept || answer.error().code != ErrorCode::unauthenticated) return answer;
  token_.clear();  // it has ended, or the BMC was restarted
  if (auto opened = open_session(left()); !opened) return forward(opened);
  return send(method, path, body, Identify::session, left());
}

Result<RedfishAnswer> RedfishClient::get(const std::string& path, const Attempt& attempt) {
  auto answer = call("GET", path, "", attempt);
  if (answer && !answer->body.is_object()) {
    return fail(ErrorCode::io_error, "the BMC at {} answers {} with something else than an object", config_.address,
                path);
  }
  return answer;
}

Result<RedfishAnswer> RedfishClient::post(const std::string& path, const json& body, const Attempt& attempt) {
  return call("POST", path, body.dump(), attempt);
}

Result<std::string> RedfishClient::shown_pin(const Attempt& attempt) {
  Exchange exchange;
  exchange.stop = attempt.stop;
  Handle handle;
  if (auto prepared = prepare(handle, exchange, config_, kServiceRoot, attempt); !prepared) return forward(prepared);
  auto* const curl = handle.curl;
  curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 0L);
  curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 0L);
  curl_easy_setopt(curl, CURLOPT_CERTINFO, 1L);
  if (const auto code = curl_easy_perform(curl); code != CURLE_OK) return fail(explain(code, config_, attempt.timeout));
  curl_certinfo* chain = nullptr;
  curl_easy_getinfo(curl, CURLINFO_CERTINFO, &chain);
  constexpr std::string_view kCert = "Cert:";
  for (auto* field = chain != nullptr && chain->num_of_certs > 0 ? chain->certinfo[0] : nullptr; field != nullptr;
       field = field->next) {
    const std::string_view text(field->data);
    if (!text.starts_with(kCert)) continue;
    const auto pem = text.substr(kCert.size());
    const std::unique_ptr<BIO, decltype(&BIO_free_all)> bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())),
                                                            &BIO_free_all);
    const std::unique_ptr<X509, decltype(&X509_free)> certificate(
        bio ? PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr) : nullptr, &X509_free);
    unsigned char* der = nullptr;
    const int size = certificate ? i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate.get()), &der) : -1;
    if (size <= 0) break;
    const std::unique_ptr<unsigned char, void (*)(unsigned char*)> owned(der,
                                                                         [](unsigned char* p) { OPENSSL_free(p); });
    std::string digest(32, '\0');
    EVP_Digest(der, static_cast<std::size_t>(size), reinterpret_cast<unsigned char*>(digest.data()), nullptr,
               EVP_sha256(), nullptr);
    return "sha256//" + to_base64(digest);
  }
  return fail(ErrorCode::io_error, "the BMC at {} shows no certificate", config_.address);
}

}  // namespace bridgehead::power
