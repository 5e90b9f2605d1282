// Connection: one TLS connection from handshake to close; reads requests, hands each to the Application as an Exchange
// and carries its commands out, one request at a time. Everything happens on the connection's strand, in one coroutine
// (a WebSocket has a second one that reads). Whatever a client does ends the request or the connection, nothing else.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "control_api/http/asio.h"
#include "control_api/http/command_queue.h"
#include "control_api/http/exchange.h"

namespace bridgehead::control_api::http {

struct ConnectionLimits {
  std::size_t header_bytes = 16 * 1024;
  std::chrono::milliseconds idle_timeout{60'000};  // a silent client, a stuck write
  std::chrono::milliseconds handshake_timeout{10'000};
};

class Connection final : public CommandSink, public std::enable_shared_from_this<Connection> {
 public:
  Connection(asio::ip::tcp::socket socket, asio::ssl::context& tls, Application& application, ConnectionLimits limits,
             std::string remote_address);

  // The coroutine; ends when the connection does.
  asio::awaitable<void> run();

  void submit(Command command) override;
  // From any thread. stop: ends after the request that runs (idle: at once). cut: ends now.
  void stop();
  void cut();
  // After run() has ended by an exception: ends the exchange that was being answered.
  void abandon();

  const std::string& remote_address() const { return remote_address_; }

 private:
  struct Incoming;  // the request being read

  asio::awaitable<bool> serve_one();
  asio::awaitable<bool> answer(Incoming& incoming);
  asio::awaitable<bool> stream_answer(Incoming& incoming, Command start);
  asio::awaitable<bool> reject(unsigned status, std::string_view message);
  asio::awaitable<void> read_body(Incoming& incoming, Command command);
  asio::awaitable<void> read_piece(Incoming& incoming, Command command);
  asio::awaitable<Result<std::string>> next_piece(Incoming& incoming);
  asio::awaitable<bool> drain(Incoming& incoming);
  asio::awaitable<void> discard();
  asio::awaitable<bool> send_response(Incoming& incoming, Response response);
  asio::awaitable<bool> send(std::string_view bytes);

  Stream stream_;
  beast::tcp_stream& lowest_;
  Application& application_;
  const ConnectionLimits limits_;
  const std::string remote_address_;
  beast::flat_buffer buffer_;
  CommandQueue commands_;
  bool idle_ = true;     // between requests; strand only
  bool unread_ = false;  // the client may still be sending what nobody wants
  std::shared_ptr<Exchange> exchange_;
};

}  // namespace bridgehead::control_api::http
