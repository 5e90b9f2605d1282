#include "power/wol_driver.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <sys/socket.h>

#include <cerrno>
#include <charconv>
#include <cstring>

#include "base/fd.h"

namespace bridgehead::power {
namespace {

// They get lost without anybody noticing, and a second does no harm.
constexpr int kPackets = 3;

}  // namespace

std::optional<MacAddress> parse_six_bytes(std::string_view text) {
  MacAddress bytes{};
  bool good = text.size() == 17;
  for (std::size_t i = 0; good && i < bytes.size(); ++i) {
    const auto digits = text.substr(3 * i, 2);
    const auto [end, error] = std::from_chars(digits.begin(), digits.end(), bytes[i], 16);
    good = error == std::errc() && end == digits.end() && (i == 5 || text[3 * i + 2] == ':' || text[3 * i + 2] == '-');
  }
  return good ? std::optional(bytes) : std::nullopt;
}

Result<MacAddress> parse_mac(std::string_view text) {
  const auto mac = parse_six_bytes(text);
  if (!mac) return fail(ErrorCode::invalid_argument, "'{}' is no MAC address like 52:54:00:12:34:56", text);
  if (((*mac)[0] & 1) != 0)
    return fail(ErrorCode::invalid_argument, "'{}' is a group's address, not a machine's", text);
  return *mac;
}

std::string magic_packet(const MacAddress& mac, std::string_view secure_on) {
  std::string packet(6, '\xFF');
  for (int i = 0; i < 16; ++i) packet.append(reinterpret_cast<const char*>(mac.data()), mac.size());
  return packet.append(secure_on);
}

Status WolDriver::request(PowerRequest request, const Attempt&) {
  if (request != PowerRequest::on) return fail(ErrorCode::unsupported, "Wake-on-LAN can't switch a machine off");
  return send_packets(true);
}

Status WolDriver::send_packets(bool really) const {
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(config_.port);
  if (::inet_pton(AF_INET, config_.broadcast.c_str(), &to.sin_addr) != 1) {
    return fail(ErrorCode::invalid_argument, "'{}' is no IPv4 address", config_.broadcast);
  }
  const UniqueFd out(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!out) return fail_errno(errno, "open a socket");
  const int yes = 1;
  if (::setsockopt(out.get(), SOL_SOCKET, SO_BROADCAST, &yes, sizeof yes) != 0)
    return fail_errno(errno, "SO_BROADCAST");
  if (!config_.interface.empty() && ::setsockopt(out.get(), SOL_SOCKET, SO_BINDTODEVICE, config_.interface.data(),
                                                 static_cast<socklen_t>(config_.interface.size())) != 0) {
    return fail_with_hint(ErrorCode::failed_precondition,
                          fmt::format("can't send by interface {}: {}", config_.interface, std::strerror(errno)),
                          "`ip link` lists the interfaces of this machine.");
  }
  const auto packet = magic_packet(config_.mac, config_.secure_on);
  for (int i = 0; really && i < kPackets; ++i) {
    if (::sendto(out.get(), packet.data(), packet.size(), 0, reinterpret_cast<const sockaddr*>(&to), sizeof to) < 0) {
      return fail_with_hint(ErrorCode::unavailable,
                            fmt::format("can't send to {}: {}", config_.broadcast, std::strerror(errno)),
                            "Name the interface, or the broadcast address, of the machine's network.");
    }
  }
  return {};
}

void WolDriver::inspect(const Attempt&, PowerCheck& check) {
  check.findings.push_back(
      {"abilities", Finding::Level::warning, "it can only be switched on, and nothing reads its state",
       "For fencing give the machine a driver that switches off: ipmi, redfish or a fence agent."});
  if (const auto ready = send_packets(false); !ready) {
    check.findings.push_back({"reachable", Finding::Level::bad, ready.error().message, ready.error().hint});
  }
}

}  // namespace bridgehead::power
