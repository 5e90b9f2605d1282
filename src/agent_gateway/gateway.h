// The manager's side of api/agent.proto: where agents join, hold their streams and open tunnels. Owns the listener and
// its threads (gRPC's, none per agent); no state of its own survives it. Thread-safe.
// Fails: start() when the address can't be bound or the certificate can't be used (io_error, invalid_argument).
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/random.h"
#include "base/result.h"
#include "pki/certificate_authority.h"
#include "pki/secret_box.h"
#include "reconcile/agent_port.h"
#include "state/inventory.h"

namespace bridgehead::agent_gateway {

struct GatewayConfig {
  std::string address = "0.0.0.0";  // IPv4 or IPv6 literal
  std::uint16_t port = 7444;        // 0 = any free one; port() tells which
  // A private directory (made if missing): the listener watches the identity in it, so that a new one needs no restart.
  std::filesystem::path tls_directory;
  std::string manager_id;             // the cluster's id, as agents see it
  std::chrono::seconds heartbeat{5};  // how often agents report their load
  std::chrono::seconds node_certificate_validity = std::chrono::hours(24 * 90);
  std::chrono::seconds identity_poll{10};  // a new identity is served after at most this time
  std::chrono::milliseconds first_report{30'000};
  std::chrono::milliseconds probe_patience{6'000};  // for the answer of an agent whose machine seems to boot
  std::chrono::milliseconds tunnel_open_within{10'000};
  std::chrono::milliseconds stop_grace{3'000};
  std::size_t tunnels_per_node = 256;
  std::size_t session_queue_messages = 4096;
};

struct GatewayDependencies {
  state::Inventory& inventory;
  const pki::CertificateAuthority& authority;
  const Clock& clock;
  RandomSource& random;                     // fit for secrets
  const pki::SecretBox* secrets = nullptr;  // null = nodes get no secret files
};

struct GatewayNumbers {
  std::size_t sessions = 0;
  std::size_t tunnels = 0;
  std::uint64_t refused_calls = 0;  // without a valid certificate, or with a token that isn't
};

class Gateway final : public reconcile::AgentPort, public reconcile::TunnelBroker {
 public:
  Gateway(GatewayConfig config, GatewayDependencies dependencies);
  ~Gateway() override;  // stops
  Gateway(const Gateway&) = delete;
  Gateway& operator=(const Gateway&) = delete;

  // What the listener proves itself with; before start(), and again before the last one ends.
  Status set_identity(const pki::Identity& identity);
  // Binds and serves; `events` must outlive stop().
  Status start(reconcile::AgentEvents& events);
  std::uint16_t port() const;  // 0 before start()
  // Ends streams and tunnels, then the listener. Idempotent. No event comes afterwards.
  void stop();
  GatewayNumbers numbers() const;

  // Asks the node's agent for a sign of life, and ends its stream when none comes in time: an agent whose machine was
  // reset or lost power counts as connected until then. Never blocks.
  void probe(const model::NodeId& node);

  bool connected(const model::NodeId& node) const override;
  bool assign(const model::NodeId& node, const model::Assignment& assignment) override;
  bool cancel(const model::NodeId& node, const model::OperationId& operation) override;
  bool acknowledge(const model::NodeId& node, const model::OperationId& operation) override;
  std::map<model::NodeId, std::string> take_renewals() override;
  bool answer_renewal(const model::NodeId& node, const std::string& answer) override;
  Result<std::shared_ptr<reconcile::Tunnel>> open(const model::NodeId& node, const reconcile::TunnelRequest& request,
                                                  reconcile::TunnelHandlers handlers) override;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace bridgehead::agent_gateway
