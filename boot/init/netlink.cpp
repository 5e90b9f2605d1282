#include "netlink.h"

#include <linux/netlink.h>
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include "text.h"

namespace bridgehead::init {
namespace {

constexpr std::size_t align(std::size_t length) { return (length + 3) & ~std::size_t{3}; }

// The kernel's own sentence of why (NETLINK_EXT_ACK), or "".
std::string kernel_words(std::string_view error_payload) {
  nlmsgerr error;
  std::memcpy(&error, error_payload.data(), sizeof error);
  // The acknowledged message is capped to its header (NETLINK_CAP_ACK).
  for (const auto& attribute : netlink_attributes(error_payload.substr(sizeof error))) {
    if (attribute.type == NLMSGERR_ATTR_MSG) return concat(" (", text_of(attribute), ")");
  }
  return {};
}

}  // namespace

NetlinkMessage::NetlinkMessage(std::uint16_t type, std::uint16_t flags) {
  nlmsghdr head{};
  head.nlmsg_type = type;
  head.nlmsg_flags = static_cast<std::uint16_t>(flags | NLM_F_REQUEST);
  raw({reinterpret_cast<const char*>(&head), sizeof head});
}

void NetlinkMessage::raw(std::string_view bytes) {
  bytes_ += bytes;
  bytes_.resize(align(bytes_.size()));
}

void NetlinkMessage::put(std::uint16_t type, std::string_view bytes) {
  nlattr head{};
  head.nla_type = type;
  head.nla_len = static_cast<std::uint16_t>(sizeof head + bytes.size());
  bytes_.append(reinterpret_cast<const char*>(&head), sizeof head);
  raw(bytes);
}

void NetlinkMessage::put_string(std::uint16_t type, std::string_view text) { put(type, std::string(text) + '\0'); }

std::size_t NetlinkMessage::begin(std::uint16_t type) {
  const auto start = bytes_.size();
  put(type | NLA_F_NESTED, {});
  return start;
}

void NetlinkMessage::end(std::size_t start) {
  const auto length = static_cast<std::uint16_t>(bytes_.size() - start);
  std::memcpy(bytes_.data() + start, &length, sizeof length);
}

std::string_view NetlinkMessage::finish(std::uint32_t sequence) {
  nlmsghdr head;
  std::memcpy(&head, bytes_.data(), sizeof head);
  head.nlmsg_len = static_cast<std::uint32_t>(bytes_.size());
  head.nlmsg_seq = sequence;
  std::memcpy(bytes_.data(), &head, sizeof head);
  return bytes_;
}

std::vector<NetlinkAttribute> netlink_attributes(std::string_view bytes) {
  std::vector<NetlinkAttribute> found;
  nlattr head;
  while (bytes.size() >= sizeof head) {
    std::memcpy(&head, bytes.data(), sizeof head);
    if (head.nla_len < sizeof head || head.nla_len > bytes.size()) break;
    found.push_back({static_cast<std::uint16_t>(head.nla_type & NLA_TYPE_MASK),
                     bytes.substr(sizeof head, head.nla_len - sizeof head)});
    bytes.remove_prefix(std::min(align(head.nla_len), bytes.size()));
  }
  return found;
}

std::string_view text_of(const NetlinkAttribute& attribute) {
  return attribute.data.substr(0, attribute.data.find('\0'));
}

std::vector<NetlinkReply> netlink_messages(std::string_view datagram) {
  std::vector<NetlinkReply> found;
  nlmsghdr head;
  while (datagram.size() >= sizeof head) {
    std::memcpy(&head, datagram.data(), sizeof head);
    if (head.nlmsg_len < sizeof head || head.nlmsg_len > datagram.size()) break;
    found.push_back({head.nlmsg_type, std::string(datagram.substr(sizeof head, head.nlmsg_len - sizeof head))});
    datagram.remove_prefix(std::min(align(head.nlmsg_len), datagram.size()));
  }
  return found;
}

Result<NetlinkSocket> NetlinkSocket::open(int protocol, std::uint32_t groups) {
  Fd fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol));
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  address.nl_groups = groups;
  const int yes = 1;
  const int buffer = 1024 * 1024;
  if (!fd || ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return fail_errno("open a netlink socket");
  }
  ::setsockopt(fd.get(), SOL_NETLINK, NETLINK_EXT_ACK, &yes, sizeof yes);
  ::setsockopt(fd.get(), SOL_NETLINK, NETLINK_CAP_ACK, &yes, sizeof yes);
  ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof buffer);
  return NetlinkSocket(std::move(fd));
}

Status NetlinkSocket::join(std::uint32_t group) {
  if (::setsockopt(fd_.get(), SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof group) != 0) {
    return fail_errno("join a netlink group");
  }
  return {};
}

std::optional<std::string> NetlinkSocket::receive(Deadline deadline) {
  for (;;) {
    pollfd waiting{fd_.get(), POLLIN, 0};
    const int ready = ::poll(&waiting, 1, deadline.poll_timeout());
    if (ready == 0) return std::nullopt;
    if (ready < 0) {
      if (errno == EINTR) continue;
      return std::nullopt;
    }
    std::string datagram(64 * 1024, '\0');
    sockaddr_nl sender{};
    socklen_t sender_size = sizeof sender;
    const auto count = ::recvfrom(fd_.get(), datagram.data(), datagram.size(), MSG_DONTWAIT,
                                  reinterpret_cast<sockaddr*>(&sender), &sender_size);
    if (count < 0 && errno == ENOBUFS) return std::string();
    if (count < 0 || sender.nl_pid != 0) continue;  // the kernel alone is believed
    datagram.resize(static_cast<std::size_t>(count));
    return datagram;
  }
}

Result<bool> NetlinkSocket::take(std::string_view datagram, std::vector<NetlinkReply>& replies) const {
  nlmsghdr head;
  while (datagram.size() >= sizeof head) {
    std::memcpy(&head, datagram.data(), sizeof head);
    if (head.nlmsg_len < sizeof head || head.nlmsg_len > datagram.size()) break;
    const auto payload = datagram.substr(sizeof head, head.nlmsg_len - sizeof head);
    datagram.remove_prefix(std::min(align(head.nlmsg_len), datagram.size()));
    if (head.nlmsg_seq != sequence_) continue;  // a late answer to what was given up
    if (head.nlmsg_type == NLMSG_DONE) return true;
    if (head.nlmsg_type != NLMSG_ERROR) {
      replies.push_back({head.nlmsg_type, std::string(payload)});
      continue;
    }
    if (payload.size() < sizeof(nlmsgerr)) break;
    nlmsgerr error;
    std::memcpy(&error, payload.data(), sizeof error);
    if (error.error == 0) return true;
    return fail("ask the kernel", concat(std::strerror(-error.error), kernel_words(payload)));
  }
  return false;
}

Result<std::vector<NetlinkReply>> NetlinkSocket::exchange(NetlinkMessage& message, Deadline deadline) {
  const auto bytes = message.finish(++sequence_);
  if (::send(fd_.get(), bytes.data(), bytes.size(), 0) < 0) return fail_errno("ask the kernel");
  std::vector<NetlinkReply> replies;
  for (;;) {
    const auto datagram = receive(deadline);
    if (!datagram) return fail("ask the kernel", "no answer in time");
    auto done = take(*datagram, replies);
    if (!done) return fail(done.error());
    if (*done) return replies;
  }
}

}  // namespace bridgehead::init
