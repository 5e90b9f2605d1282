// TlsLink: one TLS connection between two nodes of the cluster, each known by its agent's certificate; and the relay of
// bytes between such a link and a local socket. A link is used by one thread at a time; moving it is fine. The process
// must ignore SIGPIPE.
// Errors: unavailable (nobody answers), timeout, permission_denied (the peer is not the node that it should be),
// data_corrupt for a damaged identity.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "base/fd.h"
#include "base/result.h"
#include "host_agent/manager/identity.h"

struct ssl_st;

namespace bridgehead::host_agent {

class TlsLink {
 public:
  // `socket` is connected; the handshake must end within `patience`. The peer must present a certificate of the same CA
  // whose subject is `peer`.
  static Result<TlsLink> as_server(UniqueFd socket, const Identity& own, const model::NodeId& peer,
                                   std::chrono::milliseconds patience);
  static Result<TlsLink> as_client(UniqueFd socket, const Identity& own, const model::NodeId& peer,
                                   std::chrono::milliseconds patience);

  // One byte that says what the link is for.
  Status send_tag(char tag);
  Result<char> receive_tag(std::chrono::milliseconds patience);

  // Carries bytes both ways until both sides have ended, one of them breaks, or `stop_fd` becomes readable. A side that
  // ends has everything it sent delivered first.
  void relay(UniqueFd local, int stop_fd);

 private:
  struct Free {
    void operator()(ssl_st* ssl) const;
  };
  TlsLink(UniqueFd socket, std::unique_ptr<ssl_st, Free> ssl) : socket_(std::move(socket)), ssl_(std::move(ssl)) {}
  static Result<TlsLink> shake_hands(UniqueFd socket, const Identity& own, const model::NodeId& peer,
                                     std::chrono::milliseconds patience, bool server);

  UniqueFd socket_;
  std::unique_ptr<ssl_st, Free> ssl_;
};

// A connected TCP socket, or why there is none. `address`: IPv4 or IPv6 literal.
Result<UniqueFd> connect_to(const std::string& address, std::uint16_t port, std::chrono::milliseconds patience);
// A connected Unix socket. Not through a symbolic link. unavailable: it took no connection for so long.
Result<UniqueFd> connect_to(const std::string& path, std::chrono::milliseconds patience);

}  // namespace bridgehead::host_agent
