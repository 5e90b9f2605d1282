#include "control_api/http/connection.h"

#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/websocket/rfc6455.hpp>

#include "control_api/http/websocket.h"

namespace bridgehead::control_api::http {
namespace {

namespace bhttp = beast::http;

constexpr std::size_t kPiece = 256 * 1024;
// What of an unwanted body is still taken so that the client sees the answer instead of a reset connection.
constexpr std::size_t kDrain = 256 * 1024;

std::string lower_case(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

// The parser's own errors, as opposed to those of the network.
bool is_syntax(const boost::system::error_code& error) {
  return error.category() == bhttp::make_error_code(bhttp::error::bad_chunk).category();
}

}  // namespace

struct Connection::Incoming {
  bhttp::request_parser<bhttp::buffer_body> parser;
  std::shared_ptr<Exchange> exchange;
  Method method = Method::other;
  bool expects_continue = false;
};

Connection::Connection(asio::ip::tcp::socket socket, asio::ssl::context& tls, Application& application,
                       ConnectionLimits limits, std::string remote_address)
    : stream_(beast::tcp_stream(std::move(socket)), tls),
      lowest_(beast::get_lowest_layer(stream_)),
      application_(application),
      limits_(limits),
      remote_address_(std::move(remote_address)),
      commands_(stream_.get_executor()) {}

void Connection::submit(Command command) { commands_.push(std::move(command), shared_from_this()); }

void Connection::stop() {
  asio::post(stream_.get_executor(), [self = shared_from_this()] {
    self->commands_.stopping = true;
    self->commands_.wake();
    if (self->idle_) self->lowest_.cancel();
  });
}

void Connection::cut() {
  asio::post(stream_.get_executor(), [self = shared_from_this()] {
    self->commands_.cut = true;
    self->commands_.wake();
    self->lowest_.close();
  });
}

void Connection::abandon() {
  if (const auto exchange = std::exchange(exchange_, nullptr)) exchange->detach();
  commands_.refuse_all();
}

asio::awaitable<void> Connection::run() {
  boost::system::error_code error;
  lowest_.socket().set_option(asio::ip::tcp::no_delay(true), error);
  lowest_.expires_after(limits_.handshake_timeout);
  co_await stream_.async_handshake(asio::ssl::stream_base::server, into(error));
  if (error) co_return;
  bool more = true;
  while (more && !commands_.stopping && !commands_.cut) more = co_await serve_one();
  if (!lowest_.socket().is_open()) co_return;  // cut, or timed out
  if (unread_) co_await discard();
  // The peer's own goodbye isn't worth waiting for when everything stops.
  lowest_.expires_after(commands_.stopping ? std::chrono::milliseconds(100) : std::chrono::milliseconds(2000));
  co_await stream_.async_shutdown(into(error));
}

// Takes what a refused client still sends: closing with bytes unread would reset the connection, and the answer be
// lost.
asio::awaitable<void> Connection::discard() {
  std::string sink(kPiece, '\0');
  lowest_.expires_after(std::chrono::seconds(2));
  boost::system::error_code error;
  while (!error && !commands_.stopping) co_await stream_.async_read_some(asio::buffer(sink), into(error));
}

// False = close the connection.
asio::awaitable<bool> Connection::serve_one() {
  auto incoming = std::make_unique<Incoming>();
  auto& parser = incoming->parser;
  parser.header_limit(static_cast<std::uint32_t>(limits_.header_bytes));
  parser.body_limit(boost::none);  // each route has its own
  idle_ = true;
  lowest_.expires_after(limits_.idle_timeout);
  boost::system::error_code error;
  co_await bhttp::async_read_header(stream_, buffer_, parser, into(error));
  idle_ = false;
  if (error == bhttp::error::header_limit) {
    const std::string what = fmt::format("the request's headers are larger than {} bytes", limits_.header_bytes);
    const bool kept = co_await reject(431, what);
    co_return kept;
  }
  if (error && error != bhttp::error::end_of_stream && is_syntax(error)) {
    const std::string what = fmt::format("this is not HTTP/1.1: {}", error.message());
    const bool kept = co_await reject(400, what);
    co_return kept;
  }
  if (error) co_return false;

  const auto& head = parser.get();
  Request request;
  request.method_text = std::string(head.method_string());
  request.method = method_from(request.method_text);
  request.remote_address = remote_address_;
  for (const auto& field : head)
    request.headers.emplace_back(lower_case(field.name_string()), std::string(field.value()));
  if (const auto length = parser.content_length()) request.content_length = *length;
  request.has_body = parser.chunked() || request.content_length.value_or(0) > 0;
  request.upgrade_websocket = beast::websocket::is_upgrade(head);
  incoming->method = request.method;
  incoming->expects_continue = lower_case(request.header("expect")) == "100-continue";
  auto target = parse_target(std::string_view(head.target().data(), head.target().size()));
  if (!target || (head.version() >= 11 && request.header("host").empty())) {
    const std::string what = target ? std::string("the request has no Host header") : target.error().message;
    const bool kept = co_await reject(400, what);
    co_return kept;
  }
  request.target = std::move(*target);

  auto exchange = std::make_shared<Exchange>(std::move(request), *this);
  incoming->exchange = exchange;
  exchange_ = exchange;
  application_.handle(exchange);
  const bool kept = co_await answer(*incoming);
  abandon();
  co_return kept;
}

// Carries out what the application asks for until the answer has ended.
asio::awaitable<bool> Connection::answer(Incoming& incoming) {
  for (;;) {
    std::optional<Command> command = co_await commands_.next(false);
    if (!command) co_return false;
    switch (command->kind) {
      case Command::Kind::read_body: co_await read_body(incoming, std::move(*command)); break;
      case Command::Kind::read_piece: co_await read_piece(incoming, std::move(*command)); break;
      case Command::Kind::respond: {
        const bool kept = co_await send_response(incoming, std::move(command->response));
        co_return kept;
      }
      case Command::Kind::start_stream: {
        const bool kept = co_await stream_answer(incoming, std::move(*command));
        co_return kept;
      }
      case Command::Kind::accept_websocket: {
        bhttp::request<bhttp::empty_body> head(incoming.parser.get().base());
        co_await serve_websocket(stream_, std::move(head), std::move(command->handlers), incoming.exchange, commands_,
                                 limits_.idle_timeout);
        co_return false;
      }
      case Command::Kind::abort: lowest_.close(); co_return false;
      default: refuse(*command);  // out of order: a fault of ours, but not one to fall over
    }
  }
}

asio::awaitable<bool> Connection::reject(unsigned status, std::string_view message) {
  const Response response = application_.bad_request(status, message);
  std::string text = serialize_head(response, response.body.size(), false);
  text += response.body;
  co_await send(text);
  unread_ = true;
  co_return false;
}

asio::awaitable<bool> Connection::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const std::size_t length = std::min(bytes.size(), kPiece);
    // Each piece has its own deadline: a slow client may take long for the whole, but not stand still.
    lowest_.expires_after(limits_.idle_timeout);
    boost::system::error_code error;
    co_await asio::async_write(stream_, asio::buffer(bytes.data(), length), into(error));
    if (error) co_return false;
    bytes.remove_prefix(length);
  }
  co_return true;
}

