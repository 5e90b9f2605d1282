#include "power/testing/redfish_simulator.h"

#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>

#include <csignal>

#include "base/base64.h"
#include "base/text.h"

namespace bridgehead::power::testing {
namespace {

using nlohmann::json;

constexpr char kRoot[] = "/redfish/v1/";
constexpr char kSystems[] = "/redfish/v1/Systems";
constexpr char kSessions[] = "/redfish/v1/SessionService/Sessions";
constexpr char kActionInfo[] = "/redfish/v1/ResetActionInfo";
constexpr std::chrono::seconds kSlow{30};

json link(const std::string& path) { return {{"@odata.id", path}}; }

}  // namespace

struct RedfishSimulator::Tls {
  SSL_CTX* context = SSL_CTX_new(TLS_server_method());
  EVP_PKEY* key = EVP_EC_gen("P-256");
  X509* certificate = X509_new();

  Tls() {
    X509_set_version(certificate, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -60);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    auto* name = X509_get_subject_name(certificate);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>("bmc"), -1, -1, 0);
    X509_set_issuer_name(certificate, name);
    auto* names = X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, "IP:127.0.0.1");
    X509_add_ext(certificate, names, -1);
    X509_EXTENSION_free(names);
    X509_set_pubkey(certificate, key);
    X509_sign(certificate, key, EVP_sha256());
    SSL_CTX_use_certificate(context, certificate);
    SSL_CTX_use_PrivateKey(context, key);
  }
  ~Tls() {
    X509_free(certificate);
    EVP_PKEY_free(key);
    SSL_CTX_free(context);
  }
  std::string pem() const {
    BIO* bio = BIO_new(BIO_s_mem());
    PEM_write_bio_X509(bio, certificate);
    char* data = nullptr;
    const auto size = BIO_get_mem_data(bio, &data);
    std::string text(data, static_cast<std::size_t>(size));
    BIO_free_all(bio);
    return text;
  }
  std::string pin() const {
    unsigned char* der = nullptr;
    const int size = i2d_PUBKEY(key, &der);
    std::string digest(32, '\0');
    EVP_Digest(der, static_cast<std::size_t>(size), reinterpret_cast<unsigned char*>(digest.data()), nullptr,
               EVP_sha256(), nullptr);
    OPENSSL_free(der);
    return "sha256//" + to_base64(digest);
  }
};

RedfishSimulator::RedfishSimulator(RedfishWays ways)
    : ways_(std::move(ways)),
      tls_(std::make_unique<Tls>()),
      certificate_pem_(tls_->pem()),
      pin_(tls_->pin()),
      listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  require(::bind(listener_.get(), generic, length) == 0 && ::listen(listener_.get(), 16) == 0 &&
              ::getsockname(listener_.get(), generic, &length) == 0,
          "the test's BMC can't listen");
  ::signal(SIGPIPE, SIG_IGN);  // as all our programs do: OpenSSL writes to whoever went away
  port_ = ntohs(address.sin_port);
  acceptor_ = std::thread([this] { accept(); });
}

RedfishSimulator::~RedfishSimulator() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
    for (const int socket : sockets_) ::shutdown(socket, SHUT_RDWR);
    ::shutdown(listener_.get(), SHUT_RDWR);
  }
  changed_.notify_all();
  acceptor_.join();
  for (auto& thread : threads_) thread.join();
}

bool RedfishSimulator::is_on() {
  const std::lock_guard lock(mutex_);
  return on_;
}

void RedfishSimulator::set_on(bool on) {
  const std::lock_guard lock(mutex_);
  on_ = on;
}

unsigned RedfishSimulator::times_off() {
  const std::lock_guard lock(mutex_);
  return times_off_;
}

void RedfishSimulator::set_trouble(Trouble trouble) {
  const std::lock_guard lock(mutex_);
  trouble_ = trouble;
}

