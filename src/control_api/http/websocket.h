// One WebSocket from the upgrade to its close: a reading coroutine beside the one that carries commands out. On the
// connection's strand. Pings a silent peer after half of `idle_timeout` and gives it up after the whole.
#pragma once

#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/message.hpp>

#include "control_api/http/asio.h"
#include "control_api/http/command_queue.h"

namespace bridgehead::control_api::http {

// A client that sends frames before it has our answer breaks the protocol (RFC 6455, 4.1); they are not waited for
// here.
asio::awaitable<void> serve_websocket(Stream& stream, beast::http::request<beast::http::empty_body> head,
                                      WebSocketHandlers handlers, std::shared_ptr<Exchange> exchange,
                                      CommandQueue& commands, std::chrono::milliseconds idle_timeout);

}  // namespace bridgehead::control_api::http
