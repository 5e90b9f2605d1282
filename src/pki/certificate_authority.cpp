#include "pki/certificate_authority.h"

#include <arpa/inet.h>
#include <openssl/bn.h>
#include <sys/stat.h>

#include "base/file.h"
#include "pki/certificate.h"
#include "pki/openssl.h"

namespace bridgehead::pki {
namespace {

using openssl::fail_openssl;

constexpr std::chrono::hours kCaValidity{24 * 3652};  // ten years
// Nodes' clocks may be behind when they first meet the manager.
constexpr std::chrono::minutes kClockSkew{10};

bool set_random_serial(X509* certificate, RandomSource& random) {
  std::uint8_t bytes[16];
  random.fill(bytes);
  bytes[0] = static_cast<std::uint8_t>((bytes[0] & 0x7f) | 0x40);  // positive, and always 128 bits long
  const std::unique_ptr<BIGNUM, openssl::Deleter<BN_free>> number(BN_bin2bn(bytes, sizeof bytes, nullptr));
  return number && BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate)) != nullptr;
}

bool set_times(X509* certificate, Timestamp from, Timestamp until) {
  return ASN1_TIME_set(X509_getm_notBefore(certificate), std::chrono::system_clock::to_time_t(from)) != nullptr &&
         ASN1_TIME_set(X509_getm_notAfter(certificate), std::chrono::system_clock::to_time_t(until)) != nullptr;
}

bool set_subject(X509* certificate, const std::string& common_name) {
  return X509_NAME_add_entry_by_NID(X509_get_subject_name(certificate), NID_commonName, MBSTRING_UTF8,
                                    reinterpret_cast<const unsigned char*>(common_name.data()),
                                    static_cast<int>(common_name.size()), -1, 0) == 1;
}

// `value` is OpenSSL's text form; only constants come here, never anything from outside.
bool add_extension(X509* certificate, X509* issuer, int nid, const char* value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  const openssl::Extension extension(X509V3_EXT_nconf_nid(nullptr, &context, nid, value));
  return extension && X509_add_ext(certificate, extension.get(), -1) == 1;
}

bool is_host_name(std::string_view name) {
  if (name.empty() || name.size() > 253 || name.front() == '.' || name.front() == '-') return false;
  return std::all_of(name.begin(), name.end(), [](unsigned char c) {
    return (c < 128 && std::isalnum(c) != 0) || c == '-' || c == '.' || c == '_';
  });
}

struct AlternativeNames {
  AlternativeNames() : names(GENERAL_NAMES_new()) {}
  ~AlternativeNames() { GENERAL_NAMES_free(names); }
  AlternativeNames(const AlternativeNames&) = delete;
  AlternativeNames& operator=(const AlternativeNames&) = delete;

  bool add(int type, std::string_view bytes) {
    GENERAL_NAME* name = GENERAL_NAME_new();
    ASN1_STRING* text = type == GEN_DNS ? ASN1_IA5STRING_new() : ASN1_OCTET_STRING_new();
    if (name == nullptr || text == nullptr ||
        ASN1_STRING_set(text, bytes.data(), static_cast<int>(bytes.size())) != 1) {
      ASN1_STRING_free(text);
      GENERAL_NAME_free(name);
      return false;
    }
    GENERAL_NAME_set0_value(name, type, text);
    if (sk_GENERAL_NAME_push(names, name) != 0) return true;
    GENERAL_NAME_free(name);
    return false;
  }

  GENERAL_NAMES* names;
};

Status add_alternative_names(X509* certificate, const std::vector<std::string>& dns,
                             const std::vector<std::string>& ips) {
  if (dns.empty() && ips.empty()) {
    return fail(ErrorCode::invalid_argument, "a server's certificate needs at least one name or address");
  }
  AlternativeNames all;
  bool added = all.names != nullptr;
  for (const auto& name : dns) {
    if (!is_host_name(name)) return fail(ErrorCode::invalid_argument, "'{}' is not a host name", name.substr(0, 64));
    added = added && all.add(GEN_DNS, name);
  }
  for (const auto& ip : ips) {
    char address[16];
    if (::inet_pton(AF_INET, ip.c_str(), address) == 1) {
      added = added && all.add(GEN_IPADD, {address, 4});
    } else if (::inet_pton(AF_INET6, ip.c_str(), address) == 1) {
      added = added && all.add(GEN_IPADD, {address, 16});
    } else {
      return fail(ErrorCode::invalid_argument, "'{}' is not an IP address", ip.substr(0, 64));
    }
  }
  if (!added || X509_add1_ext_i2d(certificate, NID_subject_alt_name, all.names, 0, X509V3_ADD_DEFAULT) != 1) {
    return fail_openssl(ErrorCode::internal, "adding names to a certificate failed");
  }
  return {};
}

