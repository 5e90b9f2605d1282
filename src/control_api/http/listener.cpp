#include "control_api/http/listener.h"

#include <openssl/ssl.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <condition_variable>
#include <set>

#include "base/log.h"
#include "control_api/http/connection.h"

namespace bridgehead::control_api::http {
namespace {

constexpr log::Message accept_failed{
    "API_ACCEPT_FAILED",
    "A connection could not be accepted, mostly because the process has no file descriptors left."};
constexpr log::Message connection_failed{"API_CONNECTION_FAILED",
                                         "A connection ended by a fault of the server; the client may try again."};

// We speak HTTP/1.1 only; a client that offers HTTP/2 first must be told.
int choose_protocol(SSL*, const unsigned char** out, unsigned char* out_length, const unsigned char* in,
                    unsigned in_length, void*) {
  static constexpr unsigned char ours[] = {8, 'h', 't', 't', 'p', '/', '1', '.', '1'};
  unsigned char* chosen = nullptr;
  if (SSL_select_next_proto(&chosen, out_length, ours, sizeof ours, in, in_length) != OPENSSL_NPN_NEGOTIATED) {
    return SSL_TLSEXT_ERR_NOACK;
  }
  *out = chosen;
  return SSL_TLSEXT_ERR_OK;
}

Status set_up_tls(asio::ssl::context& tls, const ListenerConfig& config) {
  boost::system::error_code error;
  tls.set_options(asio::ssl::context::no_sslv2 | asio::ssl::context::no_sslv3 | asio::ssl::context::no_tlsv1 |
                      asio::ssl::context::no_tlsv1_1 | asio::ssl::context::no_compression,
                  error);
  if (!error) tls.use_certificate_chain(asio::buffer(config.certificate_pem), error);
  if (error) return fail(ErrorCode::invalid_argument, "the API's certificate can't be used: {}", error.message());
  tls.use_private_key(asio::buffer(config.private_key_pem), asio::ssl::context::pem, error);
  if (error) return fail(ErrorCode::invalid_argument, "the API's private key can't be used: {}", error.message());
  SSL_CTX_set_min_proto_version(tls.native_handle(), TLS1_2_VERSION);
  SSL_CTX_set_options(tls.native_handle(), SSL_OP_NO_RENEGOTIATION | SSL_OP_IGNORE_UNEXPECTED_EOF);
  SSL_CTX_set_mode(tls.native_handle(), SSL_MODE_RELEASE_BUFFERS);  // 34 KiB less for each idle connection
  SSL_CTX_set_alpn_select_cb(tls.native_handle(), choose_protocol, nullptr);
  return {};
}

}  // namespace

class Listener::Impl {
 public:
  Impl(ListenerConfig config, Application& application)
      : config_(std::move(config)),
        application_(application),
        io_(static_cast<int>(config_.io_threads)),
        tls_(asio::ssl::context::tls_server),
        acceptor_(asio::make_strand(io_)) {}

  ~Impl() { stop(std::chrono::milliseconds(0)); }

  Status start();
  void stop(std::chrono::milliseconds grace);
  std::uint16_t port() const { return port_; }
  std::size_t connections() const {
    const std::lock_guard lock(mutex_);
    return connections_.size();
  }

 private:
  asio::awaitable<void> accept_all();
  void serve(asio::ip::tcp::socket socket);
  bool admit(const std::shared_ptr<Connection>& connection);
  void forget(const std::shared_ptr<Connection>& connection);
  bool wait_until_empty(std::chrono::milliseconds longest);

