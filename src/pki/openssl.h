// RAII for OpenSSL's objects and the few conversions that pki's files share. Internal to pki. Thread-safe as OpenSSL
// is.
#pragma once

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"

namespace bridgehead::pki::openssl {

template <auto Free>
struct Deleter {
  template <typename T>
  void operator()(T* object) const {
    Free(object);
  }
};

using Key = std::unique_ptr<EVP_PKEY, Deleter<EVP_PKEY_free>>;
using Certificate = std::unique_ptr<X509, Deleter<X509_free>>;
using Request = std::unique_ptr<X509_REQ, Deleter<X509_REQ_free>>;
using Bio = std::unique_ptr<BIO, Deleter<BIO_free_all>>;
using Store = std::unique_ptr<X509_STORE, Deleter<X509_STORE_free>>;
using StoreContext = std::unique_ptr<X509_STORE_CTX, Deleter<X509_STORE_CTX_free>>;
using Extension = std::unique_ptr<X509_EXTENSION, Deleter<X509_EXTENSION_free>>;

// An Error with the reason that OpenSSL gives, whose queue it empties.
tl::unexpected<Error> fail_openssl(ErrorCode code, std::string_view what);

Result<Key> make_key();  // EC P-256
Result<std::string> key_to_pem(EVP_PKEY* key);
Result<Key> key_from_pem(std::string_view pem);
Result<std::string> certificate_to_pem(X509* certificate);
Result<Certificate> certificate_from_pem(std::string_view pem);
// Damaged, not signed by its own key, or a key too weak: invalid_argument.
Result<Request> request_from_pem(std::string_view pem);

std::string sha256(std::string_view bytes);  // lower-case hex

}  // namespace bridgehead::pki::openssl
