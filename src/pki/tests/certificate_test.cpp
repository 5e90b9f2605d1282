#include "pki/certificate.h"

#include <gtest/gtest.h>
#include <openssl/rsa.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <csignal>
#include <fstream>
#include <set>
#include <thread>

#include "base/file.h"
#include "base/testing/manual_clock.h"
#include "pki/certificate_authority.h"
#include "pki/openssl.h"

namespace bridgehead::pki {
namespace {

using namespace std::chrono_literals;

constexpr std::chrono::hours kDay{24};
const model::NodeId kNode("4a7c0a4e-3a2b-4c1d-9e8f-0123456789ab");

class PkiTest : public ::testing::Test {
 protected:
  Result<std::unique_ptr<CertificateAuthority>> open() { return CertificateAuthority::open(ca_path_, clock_, random_); }
  std::unique_ptr<CertificateAuthority> must_open() {
    auto ca = open();
    EXPECT_TRUE(ca) << ca.error().describe();
    return ca ? std::move(*ca) : nullptr;
  }
  mode_t mode_of(const std::filesystem::path& path) {
    struct stat status {};
    EXPECT_EQ(::stat(path.c_str(), &status), 0) << path;
    return status.st_mode & 0777;
  }

  TemporaryDirectory directory_ = TemporaryDirectory::create("pki-test").value();
  std::filesystem::path ca_path_ = directory_.path() / "ca";
  bridgehead::testing::ManualClock clock_;
  SystemRandom random_;
};

std::string subject_of(const std::string& pem) {
  const auto certificate = openssl::certificate_from_pem(pem).value();
  char* text = X509_NAME_oneline(X509_get_subject_name(certificate.get()), nullptr, 0);
  std::string result(text);
  OPENSSL_free(text);
  return result;
}

std::string request_with_key(EVP_PKEY* key, EVP_PKEY* signer, const char* common_name) {
  const openssl::Request request(X509_REQ_new());
  X509_NAME_add_entry_by_txt(X509_REQ_get_subject_name(request.get()), "CN", MBSTRING_UTF8,
                             reinterpret_cast<const unsigned char*>(common_name), -1, -1, 0);
  X509_REQ_set_pubkey(request.get(), key);
  EXPECT_NE(X509_REQ_sign(request.get(), signer, EVP_sha256()), 0);
  const openssl::Bio bio(BIO_new(BIO_s_mem()));
  PEM_write_bio_X509_REQ(bio.get(), request.get());
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return {data, static_cast<std::size_t>(size)};
}

TEST_F(PkiTest, MakesTheCaOnceAndLoadsItLater) {
  const auto made = must_open();
  EXPECT_EQ(mode_of(ca_path_ / "ca.key"), 0600u);
  EXPECT_EQ(mode_of(ca_path_ / "ca.pem"), 0644u);
  EXPECT_EQ(made->fingerprint().size(), 64u);
  EXPECT_EQ(made->fingerprint(), certificate_fingerprint(made->certificate_pem()).value());
  const auto years = certificate_expiry(made->certificate_pem()).value() - clock_.now();
  EXPECT_GE(years, 3650 * kDay);
  EXPECT_LE(years, 3654 * kDay);
  EXPECT_TRUE(subject_of(made->certificate_pem()).starts_with("/CN=Bridgehead CA "));
  const auto loaded = must_open();
  EXPECT_EQ(loaded->certificate_pem(), made->certificate_pem());
  EXPECT_EQ(read_file(ca_path_ / "ca.pem").value(), made->certificate_pem());
}

TEST_F(PkiTest, FinishesACaWhoseCertificateIsMissing) {
  must_open();
  const auto key = read_file(ca_path_ / "ca.key").value();
  ASSERT_TRUE(remove_file(ca_path_ / "ca.pem"));
  const auto finished = must_open();
  EXPECT_EQ(read_file(ca_path_ / "ca.key").value(), key);
  EXPECT_TRUE(check_key_matches(key, finished->certificate_pem()));
}

TEST_F(PkiTest, SurvivesKill9AtAnyMoment) {
  // Before the key, between key and certificate, after both: wherever the child is after so many microseconds.
  for (int delay = 0; delay < 30; ++delay) {
    const auto path = directory_.path() / fmt::format("ca-{}", delay);
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) ::_exit(CertificateAuthority::open(path, clock_, random_) ? 0 : 1);
    std::this_thread::sleep_for(std::chrono::microseconds(delay * 400));  // not waiting for anything: a random moment
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    const auto ca = CertificateAuthority::open(path, clock_, random_);
    ASSERT_TRUE(ca) << delay << ": " << ca.error().describe();
    EXPECT_TRUE(check_key_matches(read_file(path / "ca.key").value(), (*ca)->certificate_pem()));
  }
}

TEST_F(PkiTest, NeverReplacesADamagedCa) {
  must_open();
  const auto refused = [&](ErrorCode code, std::string_view part) {
    const auto ca = open();
    ASSERT_FALSE(ca);
    EXPECT_EQ(ca.error().code, code) << ca.error().describe();
    EXPECT_NE(ca.error().describe().find(part), std::string::npos) << ca.error().describe();
  };
  const auto key = read_file(ca_path_ / "ca.key").value();
  const auto certificate = read_file(ca_path_ / "ca.pem").value();

  ASSERT_TRUE(remove_file(ca_path_ / "ca.key"));
  refused(ErrorCode::data_corrupt, "backup");
  EXPECT_FALSE(std::filesystem::exists(ca_path_ / "ca.key"));
  ASSERT_TRUE(write_file_atomic(ca_path_ / "ca.key", make_key_and_request()->key_pem, 0600));
  refused(ErrorCode::data_corrupt, "don't belong together");
  ASSERT_TRUE(write_file_atomic(ca_path_ / "ca.key", "rubbish", 0600));
  refused(ErrorCode::data_corrupt, "ca.key");
  ASSERT_TRUE(write_file_atomic(ca_path_ / "ca.key", key, 0644));
  refused(ErrorCode::failed_precondition, "chmod 600");
  ASSERT_TRUE(write_file_atomic(ca_path_ / "ca.key", key, 0600));
  ASSERT_TRUE(write_file_atomic(ca_path_ / "ca.pem", certificate.substr(0, certificate.size() / 2), 0644));
  refused(ErrorCode::data_corrupt, "ca.pem");
  ASSERT_TRUE(write_file_atomic(ca_path_ / "ca.pem", certificate, 0644));
  EXPECT_TRUE(open());
}

TEST_F(PkiTest, IssuesServerCertificates) {
  const auto ca = must_open();
  const auto server = ca->issue_server({"manager.example.org", "localhost"}, {"127.0.0.1", "2001:db8::1"}, 90 * kDay);
  ASSERT_TRUE(server) << server.error().describe();
  EXPECT_TRUE(check_key_matches(server->key_pem, server->chain_pem));
  EXPECT_TRUE(server->chain_pem.ends_with(ca->certificate_pem()));
  EXPECT_TRUE(verify_certificate(server->chain_pem, ca->certificate_pem(), clock_.now(), Purpose::server));
  EXPECT_FALSE(verify_certificate(server->chain_pem, ca->certificate_pem(), clock_.now(), Purpose::client));
  EXPECT_EQ(certificate_expiry(server->chain_pem).value(), clock_.now() + 90 * kDay);
  EXPECT_EQ(certificate_node_id(server->chain_pem).error().code, ErrorCode::permission_denied);

  const auto certificate = openssl::certificate_from_pem(server->chain_pem).value();
  EXPECT_EQ(X509_check_host(certificate.get(), "manager.example.org", 0, 0, nullptr), 1);
  EXPECT_EQ(X509_check_host(certificate.get(), "other.example.org", 0, 0, nullptr), 0);
  EXPECT_EQ(X509_check_ip_asc(certificate.get(), "127.0.0.1", 0), 1);
  EXPECT_EQ(X509_check_ip_asc(certificate.get(), "2001:db8::1", 0), 1);
  EXPECT_EQ(X509_check_ip_asc(certificate.get(), "127.0.0.2", 0), 0);

  for (const char* bad : {"", "a,IP:1.2.3.4", "a b", "-a", "*", "a\nb", "\xc3\xa9"}) {
    EXPECT_EQ(ca->issue_server({bad}, {}, kDay).error().code, ErrorCode::invalid_argument) << bad;
  }
  for (const char* bad : {"", "1.2.3", "fe80::1%eth0", "localhost"}) {
    EXPECT_EQ(ca->issue_server({"a"}, {bad}, kDay).error().code, ErrorCode::invalid_argument) << bad;
  }
  EXPECT_EQ(ca->issue_server({}, {}, kDay).error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(ca->issue_server({"a"}, {}, 0s).error().code, ErrorCode::invalid_argument);
}

TEST_F(PkiTest, SignsNodeRequests) {
  const auto ca = must_open();
  const auto made = make_key_and_request().value();
  const auto signed_pem = ca->sign_node_request(made.request_pem, kNode, 30 * kDay);
  ASSERT_TRUE(signed_pem) << signed_pem.error().describe();
  EXPECT_EQ(certificate_node_id(*signed_pem).value(), kNode);
  EXPECT_EQ(subject_of(*signed_pem), "/CN=node:" + kNode.str()) << "the requested subject is ignored";
  EXPECT_TRUE(check_key_matches(made.key_pem, *signed_pem));
  EXPECT_TRUE(verify_certificate(*signed_pem, ca->certificate_pem(), clock_.now(), Purpose::client));
  EXPECT_TRUE(verify_certificate(*signed_pem, ca->certificate_pem(), clock_.now(), Purpose::server));
  EXPECT_EQ(certificate_expiry(*signed_pem).value(), clock_.now() + 30 * kDay);

  const auto again = make_request(made.key_pem).value();
  EXPECT_EQ(request_key_fingerprint(again).value(), request_key_fingerprint(made.request_pem).value());
  EXPECT_NE(request_key_fingerprint(make_key_and_request()->request_pem).value(),
            request_key_fingerprint(made.request_pem).value());
}

TEST_F(PkiTest, SaysWhyACertificateIsNotAccepted) {
  const auto ca = must_open();
  const auto request = make_key_and_request()->request_pem;
  const auto node = ca->sign_node_request(request, kNode, 30 * kDay).value();
  const auto why = [&](const std::string& pem, const std::string& ca_pem, Timestamp now) {
    const auto verified = verify_certificate(pem, ca_pem, now, Purpose::client);
    EXPECT_EQ(verified.error().code, ErrorCode::permission_denied);
    return verified.error().message;
  };
  EXPECT_NE(why(node, ca->certificate_pem(), clock_.now() + 31 * kDay).find("expired"), std::string::npos);
  EXPECT_NE(why(node, ca->certificate_pem(), clock_.now() - kDay).find("not yet valid"), std::string::npos);
  EXPECT_TRUE(verify_certificate(node, ca->certificate_pem(), clock_.now() - 5min, Purpose::client))
      << "clocks differ a little";
  const auto other = CertificateAuthority::open(directory_.path() / "other", clock_, random_).value();
  EXPECT_NE(why(node, other->certificate_pem(), clock_.now()), "");
  EXPECT_NE(other->fingerprint(), ca->fingerprint());

  // A node's certificate is no CA: what its key signs is not accepted.
  const auto forged = other->sign_node_request(request, kNode, kDay).value();
  EXPECT_NE(why(forged + node, ca->certificate_pem(), clock_.now()), "");
}

TEST_F(PkiTest, NoCertificateOutlivesTheCa) {
  const auto ca = must_open();
  const auto end = certificate_expiry(ca->certificate_pem()).value();
  const auto request = make_key_and_request()->request_pem;
  EXPECT_EQ(certificate_expiry(ca->sign_node_request(request, kNode, 36500 * kDay).value()).value(), end);
  EXPECT_EQ(certificate_expiry(ca->sign_node_request(request, kNode, std::chrono::seconds::max()).value()).value(),
            end);
}

TEST_F(PkiTest, SerialsAreLongAndDiffer) {
  const auto ca = must_open();
  const auto request = make_key_and_request()->request_pem;
  std::set<std::string> serials;
  for (int i = 0; i < 50; ++i) {
    const auto serial = certificate_serial(ca->sign_node_request(request, kNode, kDay).value()).value();
    EXPECT_EQ(serial.size(), 32u) << serial;
    EXPECT_EQ(serial.find_first_not_of("0123456789abcdef"), std::string::npos);
    serials.insert(serial);
  }
  EXPECT_EQ(serials.size(), 50u);
}

TEST_F(PkiTest, RefusesBadRequests) {
  const auto ca = must_open();
  const auto refused = [&](std::string_view request, std::string_view part) {
    const auto signed_pem = ca->sign_node_request(request, kNode, kDay);
    ASSERT_FALSE(signed_pem);
    EXPECT_EQ(signed_pem.error().code, ErrorCode::invalid_argument);
    EXPECT_NE(signed_pem.error().message.find(part), std::string::npos) << signed_pem.error().message;
  };
  const auto key = openssl::make_key().value();
  const auto other = openssl::make_key().value();
  refused(request_with_key(key.get(), other.get(), "stolen"), "not signed by its own key");
  const openssl::Key weak(EVP_RSA_gen(1024));
  refused(request_with_key(weak.get(), weak.get(), "weak"), "1024 bits");
  refused("", "not a certificate signing request");
  refused("-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n",
          "not a certificate signing request");
  refused(std::string(100000, 'x'), "64 KiB");
  refused(ca->certificate_pem(), "not a certificate signing request");

  const auto good = make_key_and_request()->request_pem;
  SeededRandom noise(7);
  for (int i = 0; i < 2000; ++i) {  // anything but a crash or a certificate for another node
    auto text = good;
    text[noise.next_u64() % text.size()] = static_cast<char>(noise.next_u64());
    const auto signed_pem = ca->sign_node_request(text, kNode, kDay);
    if (signed_pem) {
      EXPECT_EQ(certificate_node_id(*signed_pem).value(), kNode);
    }
  }
  for (const char* bad : {"", "a b", "x/../y", "a=b,CN=node:other", "a\nb"}) {
    EXPECT_EQ(ca->sign_node_request(good, model::NodeId(bad), kDay).error().code, ErrorCode::invalid_argument) << bad;
  }
  EXPECT_FALSE(ca->sign_node_request(good, model::NodeId(std::string(200, 'a')), kDay));
}

TEST_F(PkiTest, ReadsOnlyWholeCertificates) {
  const auto ca = must_open();
  const auto node = ca->sign_node_request(make_key_and_request()->request_pem, kNode, kDay).value();
  for (const std::string& bad :
       {std::string(), std::string("x"), node.substr(0, node.size() / 2), std::string(70000, '-')}) {
    EXPECT_EQ(certificate_node_id(bad).error().code, ErrorCode::invalid_argument);
    EXPECT_EQ(certificate_expiry(bad).error().code, ErrorCode::invalid_argument);
    EXPECT_EQ(certificate_serial(bad).error().code, ErrorCode::invalid_argument);
    EXPECT_EQ(certificate_fingerprint(bad).error().code, ErrorCode::invalid_argument);
    EXPECT_EQ(verify_certificate(bad, ca->certificate_pem(), clock_.now(), Purpose::client).error().code,
              ErrorCode::invalid_argument);
  }
  EXPECT_EQ(certificate_node_id(ca->certificate_pem()).error().code, ErrorCode::permission_denied);
  EXPECT_FALSE(check_key_matches(make_key_and_request()->key_pem, node));
  EXPECT_FALSE(make_request("no key"));
}

}  // namespace
}  // namespace bridgehead::pki
