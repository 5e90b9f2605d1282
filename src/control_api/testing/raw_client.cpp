#include "control_api/testing/raw_client.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <charconv>

#include "base/fd.h"

namespace bridgehead::control_api::testing {

struct RawClient::State {
  UniqueFd socket;
  std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context{SSL_CTX_new(TLS_client_method()), SSL_CTX_free};
  std::unique_ptr<SSL, decltype(&SSL_free)> tls{nullptr, SSL_free};
  std::string buffer;
  bool connected = false;
};

RawClient::RawClient(std::uint16_t port, int receive_buffer) : state_(std::make_unique<State>()) {
  state_->socket.reset(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int fd = state_->socket.get();
  if (receive_buffer > 0) ::setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
  const timeval deadline{20, 0};
  ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &deadline, sizeof deadline);
  ::setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &deadline, sizeof deadline);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) return;
  state_->tls.reset(SSL_new(state_->context.get()));
  SSL_set_fd(state_->tls.get(), fd);
  state_->connected = SSL_connect(state_->tls.get()) == 1;
}

RawClient::~RawClient() = default;

bool RawClient::connected() const { return state_->connected; }

bool RawClient::send(std::string_view bytes) {
  if (!state_->connected) return false;
  if (bytes.empty()) return true;
  std::size_t written = 0;
  return SSL_write_ex(state_->tls.get(), bytes.data(), bytes.size(), &written) == 1;
}

bool RawClient::fill() {
  if (!state_->connected) return false;
  char piece[16384];
  std::size_t got = 0;
  if (SSL_read_ex(state_->tls.get(), piece, sizeof piece, &got) != 1) return false;
  state_->buffer.append(piece, got);
  return true;
}

std::string RawClient::read_until(std::string_view end) {
  for (;;) {
    const auto at = state_->buffer.find(end);
    if (at != std::string::npos) return read_exactly(at + end.size());
    if (!fill()) return std::exchange(state_->buffer, {});
  }
}

std::string RawClient::read_exactly(std::size_t count) {
  while (state_->buffer.size() < count) {
    if (!fill()) return std::exchange(state_->buffer, {});
  }
  std::string out = state_->buffer.substr(0, count);
  state_->buffer.erase(0, count);
  return out;
}

std::string RawClient::read_all() {
  while (fill()) {
  }
  return std::exchange(state_->buffer, {});
}

std::string RawClient::read_answer() {
  std::string head = read_until("\r\n\r\n");
  constexpr std::string_view field = "Content-Length: ";
  const auto at = head.find(field);
  if (at == std::string::npos) return head;
  std::size_t length = 0;
  std::from_chars(head.data() + at + field.size(), head.data() + head.size(), length);
  return head + read_exactly(length);
}

void RawClient::shut_down_sending() {
  if (state_->connected) SSL_shutdown(state_->tls.get());
}

std::string RawClient::upgrade(const std::string& path, const std::string& token) {
  send(fmt::format(
      "GET {} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
      "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
      path, token));
  std::string head = read_until("\r\n\r\n");
  return head;
}

void RawClient::send_frame(int opcode, std::string_view payload) {
  std::string frame(1, static_cast<char>(0x80 | opcode));
  if (payload.size() < 126) {
    frame += static_cast<char>(0x80 | payload.size());
  } else if (payload.size() < 65536) {
    frame += static_cast<char>(0x80 | 126);
    frame += static_cast<char>(payload.size() >> 8);
    frame += static_cast<char>(payload.size() & 0xff);
  } else {
    frame += static_cast<char>(0x80 | 127);
    for (int shift = 56; shift >= 0; shift -= 8) frame += static_cast<char>((payload.size() >> shift) & 0xff);
  }
  frame += std::string(4, '\0');  // a mask of zeros leaves the payload as it is
  frame += payload;
  send(frame);
}

RawClient::Frame RawClient::read_frame() {
  for (;;) {
    const std::string head = read_exactly(2);
    if (head.size() < 2) return {};
    const int opcode = head[0] & 0x0f;
    std::size_t length = static_cast<unsigned char>(head[1]) & 0x7f;
    const std::size_t extra = length == 126 ? 2 : length == 127 ? 8 : 0;
    if (extra > 0) {
      length = 0;
      for (const char c : read_exactly(extra)) length = length << 8 | static_cast<unsigned char>(c);
    }
    Frame frame{opcode, read_exactly(length)};
    if (opcode != 9) return frame;
    send_frame(10, frame.payload);
  }
}

}  // namespace bridgehead::control_api::testing