asio::awaitable<bool> Connection::send_response(Incoming& incoming, Response response) {
  const bool body_read = incoming.parser.is_done();
  const auto remaining = incoming.parser.content_length_remaining();
  const bool drainable = !incoming.expects_continue && remaining && *remaining <= kDrain;
  const bool keep_alive = incoming.parser.keep_alive() && !commands_.stopping && (body_read || drainable);
  std::string text = serialize_head(response, response.body.size(), keep_alive);
  bool sent = false;
  if (incoming.method == Method::head) {
    sent = co_await send(text);
  } else if (response.body.size() <= kPiece) {
    text += response.body;  // one record, one segment
    sent = co_await send(text);
  } else {
    sent = co_await send(text);
    if (sent) sent = co_await send(response.body);
  }
  if (!sent) co_return false;
  if (!body_read) {
    const bool drained = co_await drain(incoming);
    unread_ = !drained;
    if (!drained) co_return false;
  }
  co_return keep_alive;
}

// Reads and drops the rest of a body, up to a limit; true = the connection can go on.
asio::awaitable<bool> Connection::drain(Incoming& incoming) {
  if (incoming.expects_continue) co_return false;
  std::size_t taken = 0;
  while (taken <= kDrain) {
    const Result<std::string> piece = co_await next_piece(incoming);
    if (!piece) co_return false;
    if (piece->empty()) co_return true;
    taken += piece->size();
  }
  co_return false;
}

