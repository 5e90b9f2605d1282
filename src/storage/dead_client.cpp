#include "storage/dead_client.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <memory>

#include "base/fd.h"
#include "model/enum_names.h"
#include "model/pool_rules.h"
#include "storage/cephfs/ceph_clients.h"
#include "storage/lustre/lustre_evict.h"
#include "storage/moosefs/moosefs_sessions.h"

namespace bridgehead::storage {
namespace {

// The address that this host has in the eyes of that server. Nothing is sent: a UDP socket only chooses its way.
Result<std::string> address_towards(const moosefs::Master& master) {
  addrinfo wanted{};
  wanted.ai_family = AF_INET;
  wanted.ai_socktype = SOCK_DGRAM;
  addrinfo* found = nullptr;
  if (const int code = ::getaddrinfo(master.host.c_str(), master.port.c_str(), &wanted, &found); code != 0) {
    return fail(ErrorCode::unavailable, "{}: {}", master.host, ::gai_strerror(code));
  }
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owned(found, &::freeaddrinfo);
  const UniqueFd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_in own{};
  socklen_t size = sizeof(own);
  if (!socket || ::connect(socket.get(), found->ai_addr, found->ai_addrlen) != 0 ||
      ::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&own), &size) != 0) {
    return fail_errno(errno, fmt::format("find the way to {}", master.host));
  }
  std::string text(INET_ADDRSTRLEN, '\0');
  if (::inet_ntop(AF_INET, &own.sin_addr, text.data(), INET_ADDRSTRLEN) == nullptr)
    return fail_errno(errno, "inet_ntop");
  text.resize(text.find('\0'));
  return text;
}

}  // namespace

Result<unsigned> free_dead_client(const model::Pool& pool, const std::vector<std::string>& addresses,
                                  CommandRunner& runner) {
  if (!model::can_free_locks(pool)) {
    return fail(ErrorCode::unsupported, "nobody can free a dead node's locks in the {} pool '{}'",
                model::to_string(pool.driver), pool.name);
  }
  // They were told by an agent, and may come to a shell on another machine.
  for (const auto& address : addresses) {
    in_addr parsed{};
    if (::inet_pton(AF_INET, address.c_str(), &parsed) != 1) {
      return fail(ErrorCode::invalid_argument, "a node's address isn't IPv4");
    }
  }
  switch (pool.driver) {
    case model::PoolDriver::moosefs: return moosefs::remove_sessions(pool, addresses, runner);
    case model::PoolDriver::cephfs: return cephfs::evict_clients(pool, addresses, runner);
    case model::PoolDriver::lustre: return lustre::evict_clients(pool, addresses, runner);
    case model::PoolDriver::local:
    case model::PoolDriver::nfs:
    case model::PoolDriver::posix: break;
  }
  return 0U;
}

// The others let go of a host's former client by themselves when it comes back under the same address.
Result<unsigned> free_own_dead_client(const model::Pool& pool, CommandRunner& runner) {
  if (pool.driver != model::PoolDriver::moosefs) return 0U;
  auto own = address_towards(moosefs::master_of(pool));
  if (!own) return forward(own);
  return moosefs::remove_sessions(pool, {*own}, runner);
}

}  // namespace bridgehead::storage