void RedfishSimulator::forget_sessions() {
  const std::lock_guard lock(mutex_);
  sessions_.clear();
}

std::size_t RedfishSimulator::open_sessions() {
  const std::lock_guard lock(mutex_);
  return sessions_.size();
}

unsigned RedfishSimulator::refused_logins() {
  const std::lock_guard lock(mutex_);
  return refused_logins_;
}

void RedfishSimulator::answer_with(const std::string& path, std::string body) {
  const std::lock_guard lock(mutex_);
  fixed_answers_[path] = std::move(body);
}

void RedfishSimulator::accept() {
  for (;;) {
    const int socket = ::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC);
    const std::lock_guard lock(mutex_);
    if (ending_) {
      if (socket >= 0) ::close(socket);
      return;
    }
    if (socket < 0) continue;
    sockets_.insert(socket);
    threads_.emplace_back([this, socket] {
      serve(socket);
      const std::lock_guard closing(mutex_);
      sockets_.erase(socket);
      ::close(socket);
    });
  }
}

// One request for each connection.
void RedfishSimulator::serve(int socket) {
  const std::unique_ptr<SSL, decltype(&SSL_free)> ssl(SSL_new(tls_->context), &SSL_free);
  SSL_set_fd(ssl.get(), socket);
  if (SSL_accept(ssl.get()) != 1) return;
  std::string received;
  std::size_t head = std::string::npos;
  std::size_t expected = 0;
  for (char buffer[4096]; head == std::string::npos || received.size() < head + 4 + expected;) {
    const int got = SSL_read(ssl.get(), buffer, sizeof buffer);
    if (got <= 0) return;
    received.append(buffer, static_cast<std::size_t>(got));
    if (head != std::string::npos) continue;
    head = received.find("\r\n\r\n");
    const auto length = lower_case(received.substr(0, head)).find("\r\ncontent-length:");
    if (head != std::string::npos && length < head) expected = std::stoul(received.substr(length + 17));
  }
  Request request;
  const auto first = received.substr(0, received.find("\r\n"));
  request.method = first.substr(0, first.find(' '));
  request.path = first.substr(request.method.size() + 1, first.rfind(' ') - request.method.size() - 1);
  request.body = received.substr(head + 4);
  const auto header = [&](const std::string& name) {
    const auto at = lower_case(received.substr(0, head)).find("\r\n" + name + ":");
    if (at == std::string::npos) return std::string();
    const auto begin = at + name.size() + 3;
    return std::string(trimmed(received.substr(begin, received.find("\r\n", begin) - begin)));
  };
  request.authorization = header("authorization");
  request.token = header("x-auth-token");
  const auto answered = answer(request);
  if (answered.status == 0) return;
  const auto body = !answered.raw.empty() ? answered.raw : answered.body.is_null() ? "" : answered.body.dump();
  char date[64];
  const auto now = std::time(nullptr);
  std::strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", std::gmtime(&now));
  const auto text = fmt::format("HTTP/1.1 {} X\r\nDate: {}\r\nContent-Length: {}\r\nConnection: close\r\n{}\r\n{}",
                                answered.status, date, body.size(), answered.headers, body);
  SSL_write(ssl.get(), text.data(), static_cast<int>(text.size()));
  SSL_shutdown(ssl.get());
}