// Empty = the body's end.
asio::awaitable<Result<std::string>> Connection::next_piece(Incoming& incoming) {
  auto& parser = incoming.parser;
  if (incoming.expects_continue) {
    incoming.expects_continue = false;
    const bool sent = co_await send("HTTP/1.1 100 Continue\r\n\r\n");
    if (!sent) co_return Result<std::string>(fail(ErrorCode::io_error, "the client has gone away"));
  }
  // TLS gives 16 KiB at a time: gathered, so that each hand-over to the other side is worth it.
  const auto remaining = parser.content_length_remaining();
  std::string piece(static_cast<std::size_t>(std::min<std::uint64_t>(remaining.value_or(kPiece), kPiece)), '\0');
  std::size_t filled = 0;
  while (!parser.is_done() && filled < piece.size()) {
    auto& body = parser.get().body();
    body.data = piece.data() + filled;
    body.size = piece.size() - filled;
    lowest_.expires_after(limits_.idle_timeout);
    boost::system::error_code error;
    co_await bhttp::async_read_some(stream_, buffer_, parser, into(error));
    filled = piece.size() - body.size;
    if (error && error != bhttp::error::need_buffer) {
      const bool malformed =
          is_syntax(error) && error != bhttp::error::partial_message && error != bhttp::error::end_of_stream;
      co_return Result<std::string>(fail(malformed ? ErrorCode::invalid_argument : ErrorCode::io_error,
                                         "the request's body ended before its time: {}", error.message()));
    }
  }
  piece.resize(filled);
  co_return Result<std::string>(std::move(piece));
}

asio::awaitable<void> Connection::read_piece(Incoming& incoming, Command command) {
  Result<std::string> piece = co_await next_piece(incoming);
  command.body(std::move(piece));
}

asio::awaitable<void> Connection::read_body(Incoming& incoming, Command command) {
  const auto too_large = [&] {
    return fail_with_hint(ErrorCode::resource_exhausted, fmt::format("the body is larger than {} bytes", command.limit),
                          "Send less in one request.");
  };
  const auto length = incoming.parser.content_length();
  if (length && *length > command.limit) {
    command.body(too_large());
    co_return;
  }
  std::string whole;
  for (;;) {
    Result<std::string> piece = co_await next_piece(incoming);
    if (!piece) {
      command.body(std::move(piece));
      co_return;
    }
    if (piece->empty()) break;
    if (whole.size() + piece->size() > command.limit) {
      command.body(too_large());
      co_return;
    }
    whole = whole.empty() ? std::move(*piece) : whole + *piece;
  }
  command.body(std::move(whole));
}

asio::awaitable<bool> Connection::stream_answer(Incoming& incoming, Command start) {
  // HTTP/1.0 knows no chunks: there the connection's end is the body's end.
  const bool chunked = incoming.parser.get().version() >= 11;
  const bool keep_alive = chunked && incoming.parser.is_done() && incoming.parser.keep_alive();
  const auto frame = [chunked](std::string_view bytes) {
    return chunked ? fmt::format("{:x}\r\n{}\r\n", bytes.size(), bytes) : std::string(bytes);
  };
  std::string text = serialize_head(start.response, std::nullopt, keep_alive);
  if (!start.response.body.empty()) text += frame(start.response.body);
  bool sent = co_await send(text);
  while (sent) {
    std::optional<Command> command = co_await commands_.next(true);
    if (!command && (commands_.cut || start.on_stop == OnStop::cut)) break;
    if (!command || command->kind == Command::Kind::finish) {
      if (chunked) sent = co_await send("0\r\n\r\n");
      co_return sent&& keep_alive && !commands_.stopping;
    }
    if (command->kind == Command::Kind::write) {
      if (!command->bytes.empty()) {  // an empty chunk would be the end
        const std::string framed = frame(command->bytes);
        sent = co_await send(framed);
      }
      if (command->written) command->written(sent);
    } else if (command->kind == Command::Kind::abort) {
      break;
    } else {
      refuse(*command);
    }
  }
  lowest_.close();
  co_return false;
}

}  // namespace bridgehead::control_api::http
