// Listener: accepts TLS connections on one address and runs them on a few I/O threads. Thread-safe.
// Fails: start() with invalid_argument for an unusable certificate or address, io_error when it can't be bound.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "control_api/http/exchange.h"

namespace bridgehead::control_api::http {

struct ListenerConfig {
  std::string address;
  std::uint16_t port = 0;
  std::string certificate_pem;
  std::string private_key_pem;
  std::size_t io_threads = 2;
  std::size_t max_connections = 4096;
  std::size_t max_connections_per_address = 1024;
  std::chrono::milliseconds idle_timeout{60'000};
};

class Listener {
 public:
  Listener(ListenerConfig config, Application& application);
  ~Listener();  // stops without grace

  Status start();
  std::uint16_t port() const;
  std::size_t connections() const;

  // Accepts no more and asks the connections to end; waits until they have, cutting those left after `grace`.
  void stop(std::chrono::milliseconds grace);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace bridgehead::control_api::http
