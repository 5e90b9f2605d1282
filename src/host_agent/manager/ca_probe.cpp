#include "host_agent/manager/ca_probe.h"

#include <netdb.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>

#include "base/fd.h"
#include "pki/certificate.h"
#include "pki/tokens.h"

namespace bridgehead::host_agent {
namespace {

using Deadline = std::chrono::steady_clock::time_point;
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

Status wait_for(int fd, short events, Deadline deadline, const std::string& address) {
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    if (left.count() <= 0) return fail(ErrorCode::timeout, "the manager at {} does not answer", address);
    pollfd waiting{.fd = fd, .events = events, .revents = 0};
    const int ready = ::poll(&waiting, 1, static_cast<int>(left.count()));
    if (ready > 0) return {};
    if (ready < 0 && errno != EINTR) return fail_errno(errno, "poll");
  }
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
    UniqueFd fd(::socket(at->ai_family, at->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, at->ai_protocol));
    if (!fd) continue;
    if (::connect(fd.get(), at->ai_addr, at->ai_addrlen) != 0 && errno != EINPROGRESS) {
      failure = fail(ErrorCode::unavailable, "the manager at {} can't be reached: {}", address, std::strerror(errno));
      continue;
    }
    if (auto ready = wait_for(fd.get(), POLLOUT, deadline, address); !ready) return forward(ready);
    int error = 0;
    socklen_t size = sizeof error;
    ::getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error, &size);
    if (error == 0) return fd;
    failure = fail(ErrorCode::unavailable, "the manager at {} can't be reached: {}", address, std::strerror(error));
  }
  return failure;
}

Status handshake(SSL* ssl, int fd, Deadline deadline, const std::string& address) {
  for (;;) {
    const int result = ::SSL_connect(ssl);
    if (result == 1) return {};
    const int reason = ::SSL_get_error(ssl, result);
    if (reason != SSL_ERROR_WANT_READ && reason != SSL_ERROR_WANT_WRITE) {
      ::ERR_clear_error();
      return fail(ErrorCode::unavailable, "what listens at {} doesn't speak TLS as a manager does", address);
    }
    const short events = reason == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT;
    if (auto ready = wait_for(fd, events, deadline, address); !ready) return ready;
  }
}

std::string to_pem(X509* certificate) {
  const std::unique_ptr<BIO, decltype(&::BIO_free)> memory(::BIO_new(::BIO_s_mem()), &::BIO_free);
  if (!memory || ::PEM_write_bio_X509(memory.get(), certificate) != 1) return {};
  char* data = nullptr;
  const long size = ::BIO_get_mem_data(memory.get(), &data);
  return size > 0 ? std::string(data, static_cast<std::size_t>(size)) : std::string();
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