  const ListenerConfig config_;
  Application& application_;
  asio::io_context io_;
  asio::ssl::context tls_;
  asio::ip::tcp::acceptor acceptor_;
  std::uint16_t port_ = 0;
  std::vector<std::thread> threads_;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::set<std::shared_ptr<Connection>> connections_;
  std::map<std::string, std::size_t> per_address_;
  bool accepting_ = false;
  bool stopping_ = false;
};

Status Listener::Impl::start() {
  if (const auto status = set_up_tls(tls_, config_); !status) return status;
  boost::system::error_code error;
  const auto address = asio::ip::make_address(config_.address, error);
  if (error) return fail(ErrorCode::invalid_argument, "'{}' is not an IP address to listen on", config_.address);
  const asio::ip::tcp::endpoint endpoint(address, config_.port);
  acceptor_.open(endpoint.protocol(), error);
  if (!error) acceptor_.set_option(asio::socket_base::reuse_address(true), error);
  if (!error) acceptor_.bind(endpoint, error);
  if (!error) acceptor_.listen(asio::socket_base::max_listen_connections, error);
  if (error) {
    return fail(ErrorCode::io_error, "can't listen on {} port {}: {}", config_.address, config_.port, error.message());
  }
  port_ = acceptor_.local_endpoint(error).port();
  accepting_ = true;
  asio::co_spawn(acceptor_.get_executor(), accept_all(), asio::detached);
  for (std::size_t i = 0; i < std::max<std::size_t>(config_.io_threads, 1); ++i) {
    threads_.emplace_back([this] { io_.run(); });
  }
  return {};
}

asio::awaitable<void> Listener::Impl::accept_all() {
  asio::steady_timer pause(acceptor_.get_executor());
  for (;;) {
    boost::system::error_code error;
    asio::ip::tcp::socket socket =
        co_await acceptor_.async_accept(asio::make_strand(io_), asio::redirect_error(asio::use_awaitable, error));
    if (error == asio::error::operation_aborted || !acceptor_.is_open()) break;
    if (error) {
      log::warning(accept_failed, "can't accept a connection: {}", error.message());
      pause.expires_after(std::chrono::milliseconds(100));
      boost::system::error_code ignored;
      co_await pause.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
      continue;
    }
    serve(std::move(socket));
  }
  const std::lock_guard lock(mutex_);
  accepting_ = false;
  changed_.notify_all();
}

void Listener::Impl::serve(asio::ip::tcp::socket socket) {
  boost::system::error_code error;
  const auto remote = socket.remote_endpoint(error);
  if (error) return;
  const auto executor = socket.get_executor();
  auto connection = std::make_shared<Connection>(std::move(socket), tls_, application_,
                                                 ConnectionLimits{.idle_timeout = config_.idle_timeout},
                                                 remote.address().to_string());
  if (!admit(connection)) return;  // closed by going out of scope
  asio::co_spawn(executor, connection->run(), [this, connection](const std::exception_ptr& thrown) {
    if (thrown) {
      try {
        std::rethrow_exception(thrown);
      } catch (const std::exception& failure) {
        log::error(connection_failed, "connection from {}: {}", connection->remote_address(), failure.what());
      }
      connection->abandon();
    }
    forget(connection);
  });
}

bool Listener::Impl::admit(const std::shared_ptr<Connection>& connection) {
  const std::lock_guard lock(mutex_);
  auto& from_there = per_address_[connection->remote_address()];
  if (stopping_ || connections_.size() >= config_.max_connections ||
      from_there >= config_.max_connections_per_address) {
    if (from_there == 0) per_address_.erase(connection->remote_address());
    return false;
  }
  ++from_there;
  connections_.insert(connection);
  return true;
}

void Listener::Impl::forget(const std::shared_ptr<Connection>& connection) {
  const std::lock_guard lock(mutex_);
  if (connections_.erase(connection) == 0) return;
  const auto from_there = per_address_.find(connection->remote_address());
  if (from_there != per_address_.end() && --from_there->second == 0) per_address_.erase(from_there);
  changed_.notify_all();
}

bool Listener::Impl::wait_until_empty(std::chrono::milliseconds longest) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, longest, [this] { return connections_.empty() && !accepting_; });
}

void Listener::Impl::stop(std::chrono::milliseconds grace) {
  std::set<std::shared_ptr<Connection>> open;
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return;
    stopping_ = true;
    open = connections_;
  }
  if (threads_.empty()) return;
  asio::post(acceptor_.get_executor(), [this] {
    boost::system::error_code ignored;
    acceptor_.close(ignored);
  });
  for (const auto& connection : open) connection->stop();
  if (!wait_until_empty(grace)) {
    for (const auto& connection : open) connection->cut();
    wait_until_empty(std::chrono::minutes(1));
  }
  open.clear();
  io_.stop();
  for (auto& thread : threads_) thread.join();
  threads_.clear();
}

Listener::Listener(ListenerConfig config, Application& application)
    : impl_(std::make_unique<Impl>(std::move(config), application)) {}
Listener::~Listener() = default;
Status Listener::start() { return impl_->start(); }
std::uint16_t Listener::port() const { return impl_->port(); }
std::size_t Listener::connections() const { return impl_->connections(); }
void Listener::stop(std::chrono::milliseconds grace) { impl_->stop(grace); }

}  // namespace bridgehead::control_api::http
