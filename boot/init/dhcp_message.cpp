#include "dhcp_message.h"

#include <cstring>

#include "bytes.h"

namespace bridgehead::init {
namespace {

// Offsets in the part of fixed length (RFC 2131, section 2).
constexpr std::size_t transaction_at = 4;
constexpr std::size_t flags_at = 10;
constexpr std::size_t client_at = 12;
constexpr std::size_t yours_at = 16;
constexpr std::size_t mac_at = 28;
constexpr std::size_t cookie_at = 236;
constexpr std::string_view cookie = "\x63\x82\x53\x63";
constexpr std::size_t smallest = 300;  // BOOTP's; relays drop what is shorter

enum Option : std::uint8_t {
  pad = 0,
  host_name = 12,
  wanted_address = 50,
  lease_time = 51,
  message_type = 53,
  server_address = 54,
  renewal_time = 58,
  rebinding_time = 59,
  vendor_class = 60,
  client_id = 61,
  end = 255,
};

std::string_view bytes_of(const Mac& mac) {
  return {reinterpret_cast<const char*>(mac.bytes.data()), mac.bytes.size()};
}

void put_option(std::string& to, Option code, std::string_view value) {
  value = value.substr(0, 255);
  to += static_cast<char>(code);
  to += static_cast<char>(value.size());
  to += value;
}

void take_option(DhcpReply& reply, std::uint8_t code, std::string_view value) {
  if (code == message_type && value.size() == 1) reply.type = static_cast<DhcpType>(value[0]);
  if (value.size() != 4) return;
  const auto number = big_endian_at<std::uint32_t>(value, 0);
  if (code == server_address) reply.server = Ipv4{number};
  if (code == lease_time) reply.lease = number;
  if (code == renewal_time) reply.renew = number;
  if (code == rebinding_time) reply.rebind = number;
}

}  // namespace

std::string encode(const DhcpRequest& request) {
  std::string bytes(cookie_at, '\0');
  bytes[0] = 1;  // a request
  bytes[1] = 1;  // by Ethernet
  bytes[2] = 6;
  bytes.replace(transaction_at, 4, big_endian(request.transaction));
  // An offer may be of another address, which we would not hear.
  if (request.type == DhcpType::discover) bytes[flags_at] = static_cast<char>(0x80);
  bytes.replace(client_at, 4, big_endian(request.client.value));
  bytes.replace(mac_at, 6, bytes_of(request.mac));
  bytes += cookie;
  put_option(bytes, message_type, std::string(1, static_cast<char>(request.type)));
  put_option(bytes, client_id, std::string(1, 1).append(bytes_of(request.mac)));
  if (request.wanted.value != 0) put_option(bytes, wanted_address, big_endian(request.wanted.value));
  if (request.server.value != 0) put_option(bytes, server_address, big_endian(request.server.value));
  if (!request.hostname.empty()) put_option(bytes, host_name, request.hostname);
  put_option(bytes, vendor_class, "bridgehead");
  bytes += static_cast<char>(end);
  if (bytes.size() < smallest) bytes.resize(smallest);
  return bytes;
}

std::optional<DhcpReply> decode_dhcp_reply(std::string_view bytes) {
  if (bytes.size() < cookie_at + cookie.size() || bytes.substr(cookie_at, cookie.size()) != cookie) return std::nullopt;
  if (bytes[0] != 2 || bytes[1] != 1 || bytes[2] != 6) return std::nullopt;
  DhcpReply reply;
  reply.type = DhcpType{0};
  reply.transaction = big_endian_at<std::uint32_t>(bytes, transaction_at);
  reply.yours = Ipv4{big_endian_at<std::uint32_t>(bytes, yours_at)};
  std::memcpy(reply.mac.bytes.data(), bytes.data() + mac_at, reply.mac.bytes.size());
  auto rest = bytes.substr(cookie_at + cookie.size());
  while (!rest.empty() && static_cast<std::uint8_t>(rest[0]) != end) {
    const auto code = static_cast<std::uint8_t>(rest[0]);
    rest.remove_prefix(1);
    if (code == pad) continue;
    const std::size_t size = rest.empty() ? 0 : static_cast<std::uint8_t>(rest[0]);
    if (rest.size() < 1 + size) return std::nullopt;
    take_option(reply, code, rest.substr(1, size));
    rest.remove_prefix(1 + size);
  }
  if (reply.type != DhcpType::offer && reply.type != DhcpType::ack && reply.type != DhcpType::nak) return std::nullopt;
  return reply;
}

}  // namespace bridgehead::init
