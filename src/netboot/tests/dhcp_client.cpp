#include "netboot/tests/dhcp_client.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include "netboot/boot_values.h"

namespace bridgehead::netboot {
namespace {

std::uint32_t next_transaction = 1000;

DhcpMessage message_of(const Firmware& firmware, DhcpType type) {
  DhcpMessage message;
  message.transaction = ++next_transaction;
  for (std::size_t i = 0; i < 6; ++i) {
    message.mac[i] = static_cast<std::uint8_t>(std::stoi(firmware.mac.substr(i * 3, 2), nullptr, 16));
  }
  message.set_type(type);
  message.options[55] = std::string("\x01\x03\x06\x0c\x42\x43\x36\x3c\xaf", 9);
  const bool http = firmware.architecture == 16;
  message.options[60] =
      fmt::format("{}:Arch:{:05}:UNDI:003001", http ? "HTTPClient" : "PXEClient", firmware.architecture);
  message.options[93] =
      std::string{static_cast<char>(firmware.architecture >> 8), static_cast<char>(firmware.architecture)};
  message.options[94] = std::string("\x01\x03\x01", 3);
  if (firmware.is_ipxe) {
    message.options[77] = "iPXE";
    message.options[175] = std::string("\xb1\x05\x01\x80\x86\x10\x0e", 7);
  }
  return message;
}

std::string text_option(const DhcpMessage& message, std::uint8_t code) {
  const auto found = message.options.find(code);
  return found == message.options.end() ? "" : found->second;
}

// The answer of a type; asked every second.
std::optional<DhcpMessage> exchange(DhcpSocket& socket, const DhcpMessage& question, DhcpType wanted,
                                    std::chrono::milliseconds patience) {
  const auto end = std::chrono::steady_clock::now() + patience;
  while (std::chrono::steady_clock::now() < end) {
    EXPECT_TRUE(socket.broadcast(question));
    const auto deadline = std::min(end, std::chrono::steady_clock::now() + std::chrono::seconds(1));
    while (true) {
      auto received = socket.receive(question.transaction, deadline);
      if (!received || !*received) break;
      if ((*received)->message.type() == wanted) return (*received)->message;
    }
  }
  return std::nullopt;
}

}  // namespace

std::optional<Lease> get_lease(const Firmware& firmware, std::chrono::milliseconds patience) {
  auto socket = DhcpSocket::open("cl0");
  EXPECT_TRUE(socket);
  if (!socket) return std::nullopt;
  const auto offer = exchange(*socket, message_of(firmware, DhcpType::discover), DhcpType::offer, patience);
  if (!offer) return std::nullopt;
  auto request = message_of(firmware, DhcpType::request);
  const auto wanted = htonl(offer->yours);
  request.options[50] = std::string(reinterpret_cast<const char*>(&wanted), 4);
  request.options[54] = offer->options.at(54);
  const auto ack = exchange(*socket, request, DhcpType::ack, patience);
  if (!ack) return std::nullopt;
  Lease lease{.address = ipv4_text(ack->yours), .hostname = text_option(*ack, 12)};
  lease.file = ack->options.contains(67) ? text_option(*ack, 67) : ack->file;
  lease.file = lease.file.substr(0, lease.file.find('\0'));
  lease.next_server = ipv4_text(ack->server);
  lease.vendor_class = text_option(*ack, 60);
  lease.ack = *ack;
  return lease;
}

std::optional<std::string> get_by_tftp(const std::string& server, const std::string& file) {
  UniqueFd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  timeval patience{3, 0};
  ::setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(69);
  ::inet_pton(AF_INET, server.c_str(), &address.sin_addr);
  const auto request = std::string("\0\x01", 2) + file + std::string("\0octet\0", 7);
  if (::sendto(socket.get(), request.data(), request.size(), 0, reinterpret_cast<sockaddr*>(&address), sizeof address) <
      0) {
    return std::nullopt;
  }
  std::string content;
  for (std::uint16_t block = 1;; ++block) {
    char bytes[1024];
    socklen_t length = sizeof address;
    const auto got = ::recvfrom(socket.get(), bytes, sizeof bytes, 0, reinterpret_cast<sockaddr*>(&address), &length);
    if (got < 4 || bytes[1] != 3) return std::nullopt;
    content.append(bytes + 4, static_cast<std::size_t>(got) - 4);
    const char acknowledged[] = {0, 4, bytes[2], bytes[3]};
    ::sendto(socket.get(), acknowledged, 4, 0, reinterpret_cast<sockaddr*>(&address), length);
    if (got < 516) return content;
  }
}

}  // namespace bridgehead::netboot
