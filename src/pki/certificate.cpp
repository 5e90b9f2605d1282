#include "pki/certificate.h"

#include <openssl/asn1.h>
#include <openssl/bn.h>

#include <ctime>

#include "pki/openssl.h"

namespace bridgehead::pki {
namespace {

constexpr std::string_view kNodePrefix = "node:";

// The DER form of an object, by its i2d function.
template <typename Function, typename Object>
std::string to_der(Function i2d, Object* object) {
  unsigned char* data = nullptr;
  const int size = i2d(object, &data);
  if (size <= 0) return {};
  std::string der(reinterpret_cast<const char*>(data), static_cast<std::size_t>(size));
  OPENSSL_free(data);
  return der;
}

Result<std::string> request_for(EVP_PKEY* key) {
  const openssl::Request request(X509_REQ_new());
  if (!request) return openssl::fail_openssl(ErrorCode::internal, "making a signing request failed");
  static constexpr unsigned char subject[] = "bridgehead-agent";
  X509_NAME* name = X509_REQ_get_subject_name(request.get());
  if (X509_REQ_set_version(request.get(), X509_REQ_VERSION_1) != 1 ||
      X509_NAME_add_entry_by_NID(name, NID_commonName, MBSTRING_UTF8, subject, sizeof subject - 1, -1, 0) != 1 ||
      X509_REQ_set_pubkey(request.get(), key) != 1 || X509_REQ_sign(request.get(), key, EVP_sha256()) == 0) {
    return openssl::fail_openssl(ErrorCode::internal, "making a signing request failed");
  }
  const openssl::Bio bio(BIO_new(BIO_s_mem()));
  if (!bio || PEM_write_bio_X509_REQ(bio.get(), request.get()) != 1) {
    return openssl::fail_openssl(ErrorCode::internal, "writing a signing request failed");
  }
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return std::string(data, static_cast<std::size_t>(size));
}

}  // namespace

Result<KeyAndRequest> make_key_and_request() {
  const auto key = openssl::make_key();
  if (!key) return forward(key);
  auto key_pem = openssl::key_to_pem(key->get());
  if (!key_pem) return forward(key_pem);
  auto request_pem = request_for(key->get());
  if (!request_pem) return forward(request_pem);
  return KeyAndRequest{std::move(*key_pem), std::move(*request_pem)};
}

Result<std::string> make_request(std::string_view key_pem) {
  const auto key = openssl::key_from_pem(key_pem);
  if (!key) return forward(key);
  return request_for(key->get());
}

Result<model::NodeId> certificate_node_id(std::string_view pem) {
  const auto certificate = openssl::certificate_from_pem(pem);
  if (!certificate) return forward(certificate);
  const X509_NAME* subject = X509_get_subject_name(certificate->get());
  const int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
  // Exactly one entry: a second one could be what somebody else reads.
  if (at < 0 || X509_NAME_entry_count(subject) != 1) {
    return fail(ErrorCode::permission_denied, "the certificate is not that of a node");
  }
  const ASN1_STRING* text = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at));
  const std::string_view name(reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)),
                              static_cast<std::size_t>(ASN1_STRING_length(text)));
  const auto id = name.substr(std::min(name.size(), kNodePrefix.size()));
  const bool plain =
      std::all_of(id.begin(), id.end(), [](unsigned char c) { return std::isalnum(c) != 0 || c == '-'; });
  if (!name.starts_with(kNodePrefix) || id.empty() || !plain) {
    return fail(ErrorCode::permission_denied, "the certificate is not that of a node");
  }
  return model::NodeId(std::string(id));
}

Result<Timestamp> certificate_expiry(std::string_view pem) {
  const auto certificate = openssl::certificate_from_pem(pem);
  if (!certificate) return forward(certificate);
  std::tm broken_down{};
  if (ASN1_TIME_to_tm(X509_get0_notAfter(certificate->get()), &broken_down) != 1) {
    return openssl::fail_openssl(ErrorCode::invalid_argument, "the certificate's end can't be read");
  }
  return std::chrono::time_point_cast<std::chrono::milliseconds>(
      std::chrono::system_clock::from_time_t(::timegm(&broken_down)));
}

Result<std::string> certificate_serial(std::string_view pem) {
  const auto certificate = openssl::certificate_from_pem(pem);
  if (!certificate) return forward(certificate);
  const std::unique_ptr<BIGNUM, openssl::Deleter<BN_free>> number(
      ASN1_INTEGER_to_BN(X509_get0_serialNumber(certificate->get()), nullptr));
  char* hex = number ? BN_bn2hex(number.get()) : nullptr;
  if (hex == nullptr) return openssl::fail_openssl(ErrorCode::invalid_argument, "the certificate has no serial number");
  std::string text(hex);
  OPENSSL_free(hex);
  for (auto& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

Result<std::string> certificate_fingerprint(std::string_view pem) {
  const auto certificate = openssl::certificate_from_pem(pem);
  if (!certificate) return forward(certificate);
  return openssl::sha256(to_der(i2d_X509, certificate->get()));
}

Result<std::string> request_key_fingerprint(std::string_view request_pem) {
  const auto request = openssl::request_from_pem(request_pem);
  if (!request) return forward(request);
  return openssl::sha256(to_der(i2d_PUBKEY, X509_REQ_get0_pubkey(request->get())));
}

Status verify_certificate(std::string_view pem, std::string_view ca_pem, Timestamp now, Purpose purpose) {
  const auto certificate = openssl::certificate_from_pem(pem);
  if (!certificate) return forward(certificate);
  const auto ca = openssl::certificate_from_pem(ca_pem);
  if (!ca) return forward(ca);
  const openssl::Store store(X509_STORE_new());
  const openssl::StoreContext context(X509_STORE_CTX_new());
  if (!store || !context || X509_STORE_add_cert(store.get(), ca->get()) != 1 ||
      X509_STORE_CTX_init(context.get(), store.get(), certificate->get(), nullptr) != 1) {
    return openssl::fail_openssl(ErrorCode::internal, "checking a certificate failed");
  }
  X509_VERIFY_PARAM* parameters = X509_STORE_CTX_get0_param(context.get());
  X509_VERIFY_PARAM_set_time(parameters, std::chrono::system_clock::to_time_t(now));
  X509_VERIFY_PARAM_set_purpose(parameters,
                                purpose == Purpose::server ? X509_PURPOSE_SSL_SERVER : X509_PURPOSE_SSL_CLIENT);
  if (X509_verify_cert(context.get()) == 1) return {};
  const char* why = X509_verify_cert_error_string(X509_STORE_CTX_get_error(context.get()));
  return fail(ErrorCode::permission_denied, "the certificate is not accepted: {}", why);
}

Status check_key_matches(std::string_view key_pem, std::string_view certificate_pem) {
  const auto key = openssl::key_from_pem(key_pem);
  if (!key) return forward(key);
  const auto certificate = openssl::certificate_from_pem(certificate_pem);
  if (!certificate) return forward(certificate);
  if (X509_check_private_key(certificate->get(), key->get()) == 1) return {};
  return openssl::fail_openssl(ErrorCode::failed_precondition, "the key does not belong to the certificate");
}

}  // namespace bridgehead::pki
