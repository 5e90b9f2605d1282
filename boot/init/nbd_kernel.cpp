#include "nbd_kernel.h"

#include <fcntl.h>
#include <linux/genetlink.h>
#include <linux/nbd-netlink.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "http_client.h"
#include "text.h"

namespace bridgehead::init {
namespace {

// A host that dies silently is noticed after about these times: data that isn't acknowledged, and silence on an idle
// connection. A server that hangs while its kernel answers is found by the requests' own timeout.
constexpr unsigned unacknowledged_limit_ms = 5000;
constexpr int idle_seconds = 2;
constexpr int probe_interval_seconds = 1;
constexpr int probes = 3;
// A root never goes away: requests wait this long for a server before they fail.
constexpr std::uint64_t dead_connection_seconds = 365 * 24 * 3600;
constexpr std::uint64_t page_size = 4096;

template <typename T>
void set_option(int fd, int level, int name, T value) {
  ::setsockopt(fd, level, name, &value, sizeof value);
}

void set_timeouts(int fd) {
  set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
  set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, idle_seconds);
  set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, probe_interval_seconds);
  set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, probes);
  set_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, unacknowledged_limit_ms);
  set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
}

Status exchange_handshake(int fd, NbdHandshake& handshake, Deadline deadline) {
  std::array<char, 4096> buffer;
  while (!handshake.complete()) {
    pollfd waiting{fd, POLLIN, 0};
    const int count = ::poll(&waiting, 1, deadline.poll_timeout());
    if (count == 0) return fail("open the NBD export", "the server was silent");
    if (count < 0) continue;
    const auto received = ::recv(fd, buffer.data(), std::min(handshake.wanted(), buffer.size()), 0);
    if (received == 0) return fail("open the NBD export", "the server closed the connection");
    if (received < 0 && (errno == EAGAIN || errno == EINTR)) continue;
    if (received < 0) return fail_errno("open the NBD export");
    std::string reply;
    auto fed = handshake.feed({buffer.data(), static_cast<std::size_t>(received)}, reply);
    if (!fed) return fed;
    // Small enough for an empty socket buffer.
    if (!reply.empty() && ::send(fd, reply.data(), reply.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(reply.size())) {
      return fail_errno("open the NBD export");
    }
  }
  return {};
}

void put_socket(NetlinkMessage& message, int fd) {
  const auto sockets = message.begin(NBD_ATTR_SOCKETS);
  const auto item = message.begin(NBD_SOCK_ITEM);
  message.put_number(NBD_SOCK_FD, static_cast<std::uint32_t>(fd));
  message.end(item);
  message.end(sockets);
}

}  // namespace

Result<NbdConnection> connect_nbd(const Endpoint& server, const std::string& export_name, Deadline deadline) {
  auto socket = connect_to(server, deadline);
  if (!socket) return fail(socket.error());
  NbdHandshake handshake(export_name);
  if (auto done = exchange_handshake(socket->get(), handshake, deadline); !done) {
    return fail(concat(done.error().what, " at ", server.text()), done.error().why, done.error().hint);
  }
  set_timeouts(socket->get());
  ::fcntl(socket->get(), F_SETFL, ::fcntl(socket->get(), F_GETFL) & ~O_NONBLOCK);
  return NbdConnection{std::move(*socket), handshake.info()};
}

