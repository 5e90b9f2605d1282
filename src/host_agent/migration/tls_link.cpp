#include "host_agent/migration/tls_link.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <cerrno>
#include <vector>

#include "host_agent/tls_io.h"
#include "pki/certificate.h"

namespace bridgehead::host_agent {
namespace {

constexpr char kPeer[] = "the other node";

Deadline in(std::chrono::milliseconds patience) { return std::chrono::steady_clock::now() + patience; }

struct FreeContext {
  void operator()(SSL_CTX* context) const { ::SSL_CTX_free(context); }
};
struct FreeBio {
  void operator()(BIO* bio) const { ::BIO_free(bio); }
};
struct FreeCertificate {
  void operator()(X509* certificate) const { ::X509_free(certificate); }
};
struct FreeKey {
  void operator()(EVP_PKEY* key) const { ::EVP_PKEY_free(key); }
};
using Context = std::unique_ptr<SSL_CTX, FreeContext>;
using Bio = std::unique_ptr<BIO, FreeBio>;
using Certificate = std::unique_ptr<X509, FreeCertificate>;
using Key = std::unique_ptr<EVP_PKEY, FreeKey>;

Bio memory(const std::string& text) { return Bio(::BIO_new_mem_buf(text.data(), static_cast<int>(text.size()))); }

// One of the cluster's agents, as client and as server alike: a node's certificate is made for clients, and whose it
// is is checked afterwards.
Result<Context> make_context(const Identity& own) {
  Context context(::SSL_CTX_new(TLS_method()));
  const auto certificate_text = memory(own.certificate_pem);
  const auto key_text = memory(own.key_pem);
  const auto ca_text = memory(own.ca_pem);
  const Certificate certificate(::PEM_read_bio_X509(certificate_text.get(), nullptr, nullptr, nullptr));
  const Key key(::PEM_read_bio_PrivateKey(key_text.get(), nullptr, nullptr, nullptr));
  const Certificate ca(::PEM_read_bio_X509(ca_text.get(), nullptr, nullptr, nullptr));
  if (!context || !certificate || !key || !ca || ::SSL_CTX_use_certificate(context.get(), certificate.get()) != 1 ||
      ::SSL_CTX_use_PrivateKey(context.get(), key.get()) != 1 ||
      ::X509_STORE_add_cert(::SSL_CTX_get_cert_store(context.get()), ca.get()) != 1 ||
      ::SSL_CTX_set_min_proto_version(context.get(), TLS1_3_VERSION) != 1) {
    return fail(ErrorCode::data_corrupt, "this node's certificate can't be used: {}", tls_reason());
  }
  ::X509_VERIFY_PARAM_set_purpose(::SSL_CTX_get0_param(context.get()), X509_PURPOSE_ANY);
  ::SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  (void)::SSL_CTX_set_num_tickets(context.get(), 0);  // no link is ever resumed
  ::SSL_CTX_set_mode(context.get(), SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  return context;
}

Status set_nonblocking(int fd) {
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags < 0 || ::fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0) return fail_errno(errno, "fcntl");
  return {};
}

// A node that is gone without a word is noticed after half a minute. (A Unix socket has none of these.)
void prepare_tcp(int fd) {
  const auto set = [fd](int level, int name, int value) { (void)::setsockopt(fd, level, name, &value, sizeof value); };
  set(IPPROTO_TCP, TCP_NODELAY, 1);
  set(SOL_SOCKET, SO_KEEPALIVE, 1);
  set(IPPROTO_TCP, TCP_KEEPIDLE, 15);
  set(IPPROTO_TCP, TCP_KEEPINTVL, 5);
  set(IPPROTO_TCP, TCP_KEEPCNT, 3);
}

Status check_peer(SSL* ssl, const model::NodeId& wanted) {
  const Certificate certificate(::SSL_get1_peer_certificate(ssl));
  if (!certificate) return fail(ErrorCode::permission_denied, "the other side shows no certificate");
  const auto node = pki::certificate_node_id(to_pem(certificate.get()));
  if (!node) return forward(node);
  if (*node == wanted) return {};
  return fail(ErrorCode::permission_denied, "the other side is node {}, not {}", *node, wanted);
}

}  // namespace

void TlsLink::Free::operator()(ssl_st* ssl) const { ::SSL_free(ssl); }

Result<TlsLink> TlsLink::shake_hands(UniqueFd socket, const Identity& own, const model::NodeId& peer,
                                     std::chrono::milliseconds patience, bool server) {
  const auto context = make_context(own);
  if (!context) return forward(context);
  if (auto set = set_nonblocking(socket.get()); !set) return forward(set);
  prepare_tcp(socket.get());
  std::unique_ptr<ssl_st, Free> ssl(::SSL_new(context->get()));
  if (!ssl || ::SSL_set_fd(ssl.get(), socket.get()) != 1) return fail(ErrorCode::internal, "TLS: {}", tls_reason());
  auto done = drive_tls(ssl.get(), socket.get(), in(patience), kPeer,
                        [&] { return server ? ::SSL_accept(ssl.get()) : ::SSL_connect(ssl.get()); });
  if (!done) return forward(done);
  if (auto right = check_peer(ssl.get(), peer); !right) return forward(right);
  return TlsLink(std::move(socket), std::move(ssl));
}

Result<TlsLink> TlsLink::as_server(UniqueFd socket, const Identity& own, const model::NodeId& peer,
                                   std::chrono::milliseconds patience) {
  return shake_hands(std::move(socket), own, peer, patience, true);
}

Result<TlsLink> TlsLink::as_client(UniqueFd socket, const Identity& own, const model::NodeId& peer,
                                   std::chrono::milliseconds patience) {
  return shake_hands(std::move(socket), own, peer, patience, false);
}

Status TlsLink::send_tag(char tag) {
  return drive_tls(ssl_.get(), socket_.get(), in(std::chrono::seconds(10)), kPeer,
                   [&] { return ::SSL_write(ssl_.get(), &tag, 1); });
}

Result<char> TlsLink::receive_tag(std::chrono::milliseconds patience) {
  char tag = 0;
  auto got = drive_tls(ssl_.get(), socket_.get(), in(patience), kPeer, [&] { return ::SSL_read(ssl_.get(), &tag, 1); });
  if (!got) return forward(got);
  return tag;
}

namespace {

// Bytes on their way in one direction.
struct Lane {
  static constexpr std::size_t kRoom = 256 << 10;
  std::vector<char> bytes = std::vector<char>(kRoom);
  std::size_t begin = 0;
  std::size_t end = 0;
  bool source_ended = false;
  bool passed_on = false;  // that it ended, to the other side

