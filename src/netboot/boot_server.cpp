#include "netboot/boot_server.h"

#include <arpa/inet.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "netboot/boot_loop.h"
#include "netboot/messages.h"

namespace bridgehead::netboot {
namespace {

struct ListenAddress {
  sockaddr_storage storage{};
  socklen_t length = 0;
};

Result<ListenAddress> parse_listen_address(const std::string& text, std::uint16_t port) {
  ListenAddress result;
  auto& v4 = reinterpret_cast<sockaddr_in&>(result.storage);
  auto& v6 = reinterpret_cast<sockaddr_in6&>(result.storage);
  if (::inet_pton(AF_INET, text.c_str(), &v4.sin_addr) == 1) {
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    result.length = sizeof v4;
  } else if (::inet_pton(AF_INET6, text.c_str(), &v6.sin6_addr) == 1) {
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(port);
    result.length = sizeof v6;
  } else {
    return fail(ErrorCode::invalid_argument, "'{}' is no IP address that the boot server could listen on", text);
  }
  return result;
}

Result<UniqueFd> listen_on(const std::string& text, std::uint16_t port) {
  const auto address = parse_listen_address(text, port);
  if (!address) return forward(address);
  UniqueFd socket(::socket(address->storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!socket) return fail_errno(errno, "socket");
  const int on = 1;
  ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address->storage), address->length) != 0 ||
      ::listen(socket.get(), 4096) != 0) {
    if (errno == EADDRINUSE) {
      return fail_with_hint(ErrorCode::unavailable,
                            fmt::format("port {} of {} is taken by another program", port, text),
                            fmt::format("ss -ltnp 'sport = :{}' says by which", port));
    }
    return fail_errno(errno, fmt::format("listen on {} port {}", text, port));
  }
  return socket;
}

std::uint16_t port_of(const UniqueFd& socket) {
  sockaddr_storage address{};
  socklen_t length = sizeof address;
  ::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&address), &length);
  return ntohs(address.ss_family == AF_INET ? reinterpret_cast<const sockaddr_in&>(address).sin_port
                                            : reinterpret_cast<const sockaddr_in6&>(address).sin6_port);
}

// Each connection may have its socket and one file open. The soft limit is raised as far as it may be.
std::size_t possible_connections(std::size_t wanted) {
  constexpr rlim_t kOthers = 512;
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return wanted;
  const rlim_t needed = 2 * wanted + kOthers;
  if (limit.rlim_cur < needed) {
    limit.rlim_cur = std::min<rlim_t>(needed, limit.rlim_max);
    ::setrlimit(RLIMIT_NOFILE, &limit);
  }
  if (limit.rlim_cur >= needed) return wanted;
  const auto possible = limit.rlim_cur > kOthers ? (limit.rlim_cur - kOthers) / 2 : 16;
  log::warning(boot_server_few_files, "{} open files are possible: at most {} connections instead of {}",
               limit.rlim_cur, possible, wanted);
  return possible;
}

}  // namespace

class BootServer::Engine {
 public:
  Engine(UniqueFd socket, const BootServerOptions& options, BootSite& site)
      : listener(std::move(socket)), workers(options.workers) {
    shared.options = options;
    shared.options.connections = possible_connections(options.connections);
    shared.site = &site;
    port = port_of(listener);
  }
  // Workers first: none may call the site or a loop afterwards.
  void stop() {
    workers.stop();
    for (auto& loop : loops) loop->stop();
    listener.reset();
  }

  UniqueFd listener;
  BootShared shared;
  WorkerPool workers;
  std::vector<std::unique_ptr<BootLoop>> loops;
  std::uint16_t port = 0;
};

BootServer::BootServer(std::unique_ptr<Engine> engine) : engine_(std::move(engine)) {}

Result<std::unique_ptr<BootServer>> BootServer::start(const BootServerOptions& options, BootSite& site) {
  auto socket = listen_on(options.address, options.port);
  if (!socket) return forward(socket);
  std::unique_ptr<BootServer> server(new BootServer(std::make_unique<Engine>(std::move(*socket), options, site)));
  auto& engine = *server->engine_;
  for (std::size_t i = 0; i < std::max<std::size_t>(options.threads, 1); ++i) {
    auto loop = BootLoop::start(engine.listener.get(), engine.shared, engine.workers);
    if (!loop) return forward(loop);
    engine.loops.push_back(std::move(*loop));
  }
  log::info(boot_server_listens, "http://{}:{}", options.address, engine.port);
  return server;
}

BootServer::~BootServer() { stop(); }
void BootServer::stop() { engine_->stop(); }
std::uint16_t BootServer::port() const { return engine_->port; }

BootServerStatistics BootServer::statistics() const {
  const auto& shared = engine_->shared;
  return {shared.requests.load(), shared.sent.load(), shared.open.load(), shared.refused.load()};
}

Bytes BootServer::sent_to(std::string_view address) const { return engine_->shared.traffic.sent_to(address); }
std::optional<Bytes> BootServer::sent_in_boot(std::string_view address) const {
  return engine_->shared.traffic.sent_in_boot(address);
}

}  // namespace bridgehead::netboot
