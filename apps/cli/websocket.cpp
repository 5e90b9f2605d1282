#include "cli/websocket.h"

#include <unistd.h>

#include <csignal>
#include <deque>

#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/ssl.hpp>
#include <boost/beast/websocket.hpp>
#include <boost/beast/websocket/ssl.hpp>

namespace bridgehead::cli {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace websocket = beast::websocket;
using Stream = websocket::stream<beast::ssl_stream<beast::tcp_stream>>;

struct Address {
  std::string host;
  std::string port;
};

Result<Address> address_of(const std::string& server) {
  constexpr std::string_view scheme = "https://";
  if (!server.starts_with(scheme))
    return fail(ErrorCode::invalid_argument, "the manager's address must begin with https://");
  auto rest = server.substr(scheme.size());
  rest = rest.substr(0, rest.find('/'));
  const auto bracket = rest.find(']');
  const auto colon = rest.find(':', bracket == std::string::npos ? 0 : bracket);
  Address address{rest.substr(0, colon), colon == std::string::npos ? "443" : rest.substr(colon + 1)};
  if (address.host.starts_with('[')) address.host = address.host.substr(1, address.host.size() - 2);
  return address;
}

}  // namespace

struct WebSocket::State {
  asio::io_context io;
  asio::ssl::context tls{asio::ssl::context::tls_client};
  std::unique_ptr<Stream> stream;
  std::deque<Frame> outgoing;
  beast::flat_buffer incoming;
  std::function<void(const Frame&)> on_frame;
  Status outcome;

  void read_next() {
    stream->async_read(incoming, [this](beast::error_code error, std::size_t) {
      if (error) return ended(error);
      Frame frame{stream->got_binary(), beast::buffers_to_string(incoming.data())};
      incoming.consume(incoming.size());
      on_frame(frame);
      read_next();
    });
  }

  void write_next() {
    stream->binary(outgoing.front().binary);
    stream->async_write(asio::buffer(outgoing.front().bytes), [this](beast::error_code error, std::size_t) {
      if (error) return ended(error);
      outgoing.pop_front();
      if (!outgoing.empty()) write_next();
    });
  }

  void ended(beast::error_code error) {
    if (error == websocket::error::closed) {
      const auto& reason = stream->reason();
      if (reason.code != websocket::close_code::normal && !reason.reason.empty()) {
        outcome = fail(ErrorCode::unavailable, "the connection ended: {}",
                       std::string_view(reason.reason.data(), reason.reason.size()));
      }
    } else if (error != asio::error::operation_aborted) {
      outcome = fail(ErrorCode::unavailable, "the connection to the manager broke: {}", error.message());
    }
    io.stop();
  }
};

WebSocket::WebSocket(std::unique_ptr<State> state) : state_(std::move(state)) {}
WebSocket::~WebSocket() = default;

Result<std::unique_ptr<WebSocket>> WebSocket::connect(const Connection& connection, const std::string& path) {
  const auto address = address_of(connection.server);
  if (!address) return forward(address);
  auto state = std::make_unique<State>();
  websocket::response_type answer;
  try {
    state->tls.set_verify_mode(asio::ssl::verify_peer);
    if (connection.ca.empty()) {
      state->tls.set_default_verify_paths();
    } else {
      state->tls.load_verify_file(connection.ca.string());
    }
    state->stream = std::make_unique<Stream>(state->io, state->tls);
    auto& secure = state->stream->next_layer();
    secure.set_verify_callback(asio::ssl::host_name_verification(address->host));
    SSL_set_tlsext_host_name(secure.native_handle(), address->host.c_str());
    asio::ip::tcp::resolver resolver(state->io);
    asio::connect(beast::get_lowest_layer(*state->stream).socket(), resolver.resolve(address->host, address->port));
    secure.handshake(asio::ssl::stream_base::client);
    state->stream->set_option(websocket::stream_base::decorator([&](websocket::request_type& request) {
      request.set(beast::http::field::authorization, "Bearer " + connection.token);
    }));
    state->stream->handshake(answer, address->host, "/api/v1" + path);
  } catch (const boost::system::system_error& error) {
    const auto problem = nlohmann::json::parse(answer.body(), nullptr, false);
    if (problem.is_object() && problem.contains("detail")) {
      return fail_with_hint(error_code_from_string(problem.value("code", std::string())),
                            problem.value("detail", std::string()), problem.value("hint", std::string()));
    }
    return fail(ErrorCode::unavailable, "can't open a WebSocket to {}: {}", connection.server, error.code().message());
  }
  return std::unique_ptr<WebSocket>(new WebSocket(std::move(state)));
}

void WebSocket::send(Frame frame) {
  state_->outgoing.push_back(std::move(frame));
  if (state_->outgoing.size() == 1) state_->write_next();
}

Status WebSocket::run(int input_fd, const std::function<bool()>& on_input,
                      const std::function<void(const Frame&)>& on_frame, const std::function<void()>& on_resize) {
  auto& state = *state_;
  state.on_frame = on_frame;
  asio::posix::stream_descriptor input(state.io, ::dup(input_fd));
  asio::signal_set resized(state.io, SIGWINCH);

  std::function<void()> wait_input = [&] {
    input.async_wait(asio::posix::stream_descriptor::wait_read, [&](beast::error_code error) {
      if (error) return;
      if (on_input()) return wait_input();
      state.stream->async_close(websocket::close_code::normal, [&](beast::error_code) { state.io.stop(); });
    });
  };
  std::function<void()> wait_resize = [&] {
    resized.async_wait([&](beast::error_code error, int) {
      if (error) return;
      on_resize();
      wait_resize();
    });
  };
  state.read_next();
  wait_input();
  wait_resize();
  on_resize();
  state.io.run();
  return state.outcome;
}

}  // namespace bridgehead::cli
