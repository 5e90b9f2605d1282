#include "pki/openssl.h"

#include <openssl/ec.h>
#include <openssl/err.h>

#include <span>

#include "base/random.h"

namespace bridgehead::pki::openssl {
namespace {

constexpr std::size_t kLargestPem = 64 * 1024;

Result<Bio> reader(std::string_view pem, std::string_view what) {
  if (pem.size() > kLargestPem) return fail(ErrorCode::invalid_argument, "the {} is larger than 64 KiB", what);
  Bio bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  if (!bio) return fail_openssl(ErrorCode::resource_exhausted, "reading PEM");
  return bio;
}

std::string written(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return {data, static_cast<std::size_t>(size)};
}

// Without a password callback OpenSSL would ask on the terminal for the password of an encrypted key.
int no_password(char*, int, int, void*) { return -1; }

}  // namespace

tl::unexpected<Error> fail_openssl(ErrorCode code, std::string_view what) {
  const auto number = ERR_peek_last_error();
  const char* reason = number != 0 ? ERR_reason_error_string(number) : nullptr;
  ERR_clear_error();
  return fail(code, "{}{}{}", what, reason != nullptr ? ": " : "", reason != nullptr ? reason : "");
}

Result<Key> make_key() {
  Key key(EVP_EC_gen("P-256"));
  if (!key) return fail_openssl(ErrorCode::internal, "making a key failed");
  return key;
}

Result<std::string> key_to_pem(EVP_PKEY* key) {
  const Bio bio(BIO_new(BIO_s_secmem()));
  if (!bio || PEM_write_bio_PKCS8PrivateKey(bio.get(), key, nullptr, nullptr, 0, nullptr, nullptr) != 1) {
    return fail_openssl(ErrorCode::internal, "writing a key failed");
  }
  return written(bio.get());
}

Result<Key> key_from_pem(std::string_view pem) {
  const auto bio = reader(pem, "key");
  if (!bio) return forward(bio);
  Key key(PEM_read_bio_PrivateKey(bio->get(), nullptr, no_password, nullptr));
  if (!key) return fail_openssl(ErrorCode::invalid_argument, "this is not a private key in PEM form");
  return key;
}

Result<std::string> certificate_to_pem(X509* certificate) {
  const Bio bio(BIO_new(BIO_s_mem()));
  if (!bio || PEM_write_bio_X509(bio.get(), certificate) != 1) {
    return fail_openssl(ErrorCode::internal, "writing a certificate failed");
  }
  return written(bio.get());
}

Result<Certificate> certificate_from_pem(std::string_view pem) {
  const auto bio = reader(pem, "certificate");
  if (!bio) return forward(bio);
  Certificate certificate(PEM_read_bio_X509(bio->get(), nullptr, no_password, nullptr));
  if (!certificate) return fail_openssl(ErrorCode::invalid_argument, "this is not a certificate in PEM form");
  return certificate;
}

Result<Request> request_from_pem(std::string_view pem) {
  const auto bio = reader(pem, "signing request");
  if (!bio) return forward(bio);
  Request request(PEM_read_bio_X509_REQ(bio->get(), nullptr, no_password, nullptr));
  if (!request)
    return fail_openssl(ErrorCode::invalid_argument, "this is not a certificate signing request in PEM form");
  EVP_PKEY* key = X509_REQ_get0_pubkey(request.get());
  if (key == nullptr) return fail_openssl(ErrorCode::invalid_argument, "the signing request has no usable public key");
  // 112 bits is RSA 2048 and EC P-224. An upper bound too: checking a gigantic RSA key would take minutes.
  if (EVP_PKEY_get_security_bits(key) < 112 || EVP_PKEY_get_bits(key) > 8192) {
    return fail(ErrorCode::invalid_argument, "the signing request's key has {} bits; use EC P-256 or RSA 2048 to 8192",
                EVP_PKEY_get_bits(key));
  }
  if (X509_REQ_verify(request.get(), key) != 1) {
    return fail_openssl(ErrorCode::invalid_argument, "the signing request is not signed by its own key");
  }
  return request;
}

std::string sha256(std::string_view bytes) {
  std::uint8_t digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  require(EVP_Digest(bytes.data(), bytes.size(), digest, &size, EVP_sha256(), nullptr) == 1,
          "SHA-256 is not available");
  return to_hex(std::span(digest, size));
}

}  // namespace bridgehead::pki::openssl
