#include "agent_gateway/agent_service.h"

#include <grpc/grpc_security_constants.h>

#include "agent_gateway/messages.h"
#include "model/codec.h"
#include "reconcile/desired.h"

namespace bridgehead::agent_gateway {
namespace {

constexpr std::size_t most_waiting_joins = 1024;

using Stream = grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>;

// A stream that is answered with a status and nothing else.
class RefusedStream final : public Stream {
 public:
  explicit RefusedStream(const Error& error) { Finish(to_grpc(error)); }
  void OnDone() override { delete this; }
};

// gRPC's reactors belong to themselves from here to OnDone.
Stream* refuse_stream(const Error& error) { return std::make_unique<RefusedStream>(error).release(); }

grpc::ServerUnaryReactor* refuse(grpc::CallbackServerContext* context, const Error& error) {
  auto* reactor = context->DefaultReactor();
  reactor->Finish(to_grpc(error));
  return reactor;
}

// The certificate that TLS has verified; empty when the caller showed none.
std::string peer_certificate(const grpc::CallbackServerContext& context) {
  const auto auth = context.auth_context();
  if (!auth) return {};
  const auto values = auth->FindPropertyValues(GRPC_X509_PEM_CERT_PROPERTY_NAME);
  return values.empty() ? std::string() : std::string(values.front().data(), values.front().size());
}

const Error stopping_error{ErrorCode::unavailable, "the manager is stopping", {}};

}  // namespace

AgentService::AgentService(Settings settings, state::Inventory& inventory, std::string ca_certificate_pem,
                           JoinDesk& desk, SessionRegistry& sessions, TunnelTable& tunnels)
    : settings_(std::move(settings)),
      inventory_(inventory),
      ca_certificate_pem_(std::move(ca_certificate_pem)),
      desk_(desk),
      sessions_(sessions),
      tunnels_(tunnels) {}

Result<Peer> AgentService::recognise(const grpc::CallbackServerContext& context) {
  if (stopping_) return fail(stopping_error);
  auto peer = desk_.recognise(peer_certificate(context));
  if (!peer) {
    ++refused_;
    log::warning(agent_refused, "{}: {}", context.peer(), peer.error().message);
  }
  return peer;
}

grpc::ServerUnaryReactor* AgentService::on_worker(grpc::CallbackServerContext* context, std::function<Status()> work) {
  if (workers_.pending() >= most_waiting_joins) {
    return refuse(context, {ErrorCode::resource_exhausted, "too many joins at once", "Try again in a moment."});
  }
  auto* reactor = context->DefaultReactor();
  const bool taken = workers_.submit([this, reactor, work = std::move(work)] {
    const auto status = work();
    if (!status) ++refused_;
    reactor->Finish(status ? grpc::Status::OK : to_grpc(status.error()));
  });
  if (!taken) reactor->Finish(to_grpc(stopping_error));
  return reactor;
}

grpc::ServerUnaryReactor* AgentService::Join(grpc::CallbackServerContext* context,
                                             const agent::v1::JoinRequest* request, agent::v1::JoinReply* reply) {
  if (stopping_) return refuse(context, stopping_error);
  return on_worker(context, [this, context, request, reply]() -> Status {
    auto admission = desk_.join({.join_token = request->join_token(),
                                 .certificate_request_pem = request->certificate_request_pem(),
                                 .hostname = request->hostname(),
                                 .machine_id = request->machine_id(),
                                 .peer = context->peer()});
    if (!admission) return forward(admission);
    reply->set_node_id(admission->node.str());
    reply->set_certificate_pem(std::move(admission->certificate_pem));
    reply->set_ca_certificate_pem(ca_certificate_pem_);
    return {};
  });
}

grpc::ServerUnaryReactor* AgentService::RenewCertificate(grpc::CallbackServerContext* context,
                                                         const agent::v1::RenewRequest* request,
                                                         agent::v1::RenewReply* reply) {
  auto peer = recognise(*context);
  if (!peer) return refuse(context, peer.error());
  return on_worker(context, [this, request, reply, peer = std::move(*peer)]() -> Status {
    auto certificate = desk_.renew(peer, request->certificate_request_pem());
    if (!certificate) {
      log::warning(certificate_not_renewed, "node {}: {}", peer.node, certificate.error().message);
      return forward(certificate);
    }
    reply->set_certificate_pem(std::move(*certificate));
    return {};
  });
}

// Level-triggered: all that the node should have; what is being deleted goes by an assignment.
agent::v1::Welcome AgentService::welcome(const model::NodeId& node) const {
  agent::v1::Welcome welcome;
  welcome.set_manager_id(settings_.manager_id);
  welcome.set_node_id(node.str());
  if (const auto record = inventory_.find<model::Node>(node)) welcome.set_node_name(record->value.name);
  welcome.set_takes_use(true);
  welcome.set_takes_renewals(true);
  welcome.set_heartbeat_seconds(static_cast<std::uint32_t>(settings_.heartbeat.count()));
  for (const auto& pool : reconcile::pools_for_node(inventory_, node)) welcome.add_pools(model::encode(pool));
  for (const auto& network : reconcile::networks_for_node(inventory_, node)) {
    welcome.add_networks(model::encode(network));
  }
  return welcome;
}

Stream* AgentService::Session(grpc::CallbackServerContext* context) {
  const auto peer = recognise(*context);
  if (!peer) return refuse_stream(peer.error());
  const auto session = std::make_shared<agent_gateway::Session>(sessions_, peer->node, context->peer(), next_session_++,
                                                                settings_.session, context);
  sessions_.add(session);
  agent::v1::ManagerMessage message;
  *message.mutable_welcome() = welcome(peer->node);
  session->start(message);
  return session.get();
}

Stream* AgentService::Tunnel(grpc::CallbackServerContext* context) {
  const auto peer = recognise(*context);
  if (!peer) return refuse_stream(peer.error());
  const auto metadata = context->client_metadata().find("tunnel-id");
  const model::TunnelId id(metadata == context->client_metadata().end()
                               ? std::string()
                               : std::string(metadata->second.data(), metadata->second.size()));
  const auto tunnel = is_uuid(id.str()) ? tunnels_.find(id, peer->node) : nullptr;
  if (!tunnel) {
    log::warning(tunnel_refused, "node {} at {}", peer->node, context->peer());
    return refuse_stream({ErrorCode::not_found, "no such tunnel of this node", {}});
  }
  auto stream = std::make_unique<TunnelStream>(tunnel, context);
  if (const auto attached = tunnel->attach(stream.get()); !attached) return refuse_stream(attached.error());
  return stream.release();
}

}  // namespace bridgehead::agent_gateway
