// The manager's REST API over HTTPS: routes, authentication, event streams, consoles, uploads, exports, /metrics.
// Owns its threads (config.io_threads that never block, config.worker_threads for handlers that commit to the store)
// and its connections; owns no state: what it shows is read from the Inventory, what it changes goes through
// reconcile/commands. Thread-safe. Everything given must outlive stop().
// Fails: start() when the address can't be bound (io_error) or the certificate or key is unusable (invalid_argument).
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "reconcile/agent_port.h"

namespace bridgehead::pki {
class SecretBox;
}

namespace bridgehead::reconcile {
struct Commander;  // reconcile/commands/commands.h
class NetbootPort;
class AvailabilityPort;
class EnergyPort;
class UpgradePort;
class PowerPort;
class ProgressBoard;
struct ReconcileMetrics;
}  // namespace bridgehead::reconcile

namespace bridgehead::control_api {

struct ServerConfig {
  std::string address = "0.0.0.0";  // IPv4 or IPv6 literal
  std::uint16_t port = 7443;        // 0 = any free one; port() tells which
  std::string certificate_pem;      // the server's certificate, chain after it
  std::string private_key_pem;
  std::string ca_certificate_pem;  // whose fingerprint a join token carries
  std::string version;             // of the product, as /version shows it
  std::string cluster_id;
  std::string agent_endpoint;  // "host:port" where agents dial in, as a join token carries it

  std::size_t io_threads = 2;
  std::size_t worker_threads = 4;
  std::size_t max_connections = 4096;
  std::size_t max_connections_per_address = 1024;
  std::size_t max_body_bytes = 1U << 20;  // JSON requests; uploads have no limit here
  std::chrono::milliseconds idle_timeout{60'000};
  std::chrono::milliseconds heartbeat_interval{15'000};  // of event streams
  std::chrono::milliseconds stop_grace{10'000};          // what runs may finish for so long
  std::size_t event_stream_queue = 1024;                 // a client that is further behind is dropped
  std::chrono::seconds longest_wait{60};                 // cap of ?wait_seconds
};

// A number that another module adds to /metrics (reconcile, agent_gateway). Names begin with "bridgehead_".
struct ExtraMetric {
  enum class Type { counter, gauge };
  std::string name;
  std::string help;
  Type type = Type::counter;
  std::map<std::string, std::string> labels;
  double value = 0;
};

struct ServerDependencies {
  reconcile::Commander& commander;  // brings the inventory, the clock and the randomness (SystemRandom: makes secrets)
  reconcile::AgentPort& agents;
  reconcile::TunnelBroker& tunnels;
  reconcile::ProgressBoard& progress;                            // Reconciler::progress()
  const reconcile::ReconcileMetrics& reconcile_metrics;          // Reconciler::metrics()
  std::function<std::vector<ExtraMetric>()> extra_metrics = {};  // called at each scrape; may be empty
  reconcile::NetbootPort* netboot = nullptr;                     // null = this manager boots no machines
  const pki::SecretBox* secrets = nullptr;                       // null = it takes no secret files
  reconcile::PowerPort* power = nullptr;                         // null = this manager switches no machines
  reconcile::AvailabilityPort* availability = nullptr;           // null = it doesn't watch over nodes
  reconcile::EnergyPort* energy = nullptr;                       // null = it doesn't add up what nodes take
  const reconcile::UpgradePort* upgrades = nullptr;              // null = it upgrades no agents
};

class Server {
 public:
  Server(ServerConfig config, ServerDependencies dependencies);
  ~Server();  // stops
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Binds, listens and serves until stop().
  Status start();
  // The port bound; 0 before start().
  std::uint16_t port() const;
  // Accepts no more, finishes requests that run (at most config.stop_grace), closes streams and consoles, joins the
  // threads. Idempotent.
  void stop();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace bridgehead::control_api