  bool empty() const { return begin == end; }
  bool wants_more() const { return empty() && !source_ended; }
  bool to_end() const { return empty() && source_ended && !passed_on; }
  void took(std::size_t count) {
    begin += count;
    if (begin == end) begin = end = 0;
  }
};

class Relay {
 public:
  Relay(SSL* ssl, int tls, int local) : ssl_(ssl), tls_(tls), local_(local) {}

  void run(int stop_fd) {
    while (step()) {
      if (outward_.passed_on && inward_.passed_on) return;
      if (!wait(stop_fd)) return;
    }
  }

 private:
  // Moves what can be moved without waiting; false: a side broke.
  bool step() {
    tls_wants_ = 0;
    for (bool moved = true; moved;) {
      moved = false;
      if (!read_local(moved) || !write_tls(moved) || !read_tls(moved) || !write_local(moved)) return false;
    }
    if (outward_.to_end()) {
      const int result = ::SSL_shutdown(ssl_);  // tells the other side; what it still sends is read on
      outward_.passed_on = result >= 0;
      if (result < 0 && !waits(result)) return false;
    }
    if (inward_.to_end()) {
      inward_.passed_on = true;
      (void)::shutdown(local_, SHUT_WR);
    }
    return true;
  }

  bool read_local(bool& moved) {
    if (!outward_.wants_more()) return true;
    const auto got = ::read(local_, outward_.bytes.data(), outward_.bytes.size());
    if (got < 0) return errno == EAGAIN || errno == EINTR;
    moved = true;
    outward_.source_ended = got == 0;
    outward_.end = static_cast<std::size_t>(got);
    return true;
  }

  bool write_local(bool& moved) {
    if (inward_.empty()) return true;
    const auto sent = ::send(local_, inward_.bytes.data() + inward_.begin, inward_.end - inward_.begin, MSG_NOSIGNAL);
    if (sent < 0) return errno == EAGAIN || errno == EINTR;
    moved = true;
    inward_.took(static_cast<std::size_t>(sent));
    return true;
  }

