#include "host_agent/tls_io.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <poll.h>

#include <cerrno>
#include <memory>

namespace bridgehead::host_agent {

Status wait_for(int fd, short events, Deadline deadline, const std::string& who) {
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    if (left.count() <= 0) return fail(ErrorCode::timeout, "{} doesn't answer", who);
    pollfd entry{.fd = fd, .events = events, .revents = 0};
    const int ready = ::poll(&entry, 1, static_cast<int>(left.count()));
    if (ready > 0) return {};
    if (ready < 0 && errno != EINTR) return fail_errno(errno, "poll");
  }
}

Result<UniqueFd> connect_before(Deadline deadline, const sockaddr* address, socklen_t size, const std::string& who) {
  const auto refused = [&](int error) {
    return fail(ErrorCode::unavailable, "{} can't be reached: {}", who, std::generic_category().message(error));
  };
  UniqueFd socket(::socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket) return fail_errno(errno, "socket");
  if (::connect(socket.get(), address, size) == 0) return socket;
  if (errno != EINPROGRESS) return refused(errno);
  if (auto waited = wait_for(socket.get(), POLLOUT, deadline, who); !waited) return forward(waited);
  int error = 0;
  socklen_t length = sizeof error;
  (void)::getsockopt(socket.get(), SOL_SOCKET, SO_ERROR, &error, &length);
  if (error != 0) return refused(error);
  return socket;
}

Status drive_tls(SSL* ssl, int fd, Deadline deadline, const std::string& who, const std::function<int()>& call) {
  for (;;) {
    const int result = call();
    if (result > 0) return {};
    const int error = ::SSL_get_error(ssl, result);
    if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE) {
      return fail(ErrorCode::unavailable, "TLS with {} failed: {}", who, tls_reason());
    }
    const short events = error == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT;
    if (auto waited = wait_for(fd, events, deadline, who); !waited) return waited;
  }
}

std::string tls_reason() {
  const auto code = ::ERR_get_error();
  ::ERR_clear_error();
  const char* text = code == 0 ? nullptr : ::ERR_reason_error_string(code);
  return text == nullptr ? "the connection was cut" : text;
}

std::string to_pem(X509* certificate) {
  const std::unique_ptr<BIO, decltype(&::BIO_free)> memory(::BIO_new(::BIO_s_mem()), &::BIO_free);
  if (!memory || ::PEM_write_bio_X509(memory.get(), certificate) != 1) return {};
  char* data = nullptr;
  const long size = BIO_get_mem_data(memory.get(), &data);
  return size > 0 ? std::string(data, static_cast<std::size_t>(size)) : std::string();
}

}  // namespace bridgehead::host_agent
