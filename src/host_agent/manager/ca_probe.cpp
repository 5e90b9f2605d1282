#include "host_agent/manager/ca_probe.h"

#include <netdb.h>

#include "host_agent/tls_io.h"
#include "pki/certificate.h"
#include "pki/tokens.h"

namespace bridgehead::host_agent {
namespace {

using SslContext = std::unique_ptr<SSL_CTX, decltype(&::SSL_CTX_free)>;
using SslSession = std::unique_ptr<SSL, decltype(&::SSL_free)>;

struct HostAndPort {
  std::string host;
  std::string port;
};

Result<HostAndPort> split(const std::string& address) {
  const auto colon = address.rfind(':');
  if (colon == std::string::npos || colon == 0 || colon + 1 == address.size()) {
    return fail(ErrorCode::invalid_argument, "'{}' is not an address of the form host:port", address);
  }
  auto host = address.substr(0, colon);
  if (host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  return HostAndPort{host, address.substr(colon + 1)};
}

Result<UniqueFd> connect_to(const std::string& address, Deadline deadline) {
  const auto parts = split(address);
  if (!parts) return forward(parts);
  const addrinfo hints{.ai_flags = AI_ADDRCONFIG, .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
  addrinfo* list = nullptr;
  if (const int error = ::getaddrinfo(parts->host.c_str(), parts->port.c_str(), &hints, &list); error != 0) {
    return fail(ErrorCode::unavailable, "the manager's address '{}' can't be resolved: {}", parts->host,
                ::gai_strerror(error));
  }
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(list, &::freeaddrinfo);
  auto failure = fail(ErrorCode::unavailable, "the manager at {} can't be reached", address);
  for (const addrinfo* at = list; at != nullptr; at = at->ai_next) {
    auto socket = connect_before(deadline, at->ai_addr, at->ai_addrlen, fmt::format("the manager at {}", address));
    if (socket || socket.error().code == ErrorCode::timeout) return socket;
    failure = forward(socket);
  }
  return failure;
}

Status handshake(SSL* ssl, int fd, Deadline deadline, const std::string& address) {
  auto shaken =
      drive_tls(ssl, fd, deadline, fmt::format("the manager at {}", address), [&] { return ::SSL_connect(ssl); });
  if (shaken || shaken.error().code == ErrorCode::timeout) return shaken;
  return fail(ErrorCode::unavailable, "what listens at {} doesn't speak TLS as a manager does", address);
}

}  // namespace

Result<std::string> fetch_ca(const std::string& address, const std::string& fingerprint, std::chrono::seconds timeout) {
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  auto fd = connect_to(address, deadline);
  if (!fd) return forward(fd);
  const SslContext context(::SSL_CTX_new(::TLS_client_method()), &::SSL_CTX_free);
  if (!context) return fail(ErrorCode::internal, "OpenSSL gives no context");
  // Nothing is sent over this connection and nothing from it is believed but what the fingerprint proves.
  ::SSL_CTX_set_verify(context.get(), SSL_VERIFY_NONE, nullptr);
  const SslSession ssl(::SSL_new(context.get()), &::SSL_free);
  constexpr unsigned char h2[] = {2, 'h', '2'};
  if (!ssl || ::SSL_set_alpn_protos(ssl.get(), h2, sizeof h2) != 0 || ::SSL_set_fd(ssl.get(), fd->get()) != 1) {
    return fail(ErrorCode::internal, "OpenSSL gives no session");
  }
  if (auto shaken = handshake(ssl.get(), fd->get(), deadline, address); !shaken) return forward(shaken);
  const STACK_OF(X509)* chain = ::SSL_get_peer_cert_chain(ssl.get());
  for (int i = 0; chain != nullptr && i < sk_X509_num(chain); ++i) {
    auto pem = to_pem(sk_X509_value(chain, i));
    const auto found = pki::certificate_fingerprint(pem);
    if (found && pki::equal_in_constant_time(*found, fingerprint)) return pem;
  }
  return fail_with_hint(ErrorCode::permission_denied,
                        fmt::format("the manager at {} is not the one that the join token is from", address),
                        "Check the address; a new token comes from 'bh node join-token' on the right manager.");
}

}  // namespace bridgehead::host_agent
