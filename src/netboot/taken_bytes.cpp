#include "netboot/taken_bytes.h"

#include <arpa/inet.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <vector>

#include "base/fd.h"

namespace bridgehead::netboot {
namespace {

constexpr unsigned kEstablished = 1U << 1;  // TCP_ESTABLISHED of the kernel's tcp_states.h

struct Request {
  nlmsghdr header;
  inet_diag_req_v2 ask;
};

// As the kernel writes a peer of `family`: an IPv4 address, also where the server listens on both.
std::array<std::uint32_t, 4> written(int family, in_addr address) {
  if (family == AF_INET) return {address.s_addr, 0, 0, 0};
  return {0, 0, htonl(0xffff), address.s_addr};
}

std::optional<std::uint64_t> acknowledged(const nlmsghdr* message) {
  const auto* socket = static_cast<const inet_diag_msg*>(NLMSG_DATA(message));
  auto left = static_cast<int>(message->nlmsg_len - NLMSG_LENGTH(sizeof(inet_diag_msg)));
  for (const auto* part = reinterpret_cast<const rtattr*>(socket + 1); RTA_OK(part, left);
       part = RTA_NEXT(part, left)) {
    if (part->rta_type != INET_DIAG_INFO) continue;
    tcp_info info{};
    const auto size = std::min<std::size_t>(RTA_PAYLOAD(part), sizeof info);
    if (size < offsetof(tcp_info, tcpi_bytes_acked) + sizeof info.tcpi_bytes_acked) return std::nullopt;
    std::memcpy(&info, RTA_DATA(part), size);
    return info.tcpi_bytes_acked;
  }
  return std::nullopt;
}

// Of all connections of that family. Nothing: there are none.
std::optional<std::uint64_t> count(int netlink, int family, in_addr address, std::uint16_t port) {
  Request request{};
  request.header.nlmsg_len = sizeof request;
  request.header.nlmsg_type = SOCK_DIAG_BY_FAMILY;
  request.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  request.ask.sdiag_family = static_cast<__u8>(family);
  request.ask.sdiag_protocol = IPPROTO_TCP;
  request.ask.idiag_ext = 1U << (INET_DIAG_INFO - 1);
  request.ask.idiag_states = kEstablished;
  request.ask.id.idiag_sport = htons(port);
  if (::send(netlink, &request, sizeof request, 0) < 0) return std::nullopt;
  const auto peer = written(family, address);
  std::optional<std::uint64_t> bytes;
  std::vector<char> buffer(64 << 10);
  for (;;) {
    const auto got = ::recv(netlink, buffer.data(), buffer.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return bytes;
    auto left = static_cast<unsigned>(got);
    for (const auto* message = reinterpret_cast<const nlmsghdr*>(buffer.data()); NLMSG_OK(message, left);
         message = NLMSG_NEXT(message, left)) {
      if (message->nlmsg_type == NLMSG_DONE || message->nlmsg_type == NLMSG_ERROR) return bytes;
      const auto* socket = static_cast<const inet_diag_msg*>(NLMSG_DATA(message));
      if (message->nlmsg_len < NLMSG_LENGTH(sizeof(inet_diag_msg)) || socket->id.idiag_sport != htons(port) ||
          std::memcmp(socket->id.idiag_dst, peer.data(), sizeof peer) != 0) {
        continue;
      }
      if (const auto one = acknowledged(message)) bytes = bytes.value_or(0) + *one;
    }
  }
}

}  // namespace

std::optional<Bytes> taken_bytes(const std::string& address, std::uint16_t port) {
  in_addr peer{};
  if (::inet_pton(AF_INET, address.c_str(), &peer) != 1) return std::nullopt;
  const UniqueFd netlink(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG));
  if (!netlink) return std::nullopt;
  const timeval patience{.tv_sec = 2, .tv_usec = 0};
  ::setsockopt(netlink.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  std::optional<std::uint64_t> bytes;
  for (const int family : {AF_INET, AF_INET6}) {
    if (const auto some = count(netlink.get(), family, peer, port)) bytes = bytes.value_or(0) + *some;
  }
  return bytes ? std::optional(Bytes(*bytes)) : std::nullopt;
}

}  // namespace bridgehead::netboot
