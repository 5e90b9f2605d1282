#include "control_api/http/websocket.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/buffers_to_string.hpp>
#include <boost/beast/websocket/ssl.hpp>
#include <boost/beast/websocket/stream.hpp>

namespace bridgehead::control_api::http {
namespace {

namespace websocket = beast::websocket;
// Without compression: what consoles and screens send gains little, and it costs memory for each connection.
using Socket = websocket::stream<Stream&, false>;

constexpr std::size_t kLargestMessage = 1U << 20;

// Shared by the reading and the writing coroutine.
struct Session {
  Session(Stream& stream, WebSocketHandlers given_handlers, std::shared_ptr<Exchange> given_exchange,
          CommandQueue& given_commands)
      : socket(stream),
        may_read(socket.get_executor()),
        finished(socket.get_executor()),
        handlers(std::move(given_handlers)),
        exchange(std::move(given_exchange)),
        commands(given_commands) {}

  Socket socket;
  asio::steady_timer may_read;  // cancelled when the application wants the next message, or all is over
  asio::steady_timer finished;  // cancelled when the reader has ended
  WebSocketHandlers handlers;
  std::shared_ptr<Exchange> exchange;
  CommandQueue& commands;
  bool wanted = true;        // the application wants another message
  bool reader_done = false;  // the peer has closed, or is gone
  bool over = false;
};

asio::awaitable<void> read_messages(Session& session) {
  beast::flat_buffer buffer;
  for (;;) {
    while (!session.wanted && !session.over) {
      session.may_read.expires_at(std::chrono::steady_clock::time_point::max());
      boost::system::error_code ignored;
      co_await session.may_read.async_wait(into(ignored));
    }
    if (session.over) co_return;
    boost::system::error_code error;
    co_await session.socket.async_read(buffer, into(error));
    if (error) co_return;
    std::string bytes = beast::buffers_to_string(buffer.data());
    buffer.clear();
    session.wanted = false;
    // The callback outlives this session if it wants to: the exchange is what it holds.
    session.handlers.message(std::move(bytes), session.socket.got_text(),
                             [exchange = session.exchange] { exchange->want_message(); });
  }
}

asio::awaitable<void> write_messages(Session& session) {
  for (;;) {
    std::optional<Command> command = co_await session.commands.next(true, session.reader_done);
    boost::system::error_code error;
    if (!command) {
      if (session.commands.stopping && !session.commands.cut && !session.reader_done) {
        const websocket::close_reason reason(websocket::close_code::going_away, "the manager is stopping");
        co_await session.socket.async_close(reason, into(error));
      }
      co_return;
    }
    switch (command->kind) {
      case Command::Kind::next_message:
        session.wanted = true;
        session.may_read.cancel();
        break;
      case Command::Kind::send_message:
        session.socket.text(command->text);
        co_await session.socket.async_write(asio::buffer(command->bytes), into(error));
        if (command->written) command->written(!error);
        if (error) co_return;
        break;
      case Command::Kind::close_websocket: {
        const websocket::close_reason reason(static_cast<websocket::close_code>(command->code), command->bytes);
        co_await session.socket.async_close(reason, into(error));
        co_return;
      }
      case Command::Kind::abort: co_return;
      default: refuse(*command);
    }
  }
}

}  // namespace

asio::awaitable<void> serve_websocket(Stream& stream, beast::http::request<beast::http::empty_body> head,
                                      WebSocketHandlers handlers, std::shared_ptr<Exchange> exchange,
                                      CommandQueue& commands, std::chrono::milliseconds idle_timeout) {
  auto session = std::make_shared<Session>(stream, std::move(handlers), std::move(exchange), commands);
  auto& lowest = beast::get_lowest_layer(session->socket);
  lowest.expires_never();  // the WebSocket has deadlines of its own
  // The first bounds the closing handshake too: a peer that doesn't answer a close is not waited for longer.
  session->socket.set_option(websocket::stream_base::timeout{std::chrono::seconds(2), idle_timeout, true});
  session->socket.read_message_max(kLargestMessage);
  session->socket.binary(true);
  session->socket.auto_fragment(false);  // one message, one frame: the simplest for every client
  boost::system::error_code error;
  co_await session->socket.async_accept(head, into(error));
  if (error) {
    lowest.close();
    co_return;
  }
  if (session->handlers.opened) session->handlers.opened();

  asio::co_spawn(
      session->socket.get_executor(),
      [session]() -> asio::awaitable<void> {
        co_await read_messages(*session);
        session->reader_done = true;
        session->commands.wake();
        session->finished.cancel();
      },
      asio::detached);
  co_await write_messages(*session);
  session->over = true;
  session->may_read.cancel();
  lowest.close();
  // The reader uses the queue, which belongs to the connection: it ends first.
  if (!session->reader_done) {
    session->finished.expires_at(std::chrono::steady_clock::time_point::max());
    boost::system::error_code ignored;
    co_await session->finished.async_wait(into(ignored));
  }
}

}  // namespace bridgehead::control_api::http
