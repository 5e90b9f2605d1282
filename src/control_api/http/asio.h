// Boost.Asio and Beast for this folder's .cpp files only, compiled once (asio.cpp) instead of in each of them.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/ssl/ssl_stream.hpp>

namespace bridgehead::control_api::http {

namespace asio = boost::asio;
namespace beast = boost::beast;
using Stream = beast::ssl_stream<beast::tcp_stream>;

// For co_await: failures come as an error_code instead of an exception.
inline auto into(boost::system::error_code& error) { return asio::redirect_error(asio::use_awaitable, error); }

}  // namespace bridgehead::control_api::http
