// The four calls of api/agent.proto as gRPC brings them: recognises the caller, then hands over to join desk, session
// registry and tunnel table. Streams are served raw (wire.h). Thread-safe; join and renew run on two workers.
#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "agent.grpc.pb.h"
#include "agent_gateway/join_desk.h"
#include "agent_gateway/session_registry.h"
#include "agent_gateway/tunnel_table.h"
#include "base/worker_pool.h"

namespace bridgehead::agent_gateway {

using RawAgentService = agent::v1::AgentService::WithCallbackMethod_Join<
    agent::v1::AgentService::WithCallbackMethod_RenewCertificate<agent::v1::AgentService::WithRawCallbackMethod_Session<
        agent::v1::AgentService::WithRawCallbackMethod_Tunnel<agent::v1::AgentService::Service>>>>;

class AgentService final : public RawAgentService {
 public:
  struct Settings {
    std::string manager_id;
    std::chrono::seconds heartbeat{5};
    agent_gateway::Session::Limits session;
  };
  AgentService(Settings settings, state::Inventory& inventory, std::string ca_certificate_pem, JoinDesk& desk,
               SessionRegistry& sessions, TunnelTable& tunnels);

  // From now on every new call is refused with UNAVAILABLE.
  void refuse_all() { stopping_ = true; }
  // After the server's shutdown.
  void stop_workers() { workers_.stop(); }
  std::uint64_t refused_calls() const { return refused_; }

  grpc::ServerUnaryReactor* Join(grpc::CallbackServerContext* context, const agent::v1::JoinRequest* request,
                                 agent::v1::JoinReply* reply) override;
  grpc::ServerUnaryReactor* RenewCertificate(grpc::CallbackServerContext* context,
                                             const agent::v1::RenewRequest* request,
                                             agent::v1::RenewReply* reply) override;
  grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>* Session(grpc::CallbackServerContext* context) override;
  grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>* Tunnel(grpc::CallbackServerContext* context) override;

 private:
  Result<Peer> recognise(const grpc::CallbackServerContext& context);
  agent::v1::Welcome welcome(const model::NodeId& node) const;
  // Runs `work` on a worker and finishes the call with what it returns.
  grpc::ServerUnaryReactor* on_worker(grpc::CallbackServerContext* context, std::function<Status()> work);

  const Settings settings_;
  state::Inventory& inventory_;
  const std::string ca_certificate_pem_;
  JoinDesk& desk_;
  SessionRegistry& sessions_;
  TunnelTable& tunnels_;
  std::atomic<bool> stopping_ = false;
  std::atomic<std::uint64_t> refused_ = 0;
  std::atomic<std::uint64_t> next_session_ = 1;
  WorkerPool workers_{2};
};

}  // namespace bridgehead::agent_gateway
