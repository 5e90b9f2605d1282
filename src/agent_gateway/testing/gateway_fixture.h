// A whole gateway on loopback with a store in memory and a CA of its own, agents that dial it, and what they caused.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "agent.grpc.pb.h"
#include "agent_gateway/gateway.h"
#include "agent_gateway/testing/raw_stream.h"
#include "base/file.h"
#include "pki/certificate.h"
#include "pki/tokens.h"
#include "state/memory_store.h"

namespace bridgehead::agent_gateway::testing {

// Keeps what agents report. Thread-safe.
class RecordingEvents final : public reconcile::AgentEvents {
 public:
  void on_report(const model::NodeId& node, model::NodeReport report) override;
  void on_heartbeat(const model::NodeId& node, const model::NodeLoad& load) override;
  void on_use(const model::NodeId&, const model::NodeUse&) override {}
  void on_observed_vm(const model::NodeId& node, const model::ObservedVm& observed) override;
  void on_vm_gone(const model::NodeId& node, const model::VmId& vm) override;
  void on_assignment_report(const model::NodeId& node, const model::AssignmentReport& report) override;
  void on_disconnected(const model::NodeId& node) override;

  // "report <node>", "heartbeat <node>", ... in the order they came.
  std::vector<std::string> log() const;
  std::size_t count(const std::string& entry) const;
  std::size_t count_prefix(const std::string& prefix) const;
  bool wait(const std::function<bool(const RecordingEvents&)>& condition) const;
  bool wait_for(const std::string& entry, std::size_t times = 1) const;

  std::function<void(const model::NodeId&)> when_reported;  // called inside on_report

 private:
  void add(std::string entry);
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  std::vector<std::string> log_;
};

struct NodeIdentity {
  model::NodeId id;
  std::string key_pem;
  std::string certificate_pem;
};

class GatewayFixture {
 public:
  explicit GatewayFixture(const std::function<void(GatewayConfig&)>& adjust = {});
  ~GatewayFixture();

  // A node that has joined before, without the Join call.
  NodeIdentity add_node(const std::string& name);
  // As a user makes it (or, with a node, as its boot does): the record, and the text that an agent gets.
  std::string add_join_token(std::chrono::seconds valid_for = std::chrono::hours(1), const std::string& node_name = {},
                             const model::NodeId& of_boot = {});
  // Null key = no client certificate.
  std::shared_ptr<grpc::Channel> channel(const NodeIdentity* identity = nullptr) const;
  std::unique_ptr<RawStream> session(const NodeIdentity& identity) const;
  // Opens a session, sends an empty report and waits until the gateway has taken it.
  std::unique_ptr<RawStream> connected_session(const NodeIdentity& identity);
  grpc::Status join(const std::string& token, const std::string& request_pem, agent::v1::JoinReply& reply,
                    const std::string& hostname = "machine.example") const;

  SystemClock clock;
  SystemRandom random;
  TemporaryDirectory directory;
  std::unique_ptr<state::StateStore> store;
  std::unique_ptr<state::Inventory> inventory;
  std::unique_ptr<pki::CertificateAuthority> authority;
  std::unique_ptr<pki::SecretBox> secrets;
  RecordingEvents events;
  std::unique_ptr<Gateway> gateway;
};

std::string report_message(const model::NodeReport& report = {});
std::string heartbeat_message(const model::NodeLoad& load = {});

}  // namespace bridgehead::agent_gateway::testing