  bool write_tls(bool& moved) {
    if (outward_.empty()) return true;
    std::size_t sent = 0;
    const int result =
        ::SSL_write_ex(ssl_, outward_.bytes.data() + outward_.begin, outward_.end - outward_.begin, &sent);
    if (result != 1) return waits(result);
    moved = true;
    outward_.took(sent);
    return true;
  }

  bool read_tls(bool& moved) {
    if (!inward_.wants_more()) return true;
    std::size_t got = 0;
    const int result = ::SSL_read_ex(ssl_, inward_.bytes.data(), inward_.bytes.size(), &got);
    if (result == 1) {
      moved = true;
      inward_.end = got;
      return true;
    }
    if (::SSL_get_error(ssl_, result) == SSL_ERROR_ZERO_RETURN) {
      moved = true;
      inward_.source_ended = true;
      return true;
    }
    return waits(result);
  }

  bool waits(int result) {
    const int error = ::SSL_get_error(ssl_, result);
    if (error == SSL_ERROR_WANT_READ) {
      tls_wants_ |= POLLIN;
    } else if (error == SSL_ERROR_WANT_WRITE) {
      tls_wants_ |= POLLOUT;
    } else {
      ::ERR_clear_error();
      return false;
    }
    return true;
  }

  bool wait(int stop_fd) {
    const auto local_wants = static_cast<short>((outward_.wants_more() ? POLLIN : 0) | (inward_.empty() ? 0 : POLLOUT));
    pollfd entries[] = {{.fd = stop_fd, .events = POLLIN, .revents = 0},
                        {.fd = tls_wants_ == 0 ? -1 : tls_, .events = tls_wants_, .revents = 0},
                        {.fd = local_wants == 0 ? -1 : local_, .events = local_wants, .revents = 0}};
    const int ready = ::poll(entries, 3, -1);
    if (ready < 0 && errno != EINTR) return false;
    return ready < 0 || entries[0].revents == 0;
  }

  SSL* ssl_;
  int tls_;
  int local_;
  short tls_wants_ = 0;
  Lane outward_;  // local -> TLS
  Lane inward_;   // TLS -> local
};

}  // namespace

void TlsLink::relay(UniqueFd local, int stop_fd) {
  if (!set_nonblocking(local.get())) return;
  Relay(ssl_.get(), socket_.get(), local.get()).run(stop_fd);
}

Result<UniqueFd> connect_to(const std::string& address, std::uint16_t port, std::chrono::milliseconds patience) {
  sockaddr_storage storage{};
  socklen_t size = 0;
  auto* four = reinterpret_cast<sockaddr_in*>(&storage);
  auto* six = reinterpret_cast<sockaddr_in6*>(&storage);
  if (::inet_pton(AF_INET, address.c_str(), &four->sin_addr) == 1) {
    four->sin_family = AF_INET;
    four->sin_port = htons(port);
    size = sizeof *four;
  } else if (::inet_pton(AF_INET6, address.c_str(), &six->sin6_addr) == 1) {
    six->sin6_family = AF_INET6;
    six->sin6_port = htons(port);
    size = sizeof *six;
  } else {
    return fail(ErrorCode::invalid_argument, "'{}' is not an IP address", address);
  }
  return connect_before(in(patience), reinterpret_cast<sockaddr*>(&storage), size,
                        fmt::format("{} port {}", address, port));
}

Result<UniqueFd> connect_to(const std::string& path, std::chrono::milliseconds patience) {
  const UniqueFd there(::open(path.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
  struct stat status {};
  if (!there || ::fstat(there.get(), &status) != 0) return fail_errno(errno, "open " + path);
  if (!S_ISSOCK(status.st_mode)) return fail(ErrorCode::failed_precondition, "{} is no socket", path);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const auto by_fd = fmt::format("/proc/self/fd/{}", there.get());
  by_fd.copy(address.sun_path, by_fd.size());
  UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!socket) return fail_errno(errno, "socket");
  // A Unix socket's connect() waits for as long as the other side's backlog is full.
  const auto whole = std::chrono::floor<std::chrono::seconds>(patience);
  const timeval longest{.tv_sec = whole.count(),
                        .tv_usec = std::chrono::duration_cast<std::chrono::microseconds>(patience - whole).count()};
  if (::setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &longest, sizeof longest) != 0) {
    return fail_errno(errno, "setsockopt");
  }
  if (::connect(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    if (errno == EAGAIN) return fail(ErrorCode::unavailable, "{} takes no more connections", path);
    return fail_errno(errno, "connect to " + path);
  }
  return socket;
}

}  // namespace bridgehead::host_agent
