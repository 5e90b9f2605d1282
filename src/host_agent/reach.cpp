#include "host_agent/reach.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <set>

#include "base/fd.h"

namespace bridgehead::host_agent {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds kAskAgain{500};

// RFC 1071.
std::uint16_t checksum(const icmphdr& header) {
  std::array<std::uint16_t, sizeof(header) / 2> words{};
  std::memcpy(words.data(), &header, sizeof(header));
  std::uint32_t sum = 0;
  for (const auto word : words) sum += word;
  while ((sum >> 16) != 0) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum);
}

void ask(const UniqueFd& socket, const std::set<in_addr_t>& addresses) {
  icmphdr echo{};
  echo.type = ICMP_ECHO;
  echo.checksum = checksum(echo);
  for (const auto address : addresses) {
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_addr.s_addr = address;
    // One that can't be sent to doesn't answer; the others may.
    (void)::sendto(socket.get(), &echo, sizeof(echo), MSG_DONTWAIT, reinterpret_cast<const sockaddr*>(&to), sizeof(to));
  }
}

bool is_answer(const UniqueFd& socket, const std::set<in_addr_t>& addresses) {
  std::array<char, 512> packet{};
  sockaddr_in from{};
  socklen_t size = sizeof(from);
  const auto got =
      ::recvfrom(socket.get(), packet.data(), packet.size(), MSG_DONTWAIT, reinterpret_cast<sockaddr*>(&from), &size);
  if (got < static_cast<ssize_t>(sizeof(iphdr))) return false;
  const auto header = static_cast<std::size_t>(packet[0] & 0x0f) * 4;
  if (static_cast<std::size_t>(got) < header + sizeof(icmphdr)) return false;
  return packet[header] == ICMP_ECHOREPLY && addresses.contains(from.sin_addr.s_addr);
}

}  // namespace

bool answers_from(const std::vector<std::string>& addresses, milliseconds patience) {
  std::set<in_addr_t> wanted;
  for (const auto& text : addresses) {
    in_addr address{};
    if (::inet_pton(AF_INET, text.c_str(), &address) == 1) wanted.insert(address.s_addr);
  }
  const UniqueFd socket(::socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP));
  if (!socket || wanted.empty()) return false;
  const auto until = steady_clock::now() + patience;
  auto ask_at = steady_clock::now();
  for (auto now = steady_clock::now(); now < until; now = steady_clock::now()) {
    if (now >= ask_at) {
      ask(socket, wanted);
      ask_at = now + kAskAgain;
    }
    pollfd ready{.fd = socket.get(), .events = POLLIN, .revents = 0};
    const auto wait = std::chrono::ceil<milliseconds>(std::min(ask_at, until) - now);
    if (::poll(&ready, 1, static_cast<int>(wait.count())) > 0 && is_answer(socket, wanted)) return true;
  }
  return false;
}

}  // namespace bridgehead::host_agent