RedfishSimulator::Answer RedfishSimulator::answer(const Request& request) {
  {
    std::unique_lock lock(mutex_);
    if (trouble_ == Trouble::dead || trouble_ == Trouble::slow) {
      changed_.wait_for(lock, trouble_ == Trouble::slow ? kSlow : std::chrono::hours(1), [&] { return ending_; });
      if (ending_) return {.status = 0};
    }
    const auto fixed = fixed_answers_.find(request.path);
    if (fixed != fixed_answers_.end() && request.method == "GET") return {.raw = fixed->second};
  }
  if (request.path == kSessions && request.method == "POST") return log_in(request);
  const std::lock_guard lock(mutex_);
  if (request.path == kRoot) return {.body = {{"RedfishVersion", "1.15.0"}, {"Systems", link(kSystems)}}};
  const bool by_session = std::any_of(sessions_.begin(), sessions_.end(),
                                      [&](const auto& session) { return session.second == request.token; });
  const bool by_user = request.authorization == "Basic " + to_base64(ways_.user + ":" + kPassword);
  if (!by_session && !by_user) {
    if (!request.authorization.empty()) ++refused_logins_;
    return {.status = 401, .body = {{"error", {{"message", "who are you?"}}}}};
  }
  if (request.method == "DELETE") return {.status = sessions_.erase(request.path) == 1 ? 204 : 404};
  if (request.path == kSystems) {
    auto members = json::array();
    for (const auto& id : ways_.systems) members.push_back(link(fmt::format("{}/{}", kSystems, id)));
    return {.body = {{"Members", members}, {"Members@odata.count", members.size()}}};
  }
  if (request.path == kActionInfo) {
    return {.body = {{"Parameters", json::array({{{"Name", "ResetType"}, {"AllowableValues", ways_.resets}}})}}};
  }
  for (const auto& id : ways_.systems) {
    const auto path = fmt::format("{}/{}", kSystems, id);
    if (request.path == path) return show_system(id);
    if (request.path == path + "/Actions/ComputerSystem.Reset" && request.method == "POST") return reset(request);
  }
  return {.status = 404};
}

RedfishSimulator::Answer RedfishSimulator::log_in(const Request& request) {
  const auto body = json::parse(request.body, nullptr, false);
  const std::lock_guard lock(mutex_);
  if (!ways_.has_sessions) return {.status = 404};
  if (!body.is_object() || body.value("UserName", "") != ways_.user || body.value("Password", "") != kPassword) {
    ++refused_logins_;
    return {.status = 401, .body = {{"error", {{"message", "wrong user or password"}}}}};
  }
  const auto path = fmt::format("{}/{}", kSessions, next_session_);
  const auto token = fmt::format("token{}", next_session_++);
  sessions_[path] = token;
  return {.status = 201,
          .body = {{"Id", path}},
          .headers = fmt::format("X-Auth-Token: {}\r\nLocation: https://127.0.0.1:{}{}\r\n", token, port_, path)};
}

RedfishSimulator::Answer RedfishSimulator::show_system(const std::string& id) {
  const auto path = fmt::format("{}/{}", kSystems, id);
  json action{{"target", path + "/Actions/ComputerSystem.Reset"}};
  if (ways_.resets_by_action_info) {
    action["@Redfish.ActionInfo"] = kActionInfo;
  } else if (!ways_.resets.empty()) {
    action["ResetType@Redfish.AllowableValues"] = ways_.resets;
  }
  return {.body = {{"Id", id},
                   {"UUID", "uuid-of-" + id},
                   {"PowerState", on_ && trouble_ != Trouble::lying ? "On" : "Off"},
                   {"Actions", {{"#ComputerSystem.Reset", action}}}}};
}

RedfishSimulator::Answer RedfishSimulator::reset(const Request& request) {
  const auto body = json::parse(request.body, nullptr, false);
  const auto type = body.is_object() ? body.value("ResetType", "") : "";
  if (!ways_.resets.empty() && std::find(ways_.resets.begin(), ways_.resets.end(), type) == ways_.resets.end()) {
    return {.status = 400, .body = {{"error", {{"message", "no such reset"}}}}};
  }
  if (trouble_ == Trouble::ignoring || trouble_ == Trouble::lying) return {.status = 204};
  const bool wanted = type == "On" || type == "ForceOn";
  if (wanted == on_) return {.status = 409, .body = {{"error", {{"message", "it is so already"}}}}};
  on_ = wanted;
  if (!on_) ++times_off_;
  return {.status = 204};
}

}  // namespace bridgehead::power::testing
