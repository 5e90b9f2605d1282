#include "host_agent/migration/relay_threads.h"

#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cerrno>

namespace bridgehead::host_agent {
namespace {

// At once. A migration needs two, and one for each disk that goes along; libvirt may open another.
constexpr std::size_t kMostConnections = 64;

}  // namespace

StopSignal::StopSignal() : fd_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

void StopSignal::raise() const {
  const std::uint64_t one = 1;
  (void)!::write(fd_.get(), &one, sizeof one);
}

void RelayThreads::listen(UniqueFd listener, Serve serve) {
  const std::lock_guard lock(mutex_);
  if (stopping_) return;
  const int fd = listener.get();
  listeners_.push_back(std::move(listener));
  acceptors_.emplace_back([this, fd, serve = std::move(serve)] { accept_all(fd, serve); });
}

void RelayThreads::accept_all(int listener, const Serve& serve) {
  for (;;) {
    pollfd entries[] = {{.fd = listener, .events = POLLIN, .revents = 0},
                        {.fd = stop_.fd(), .events = POLLIN, .revents = 0}};
    if (::poll(entries, 2, -1) < 0 && errno != EINTR) return;
    if (entries[1].revents != 0) return;
    if (entries[0].revents == 0) continue;
    UniqueFd connection(::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC));
    if (!connection) {
      // Out of descriptors, say: it is still there, and poll() would come back at once.
      (void)::poll(&entries[1], 1, errno == EAGAIN || errno == EINTR || errno == ECONNABORTED ? 0 : 100);
      continue;
    }
    const std::lock_guard lock(mutex_);
    if (stopping_) return;
    connections_.remove_if([](Connection& one) {
      if (one.ended) one.thread.join();
      return one.ended.load();
    });
    if (connections_.size() >= kMostConnections) continue;
    auto& one = connections_.emplace_back();
    one.thread = std::thread([this, serve, &one, taken = connection.release()] {
      serve(UniqueFd(taken), stop_.fd());
      one.ended = true;
    });
  }
}

void RelayThreads::stop() {
  std::list<std::thread> acceptors;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    acceptors.swap(acceptors_);
  }
  stop_.raise();
  for (auto& thread : acceptors) thread.join();
  // Nobody adds any more, and a connection takes no lock.
  const std::lock_guard lock(mutex_);
  for (auto& one : connections_) one.thread.join();
  connections_.clear();
  listeners_.clear();
}

Result<UniqueFd> listen_at(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return fail(ErrorCode::invalid_argument, "{} is too long", path);
  path.copy(address.sun_path, path.size());
  (void)::unlink(path.c_str());
  UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket) return fail_errno(errno, "socket");
  // Of the socket before it has a name: what lies there afterwards may be another file.
  if (::fchmod(socket.get(), 0600) != 0 ||
      ::bind(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(socket.get(), 8) != 0) {
    return fail_errno(errno, "listen at " + path);
  }
  return socket;
}

Result<UniqueFd> listen_anywhere(std::uint16_t& port) {
  UniqueFd socket(::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  sockaddr_in6 six{};
  six.sin6_family = AF_INET6;
  const int off = 0;
  socklen_t size = sizeof six;
  if (socket && ::setsockopt(socket.get(), IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off) == 0 &&
      ::bind(socket.get(), reinterpret_cast<sockaddr*>(&six), size) == 0 && ::listen(socket.get(), 8) == 0 &&
      ::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&six), &size) == 0) {
    port = ntohs(six.sin6_port);
    return socket;
  }
  // A kernel without IPv6.
  socket.reset(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  sockaddr_in four{};
  four.sin_family = AF_INET;
  size = sizeof four;
  if (!socket || ::bind(socket.get(), reinterpret_cast<sockaddr*>(&four), size) != 0 ||
      ::listen(socket.get(), 8) != 0 || ::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&four), &size) != 0) {
    return fail_errno(errno, "listen for a migration");
  }
  port = ntohs(four.sin_port);
  return socket;
}

}  // namespace bridgehead::host_agent
