// Netlink: messages with attributes, and a socket that sends one and waits for its answers. Messages are pure; a socket
// is for one thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "deadline.h"
#include "files.h"
#include "result.h"

namespace bridgehead::init {

class NetlinkMessage {
 public:
  NetlinkMessage(std::uint16_t type, std::uint16_t flags);

  // The family's own header (ifinfomsg, genlmsghdr, ...), before any attribute.
  template <typename Header>
  void header(const Header& header) {
    raw({reinterpret_cast<const char*>(&header), sizeof header});
  }
  void put(std::uint16_t type, std::string_view bytes);
  void put_string(std::uint16_t type, std::string_view text);  // with the NUL that ends it
  template <typename T>
  void put_number(std::uint16_t type, T number) {
    put(type, {reinterpret_cast<const char*>(&number), sizeof number});
  }
  std::size_t begin(std::uint16_t type);  // a nested attribute, until end(what begin returned)
  void end(std::size_t start);
  std::string_view finish(std::uint32_t sequence);  // the bytes to send

 private:
  void raw(std::string_view bytes);

  std::string bytes_;
};

struct NetlinkAttribute {
  std::uint16_t type = 0;
  std::string_view data;
};
// Stops at the first that doesn't fit.
std::vector<NetlinkAttribute> netlink_attributes(std::string_view bytes);
std::string_view text_of(const NetlinkAttribute& attribute);  // without the NUL
template <typename T>
std::optional<T> number_of(const NetlinkAttribute& attribute) {
  if (attribute.data.size() < sizeof(T)) return std::nullopt;
  T number;
  __builtin_memcpy(&number, attribute.data.data(), sizeof(T));
  return number;
}

struct NetlinkReply {
  std::uint16_t type = 0;
  std::string payload;  // after nlmsghdr
};

class NetlinkSocket {
 public:
  // `groups`: the bit mask of the old style; more by join().
  static Result<NetlinkSocket> open(int protocol, std::uint32_t groups = 0);
  Status join(std::uint32_t group);

  // Sends it and gathers answers up to the acknowledgement (or a dump's end). Fails with the kernel's reason, which
  // holds its own words where it gave some.
  Result<std::vector<NetlinkReply>> exchange(NetlinkMessage& message,
                                             Deadline deadline = Deadline(std::chrono::seconds(10)));
  // The next datagram of a group, nothing when the deadline passed. Lost messages (ENOBUFS) come as an empty one.
  std::optional<std::string> receive(Deadline deadline);
  int fd() const { return fd_.get(); }

 private:
  explicit NetlinkSocket(Fd fd) : fd_(std::move(fd)) {}
  // True at the exchange's end.
  Result<bool> take(std::string_view datagram, std::vector<NetlinkReply>& replies) const;

  Fd fd_;
  std::uint32_t sequence_ = 0;
};

// The messages in a datagram.
std::vector<NetlinkReply> netlink_messages(std::string_view datagram);

}  // namespace bridgehead::init
