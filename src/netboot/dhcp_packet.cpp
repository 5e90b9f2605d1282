#include "netboot/dhcp_packet.h"

#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace bridgehead::netboot {
namespace {

constexpr std::size_t kFixed = 236;  // before the magic cookie
constexpr std::string_view kCookie = "\x63\x82\x53\x63";
constexpr std::size_t kIpHeader = 20;
constexpr std::size_t kUdpHeader = 8;

void put16(std::string& to, std::size_t at, std::uint32_t value) {
  to[at] = static_cast<char>(value >> 8);
  to[at + 1] = static_cast<char>(value);
}

void put32(std::string& to, std::size_t at, std::uint32_t value) {
  put16(to, at, value >> 16);
  put16(to, at + 2, value);
}

std::uint32_t get8(std::string_view from, std::size_t at) { return static_cast<std::uint8_t>(from[at]); }
std::uint32_t get16(std::string_view from, std::size_t at) { return get8(from, at) << 8 | get8(from, at + 1); }
std::uint32_t get32(std::string_view from, std::size_t at) { return get16(from, at) << 16 | get16(from, at + 2); }

// RFC 1071
std::uint16_t checksum(std::string_view bytes) {
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i + 1 < bytes.size(); i += 2) sum += get16(bytes, i);
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum);
}

// Only UDP to port 68 wakes us.
Status filter_for_clients(int socket) {
  sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 9),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 17, 0, 4),
      BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 0),
      BPF_STMT(BPF_LD | BPF_H | BPF_IND, 2),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 68, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, 0xffff),
      BPF_STMT(BPF_RET | BPF_K, 0),
  };
  const sock_fprog program{static_cast<unsigned short>(std::size(code)), code};
  if (::setsockopt(socket, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) != 0) {
    return fail_errno(errno, "filter of the packet socket");
  }
  return {};
}

}  // namespace

std::string mac_text(const std::uint8_t* bytes) {
  return fmt::format("{:02x}:{:02x}:{:02x}:{:02x}:{:02x}:{:02x}", bytes[0], bytes[1], bytes[2], bytes[3], bytes[4],
                     bytes[5]);
}

std::optional<DhcpType> DhcpMessage::type() const {
  const auto found = options.find(53);
  if (found == options.end() || found->second.size() != 1) return std::nullopt;
  return static_cast<DhcpType>(found->second[0]);
}

std::uint32_t DhcpMessage::address_option(std::uint8_t code) const {
  const auto found = options.find(code);
  return found == options.end() || found->second.size() != 4 ? 0 : get32(found->second, 0);
}

std::string encode_dhcp(const DhcpMessage& message) {
  std::string bytes(kFixed, '\0');
  bytes[0] = message.reply ? 2 : 1;
  bytes[1] = 1;  // Ethernet
  bytes[2] = 6;
  put32(bytes, 4, message.transaction);
  put16(bytes, 10, message.broadcast ? 0x8000 : 0);
  put32(bytes, 12, message.client);
  put32(bytes, 16, message.yours);
  put32(bytes, 20, message.server);
  std::memcpy(bytes.data() + 28, message.mac.data(), message.mac.size());
  message.file.copy(bytes.data() + 108, 127);
  bytes += kCookie;
  for (const auto& [code, value] : message.options) {
    bytes += static_cast<char>(code);
    bytes += static_cast<char>(std::min<std::size_t>(value.size(), 255));
    bytes += value.substr(0, 255);
  }
  bytes += '\xff';
  if (bytes.size() < 300) bytes.resize(300);  // BOOTP's smallest
  return bytes;
}

std::optional<DhcpMessage> decode_dhcp(std::string_view bytes) {
  if (bytes.size() < kFixed + kCookie.size() || bytes.substr(kFixed, kCookie.size()) != kCookie) return std::nullopt;
  if (get8(bytes, 0) < 1 || get8(bytes, 0) > 2 || get8(bytes, 2) != 6) return std::nullopt;
  DhcpMessage message;
  message.reply = get8(bytes, 0) == 2;
  message.transaction = get32(bytes, 4);
  message.broadcast = (get16(bytes, 10) & 0x8000) != 0;
  message.client = get32(bytes, 12);
  message.yours = get32(bytes, 16);
  message.server = get32(bytes, 20);
  std::memcpy(message.mac.data(), bytes.data() + 28, message.mac.size());
  const auto file = bytes.substr(108, 128);
  message.file = file.substr(0, file.find('\0'));
  auto rest = bytes.substr(kFixed + kCookie.size());
  while (!rest.empty() && rest[0] != '\xff') {
    const auto code = static_cast<std::uint8_t>(rest[0]);
    rest.remove_prefix(1);
    if (code == 0) continue;
    if (rest.empty() || rest.size() < 1 + get8(rest, 0)) return std::nullopt;
    message.options[code] += rest.substr(1, get8(rest, 0));
    rest.remove_prefix(1 + get8(rest, 0));
  }
  return message;
}

