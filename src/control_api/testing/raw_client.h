// RawClient: one TLS connection on which a test says exactly what is sent; reads answers, chunks, WebSocket frames.
// Blocking, each read with a deadline of 20 s. Not thread-safe. No certificate check: that is the CLI's and libcurl's
// tests' business.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace bridgehead::control_api::testing {

class RawClient {
 public:
  explicit RawClient(std::uint16_t port, int receive_buffer = 0);
  ~RawClient();
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;

  bool connected() const;
  bool send(std::string_view bytes);
  // Up to and with `end`; less when the peer closes or the deadline passes.
  std::string read_until(std::string_view end);
  std::string read_exactly(std::size_t count);
  std::string read_all();
  // Head and (by its Content-Length) body.
  std::string read_answer();
  void shut_down_sending();  // TLS close_notify, half close

  // WebSocket, RFC 6455.
  std::string upgrade(const std::string& path, const std::string& token);  // the answer's head
  struct Frame {
    int opcode = -1;  // -1 = the connection has ended
    std::string payload;
  };
  void send_frame(int opcode, std::string_view payload);
  Frame read_frame();  // pings are answered on the way

 private:
  bool fill();

  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace bridgehead::control_api::testing