Result<NbdKernel> NbdKernel::open() {
  auto socket = NetlinkSocket::open(NETLINK_GENERIC);
  if (!socket) return fail(socket.error());
  NetlinkMessage ask(GENL_ID_CTRL, NLM_F_ACK);
  ask.header(genlmsghdr{.cmd = CTRL_CMD_GETFAMILY, .version = 1});
  ask.put_string(CTRL_ATTR_FAMILY_NAME, NBD_GENL_FAMILY_NAME);
  auto replies = socket->exchange(ask);
  if (!replies || replies->empty()) {
    return fail("use the kernel's NBD driver", replies ? "no answer" : replies.error().why,
                "is the module 'nbd' in the initramfs?");
  }
  std::uint16_t family = 0;
  std::uint32_t group = 0;
  for (const auto& attribute :
       netlink_attributes(std::string_view(replies->front().payload).substr(sizeof(genlmsghdr)))) {
    if (attribute.type == CTRL_ATTR_FAMILY_ID) family = number_of<std::uint16_t>(attribute).value_or(0);
    if (attribute.type != CTRL_ATTR_MCAST_GROUPS) continue;
    for (const auto& entry : netlink_attributes(attribute.data)) {
      bool ours = false;
      std::uint32_t id = 0;
      for (const auto& field : netlink_attributes(entry.data)) {
        if (field.type == CTRL_ATTR_MCAST_GRP_NAME) ours = text_of(field) == NBD_GENL_MCAST_GROUP_NAME;
        if (field.type == CTRL_ATTR_MCAST_GRP_ID) id = number_of<std::uint32_t>(field).value_or(0);
      }
      if (ours) group = id;
    }
  }
  return NbdKernel(std::move(*socket), family, group);
}

NetlinkMessage NbdKernel::command(std::uint8_t command, std::uint32_t index) const {
  NetlinkMessage message(family_, NLM_F_ACK);
  message.header(genlmsghdr{.cmd = command, .version = NBD_GENL_VERSION});
  message.put_number(NBD_ATTR_INDEX, index);
  return message;
}

Status NbdKernel::connect(std::uint32_t index, const NbdConnection& connection, std::chrono::seconds timeout) {
  auto message = command(NBD_CMD_CONNECT, index);
  const bool whole_pages = connection.info.size % page_size == 0;
  message.put_number(NBD_ATTR_SIZE_BYTES, connection.info.size);
  message.put_number(NBD_ATTR_BLOCK_SIZE_BYTES, whole_pages ? page_size : std::uint64_t{512});
  message.put_number(NBD_ATTR_TIMEOUT, static_cast<std::uint64_t>(timeout.count()));
  message.put_number(NBD_ATTR_DEAD_CONN_TIMEOUT, dead_connection_seconds);
  message.put_number(NBD_ATTR_SERVER_FLAGS, static_cast<std::uint64_t>(connection.info.flags));
  message.put_number(NBD_ATTR_CLIENT_FLAGS, std::uint64_t{0});
  put_socket(message, connection.socket.get());
  auto done = socket_.exchange(message);
  if (!done) return fail("hand the NBD connection to the kernel", done.error().why);
  return {};
}

Status NbdKernel::replace_connection(std::uint32_t index, const NbdConnection& connection) {
  auto message = command(NBD_CMD_RECONFIGURE, index);
  put_socket(message, connection.socket.get());
  auto done = socket_.exchange(message);
  if (!done) return fail("give the kernel another NBD connection", done.error().why);
  return {};
}

Status NbdKernel::disconnect(std::uint32_t index) {
  auto message = command(NBD_CMD_DISCONNECT, index);
  auto done = socket_.exchange(message);
  if (!done) return fail("close the NBD device", done.error().why);
  return {};
}

Status NbdKernel::listen_for_dead_links() { return socket_.join(group_); }

std::optional<NbdKernel::DeadLink> NbdKernel::wait_for_dead_link(Deadline deadline) {
  while (const auto datagram = socket_.receive(deadline)) {
    if (datagram->empty()) return DeadLink{.lost = true};
    for (const auto& message : netlink_messages(*datagram)) {
      if (message.type != family_ || message.payload.size() < sizeof(genlmsghdr)) continue;
      genlmsghdr header;
      std::memcpy(&header, message.payload.data(), sizeof header);
      if (header.cmd != NBD_CMD_LINK_DEAD) continue;
      for (const auto& attribute : netlink_attributes(std::string_view(message.payload).substr(sizeof header))) {
        if (attribute.type == NBD_ATTR_INDEX) return DeadLink{number_of<std::uint32_t>(attribute).value_or(0), false};
      }
    }
  }
  return std::nullopt;
}

}  // namespace bridgehead::init