std::string client_broadcast(std::string_view payload) {
  std::string packet(kIpHeader + kUdpHeader, '\0');
  packet[0] = 0x45;
  put16(packet, 2, static_cast<std::uint32_t>(packet.size() + payload.size()));
  packet[8] = 64;
  packet[9] = 17;
  put32(packet, 16, 0xffffffff);
  put16(packet, 10, checksum(std::string_view(packet).substr(0, kIpHeader)));
  put16(packet, kIpHeader, 68);
  put16(packet, kIpHeader + 2, 67);
  put16(packet, kIpHeader + 4, static_cast<std::uint32_t>(kUdpHeader + payload.size()));  // checksum 0: none
  packet += payload;
  return packet;
}

std::optional<UdpPayload> client_payload(std::string_view packet) {
  if (packet.size() < kIpHeader + kUdpHeader || get8(packet, 0) >> 4 != 4 || get8(packet, 9) != 17) return std::nullopt;
  const std::size_t header = (get8(packet, 0) & 15) * 4;
  if (header < kIpHeader || packet.size() < header + kUdpHeader) return std::nullopt;
  const auto udp = packet.substr(header);
  const auto length = get16(udp, 4);
  if (get16(udp, 2) != 68 || length < kUdpHeader || length > udp.size()) return std::nullopt;
  return UdpPayload{get32(packet, 12), udp.substr(kUdpHeader, length - kUdpHeader)};
}

Result<DhcpSocket> DhcpSocket::open(const std::string& interface) {
  DhcpSocket result;
  result.interface_ = static_cast<int>(::if_nametoindex(interface.c_str()));
  if (result.interface_ == 0) return fail(ErrorCode::not_found, "there is no interface '{}'", interface);
  // Protocol 0 until it is bound: no packets of other interfaces get in.
  result.socket_.reset(::socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!result.socket_) return fail_errno(errno, "open a packet socket");
  if (auto filtered = filter_for_clients(result.socket_.get()); !filtered) return forward(filtered);
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_protocol = htons(ETH_P_IP);
  address.sll_ifindex = result.interface_;
  if (::bind(result.socket_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    return fail_errno(errno, fmt::format("listen on {}", interface));
  }
  return result;
}

Status DhcpSocket::broadcast(const DhcpMessage& message) {
  const auto packet = client_broadcast(encode_dhcp(message));
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_protocol = htons(ETH_P_IP);
  address.sll_ifindex = interface_;
  address.sll_halen = 6;
  std::memset(address.sll_addr, 0xff, 6);
  if (::sendto(socket_.get(), packet.data(), packet.size(), 0, reinterpret_cast<sockaddr*>(&address), sizeof address) <
      0) {
    return fail_errno(errno, "send a DHCP message");
  }
  return {};
}

Result<std::optional<DhcpSocket::Received>> DhcpSocket::receive_any(Monotonic deadline) {
  for (bool first = true;; first = false) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now()).count();
    if (left <= 0 && !first) return std::nullopt;
    pollfd waiting{socket_.get(), POLLIN, 0};
    const int ready = ::poll(&waiting, 1, static_cast<int>(std::clamp<std::int64_t>(left, 0, 60'000)));
    if (ready < 0 && errno != EINTR) return fail_errno(errno, "poll");
    if (ready <= 0) continue;
    char bytes[4096];
    sockaddr_ll from{};
    socklen_t length = sizeof from;
    const auto got = ::recvfrom(socket_.get(), bytes, sizeof bytes, 0, reinterpret_cast<sockaddr*>(&from), &length);
    if (got < 0) {
      if (errno == EAGAIN || errno == EINTR) continue;
      return fail_errno(errno, "receive DHCP messages");
    }
    const auto payload = client_payload({bytes, static_cast<std::size_t>(got)});
    if (!payload) continue;
    auto message = decode_dhcp(payload->bytes);
    if (message && message->reply) return Received{std::move(*message), payload->source, mac_text(from.sll_addr)};
  }
}

Result<std::optional<DhcpSocket::Received>> DhcpSocket::receive(std::uint32_t transaction, Monotonic deadline) {
  while (std::chrono::steady_clock::now() < deadline) {
    auto received = receive_any(deadline);
    if (!received || !*received || (*received)->message.transaction == transaction) return received;
  }
  return std::nullopt;
}

}  // namespace bridgehead::netboot
