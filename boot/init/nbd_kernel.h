// The kernel's NBD driver by generic netlink (family "nbd"), and connections that are made for it. One thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "address.h"
#include "deadline.h"
#include "nbd_protocol.h"
#include "netlink.h"
#include "result.h"

namespace bridgehead::init {

struct NbdConnection {
  Fd socket;  // past the handshake, blocking, with its timeouts set
  NbdExport info;
};
Result<NbdConnection> connect_nbd(const Endpoint& server, const std::string& export_name, Deadline deadline);

class NbdKernel {
 public:
  static Result<NbdKernel> open();

  // `timeout` of one request: it is then sent again, by another connection where the old one is dead.
  Status connect(std::uint32_t index, const NbdConnection& connection, std::chrono::seconds timeout);
  Status replace_connection(std::uint32_t index, const NbdConnection& connection);
  Status disconnect(std::uint32_t index);

  Status listen_for_dead_links();
  // The device whose connection died, nothing when the deadline passed. `lost`: some messages were.
  struct DeadLink {
    std::uint32_t index = 0;
    bool lost = false;
  };
  std::optional<DeadLink> wait_for_dead_link(Deadline deadline);

 private:
  NbdKernel(NetlinkSocket socket, std::uint16_t family, std::uint32_t group)
      : socket_(std::move(socket)), family_(family), group_(group) {}
  NetlinkMessage command(std::uint8_t command, std::uint32_t index) const;

  NetlinkSocket socket_;
  std::uint16_t family_;
  std::uint32_t group_;
};

}  // namespace bridgehead::init