Result<openssl::Certificate> make_ca_certificate(EVP_PKEY* key, const Clock& clock, RandomSource& random) {
  openssl::Certificate certificate(X509_new());
  const auto now = clock.now();
  X509* raw = certificate.get();
  if (!certificate || X509_set_version(raw, X509_VERSION_3) != 1 || !set_random_serial(raw, random) ||
      !set_times(raw, now - kClockSkew, now + kCaValidity) ||
      // A part of its own in the name, so that two clusters' CAs aren't mixed up.
      !set_subject(raw, fmt::format("Bridgehead CA {:08x}", static_cast<std::uint32_t>(random.next_u64()))) ||
      X509_set_issuer_name(raw, X509_get_subject_name(raw)) != 1 || X509_set_pubkey(raw, key) != 1 ||
      !add_extension(raw, raw, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") ||
      !add_extension(raw, raw, NID_key_usage, "critical,keyCertSign,cRLSign") ||
      !add_extension(raw, raw, NID_subject_key_identifier, "hash") || X509_sign(raw, key, EVP_sha256()) == 0) {
    return fail_openssl(ErrorCode::internal, "making the CA's certificate failed");
  }
  return certificate;
}

Result<openssl::Key> load_or_make_key(const std::filesystem::path& path, bool certificate_exists) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) {
    if (errno != ENOENT) return fail_errno(errno, fmt::format("look at {}", path.native()));
    if (certificate_exists) {
      return fail_with_hint(
          ErrorCode::data_corrupt, fmt::format("the CA's key {} is missing", path.native()),
          "Restore it from a backup. Without it every node must join again: only then remove ca.pem too.");
    }
    auto key = openssl::make_key();
    if (!key) return key;
    const auto pem = openssl::key_to_pem(key->get());
    if (!pem) return forward(pem);
    if (auto written = write_file_atomic(path, *pem, 0600); !written) return forward(written);
    return key;
  }
  if ((status.st_mode & 077) != 0) {
    return fail_with_hint(ErrorCode::failed_precondition, fmt::format("others may read the CA's key {}", path.native()),
                          fmt::format("If nobody has, run: chmod 600 {}", path.native()));
  }
  const auto pem = read_file(path, 64_KiB);
  if (!pem) return forward(pem);
  auto key = openssl::key_from_pem(*pem);
  if (!key) return fail(ErrorCode::data_corrupt, "{}: {}", path.native(), key.error().message);
  return key;
}

}  // namespace

struct CertificateAuthority::State {
  const Clock& clock;
  RandomSource& random;
  openssl::Key key;
  openssl::Certificate certificate;
  std::string pem;
  std::string fingerprint;

  // Everything that all certificates of the CA share; the caller adds what is special, then signs.
  Result<openssl::Certificate> prepare(const std::string& common_name, EVP_PKEY* subject_key,
                                       std::chrono::seconds validity, const char* extended_usage) const {
    if (validity <= std::chrono::seconds::zero()) {
      return fail(ErrorCode::invalid_argument, "a certificate must be valid for some time");
    }
    const auto ca_end = certificate_expiry(pem);
    if (!ca_end) return forward(ca_end);
    const auto now = clock.now();
    // Compared as spans of seconds, because a caller's "for ever" would overflow a point in time.
    const auto until = validity < std::chrono::floor<std::chrono::seconds>(*ca_end - now) ? now + validity : *ca_end;
    openssl::Certificate made(X509_new());
    X509* raw = made.get();
    if (!made || X509_set_version(raw, X509_VERSION_3) != 1 || !set_random_serial(raw, random) ||
        !set_times(raw, now - kClockSkew, until) || !set_subject(raw, common_name) ||
        X509_set_issuer_name(raw, X509_get_subject_name(certificate.get())) != 1 ||
        X509_set_pubkey(raw, subject_key) != 1 ||
        !add_extension(raw, certificate.get(), NID_basic_constraints, "critical,CA:FALSE") ||
        !add_extension(raw, certificate.get(), NID_key_usage, "critical,digitalSignature") ||
        !add_extension(raw, certificate.get(), NID_ext_key_usage, extended_usage) ||
        !add_extension(raw, certificate.get(), NID_subject_key_identifier, "hash") ||
        !add_extension(raw, certificate.get(), NID_authority_key_identifier, "keyid:always")) {
      return fail_openssl(ErrorCode::internal, "making a certificate failed");
    }
    return made;
  }

  Result<std::string> sign(X509* made) const {
    if (X509_sign(made, key.get(), EVP_sha256()) == 0)
      return fail_openssl(ErrorCode::internal, "signing a certificate failed");
    return openssl::certificate_to_pem(made);
  }
};

CertificateAuthority::CertificateAuthority(std::unique_ptr<State> state) : state_(std::move(state)) {}
CertificateAuthority::~CertificateAuthority() = default;

const std::string& CertificateAuthority::certificate_pem() const { return state_->pem; }
const std::string& CertificateAuthority::fingerprint() const { return state_->fingerprint; }

Result<std::unique_ptr<CertificateAuthority>> CertificateAuthority::open(const std::filesystem::path& directory,
                                                                         const Clock& clock, RandomSource& random) {
  const auto key_path = directory / "ca.key";
  const auto certificate_path = directory / "ca.pem";
  if (auto made = make_directories(directory, 0755); !made) return forward(made);
  auto pem = read_file(certificate_path, 64_KiB);
  if (!pem && pem.error().code != ErrorCode::not_found) return forward(pem);

  // The key is written first and the certificate made from it: a crash between them leaves nothing that is wrong.
  auto key = load_or_make_key(key_path, pem.has_value());
  if (!key) return forward(key);
  if (!pem) {
    auto made = make_ca_certificate(key->get(), clock, random);
    if (!made) return forward(made);
    pem = openssl::certificate_to_pem(made->get());
    if (!pem) return forward(pem);
    if (auto written = write_file_atomic(certificate_path, *pem, 0644); !written) return forward(written);
  }
  auto certificate = openssl::certificate_from_pem(*pem);
  if (!certificate)
    return fail(ErrorCode::data_corrupt, "{}: {}", certificate_path.native(), certificate.error().message);
  if (X509_check_private_key(certificate->get(), key->get()) != 1) {
    return fail_openssl(ErrorCode::data_corrupt,
                        fmt::format("{} and {} don't belong together", key_path.native(), certificate_path.native()));
  }
  auto fingerprint = certificate_fingerprint(*pem);
  if (!fingerprint) return forward(fingerprint);
  return std::unique_ptr<CertificateAuthority>(new CertificateAuthority(std::make_unique<State>(
      State{clock, random, std::move(*key), std::move(*certificate), std::move(*pem), std::move(*fingerprint)})));
}

Result<Identity> CertificateAuthority::issue_server(const std::vector<std::string>& names,
                                                    const std::vector<std::string>& ips,
                                                    std::chrono::seconds validity) const {
  const auto key = openssl::make_key();
  if (!key) return forward(key);
  auto made = state_->prepare("bridgehead-manager", key->get(), validity, "serverAuth");
  if (!made) return forward(made);
  if (auto added = add_alternative_names(made->get(), names, ips); !added) return forward(added);
  auto pem = state_->sign(made->get());
  if (!pem) return forward(pem);
  auto key_pem = openssl::key_to_pem(key->get());
  if (!key_pem) return forward(key_pem);
  return Identity{std::move(*key_pem), *pem + state_->pem};
}

Result<std::string> CertificateAuthority::sign_node_request(std::string_view request_pem, const model::NodeId& node,
                                                            std::chrono::seconds validity) const {
  const auto request = openssl::request_from_pem(request_pem);
  if (!request) return forward(request);
  const auto& id = node.str();
  const bool plain =
      std::all_of(id.begin(), id.end(), [](unsigned char c) { return std::isalnum(c) != 0 || c == '-'; });
  if (id.empty() || id.size() > 59 || !plain) return fail(ErrorCode::invalid_argument, "this is not a node's id");
  auto made = state_->prepare(fmt::format("node:{}", id), X509_REQ_get0_pubkey(request->get()), validity,
                              "clientAuth,serverAuth");
  if (!made) return forward(made);
  return state_->sign(made->get());
}

}  // namespace bridgehead::pki
