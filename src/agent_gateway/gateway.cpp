#include "agent_gateway/gateway.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <set>

#include <grpcpp/grpcpp.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_credentials_options.h>

#include "agent_gateway/agent_service.h"
#include "agent_gateway/messages.h"
#include "agent_gateway/secret_courier.h"
#include "base/file.h"
#include "model/codec.h"
#include "pki/certificate.h"

namespace bridgehead::agent_gateway {
namespace {

std::string host_and_port(const std::string& address, std::uint16_t port) {
  return address.find(':') == std::string::npos ? fmt::format("{}:{}", address, port)
                                                : fmt::format("[{}]:{}", address, port);
}

// gRPC only says that it couldn't bind; this says why.
Status try_to_bind(const std::string& address, std::uint16_t port) {
  sockaddr_storage storage{};
  socklen_t size = 0;
  auto* v4 = reinterpret_cast<sockaddr_in*>(&storage);
  auto* v6 = reinterpret_cast<sockaddr_in6*>(&storage);
  if (inet_pton(AF_INET, address.c_str(), &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons(port);
    size = sizeof(sockaddr_in);
  } else if (inet_pton(AF_INET6, address.c_str(), &v6->sin6_addr) == 1) {
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(port);
    size = sizeof(sockaddr_in6);
  } else {
    return fail(ErrorCode::invalid_argument, "'{}' is not an IP address to listen at", address);
  }
  const UniqueFd probe(::socket(storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int on = 1;
  if (probe) ::setsockopt(probe.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  if (probe && ::bind(probe.get(), reinterpret_cast<sockaddr*>(&storage), size) == 0 && ::listen(probe.get(), 1) == 0) {
    return {};
  }
  const int reason = errno;
  auto error = fail_errno(reason, fmt::format("listening for agents at {}", host_and_port(address, port))).value();
  if (reason == EADDRINUSE)
    error.hint = "Another program, perhaps another manager, uses this port: choose another one (agent_listen).";
  return fail(std::move(error));
}

Status check_identity(const pki::Identity& identity) {
  return pki::check_key_matches(identity.key_pem, identity.chain_pem);
}

}  // namespace

class Gateway::Impl {
 public:
  Impl(GatewayConfig config, GatewayDependencies dependencies)
      : config_(std::move(config)),
        dependencies_(dependencies),
        desk_(dependencies.inventory, dependencies.authority, dependencies.clock, config_.node_certificate_validity),
        tunnels_(dependencies.random, TunnelEnd::Limits{.open_within = config_.tunnel_open_within},
                 config_.tunnels_per_node),
        sessions_(
            {.tunnel_failed =
                 [this](const model::NodeId& node, TunnelFailure failure) {
                   if (const auto tunnel = tunnels_.find(failure.tunnel, node)) tunnel->fail(std::move(failure.error));
                 },
             .ended = [this](std::uint64_t number, const Error& error) { tunnels_.end_of_session(number, error); },
             .secrets_reported =
                 [this](const Session& session, const model::SecretsOnNode& secrets) {
                   duties_.submit([this, node = session.node(), number = session.number(), digest = secrets.digest] {
                     courier_.reported(node, number, digest);
                   });
                 }}),
        courier_(dependencies.inventory, dependencies.secrets, sessions_),
        service_({.manager_id = config_.manager_id,
                  .heartbeat = config_.heartbeat,
                  .session = {.queued_messages = config_.session_queue_messages, .first_report = config_.first_report}},
                 dependencies.inventory, dependencies.authority.certificate_pem(), desk_, sessions_, tunnels_) {}

  Status set_identity(const pki::Identity& identity);
  Status start(reconcile::AgentEvents& events);
  void stop();
  std::uint16_t port() const { return static_cast<std::uint16_t>(port_); }
  GatewayNumbers numbers() const { return {sessions_.size(), tunnels_.size(), service_.refused_calls()}; }
  bool connected(const model::NodeId& node) const { return sessions_.find(node) != nullptr; }
  bool send(const model::NodeId& node, const agent::v1::ManagerMessage& message) {
    const auto session = sessions_.find(node);
    return session && session->send(message);
  }
  std::map<model::NodeId, std::string> take_renewals() { return sessions_.take_renewals(); }
  void probe(const model::NodeId& node) {
    if (const auto session = sessions_.find(node)) session->probe(config_.probe_patience);
  }
  Result<std::shared_ptr<reconcile::Tunnel>> open(const model::NodeId& node, const reconcile::TunnelRequest& request,
                                                  reconcile::TunnelHandlers handlers);

 private:
  std::filesystem::path file(const char* name) const { return config_.tls_directory / name; }
  std::shared_ptr<grpc::ServerCredentials> credentials() const;
  void end_sessions_of_deleted_nodes();

  const GatewayConfig config_;
  const GatewayDependencies dependencies_;
  JoinDesk desk_;
  TunnelTable tunnels_;
  SessionRegistry sessions_;
  SecretCourier courier_;  // the duties' alone
  AgentService service_;
  WorkerPool duties_{1};
  std::unique_ptr<state::StateStore::Watch> watch_;
  std::unique_ptr<grpc::Server> server_;
  int port_ = 0;
  bool stopped_ = false;
};

Status Gateway::Impl::set_identity(const pki::Identity& identity) {
  if (auto status = check_identity(identity); !status) return status;
  if (auto status = make_directories(config_.tls_directory, 0700); !status) return status;
  if (auto status = write_file_atomic(file("ca.pem"), dependencies_.authority.certificate_pem(), 0644); !status) {
    return status;
  }
  // The watcher takes the pair only when both files stayed the same while it read them.
  if (auto status = write_file_atomic(file("server.pem"), identity.chain_pem, 0644); !status) return status;
  return write_file_atomic(file("server.key"), identity.key_pem, 0600);
}

// A caller may come without a certificate (only Join lets it in); one that it shows must be ours and valid.
std::shared_ptr<grpc::ServerCredentials> Gateway::Impl::credentials() const {
  const auto provider = std::make_shared<grpc::experimental::FileWatcherCertificateProvider>(
      file("server.key").string(), file("server.pem").string(), file("ca.pem").string(),
      static_cast<unsigned>(config_.identity_poll.count()));
  grpc::experimental::TlsServerCredentialsOptions options(provider);
  options.watch_root_certs();
  options.watch_identity_key_cert_pairs();
  options.set_cert_request_type(GRPC_SSL_REQUEST_CLIENT_CERTIFICATE_AND_VERIFY);
  options.set_check_call_host(false);
  return grpc::experimental::TlsServerCredentials(options);
}

Status Gateway::Impl::start(reconcile::AgentEvents& events) {
  if (auto status = try_to_bind(config_.address, config_.port); !status) return status;
  sessions_.set_events(&events);
  grpc::ServerBuilder builder;
  builder.AddListeningPort(host_and_port(config_.address, config_.port), credentials(), &port_);
  builder.RegisterService(&service_);
  builder.SetMaxReceiveMessageSize(max_message_bytes);
  builder.SetMaxSendMessageSize(-1);
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);  // else a second manager would share our port
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, 20'000);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 10'000);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 1'000);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MAX_PING_STRIKES, 0);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, 512);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_IDLE_MS, 120'000);
  builder.AddChannelArgument(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, 20'000);
  server_ = builder.BuildAndStart();
  if (!server_ || port_ == 0) {
    server_.reset();
    return fail(ErrorCode::io_error, "can't listen for agents at {}", host_and_port(config_.address, config_.port));
  }
  watch_ = dependencies_.inventory.listen([this](state::Revision, const std::vector<model::Event>& change_events) {
    std::set<model::NodeId> nodes;
    bool profiles = false;
    for (const auto& event : change_events) {
      if (event.object_kind == "node") nodes.insert(model::NodeId(event.object));
      profiles = profiles || event.object_kind == "profile";
    }
    if (nodes.empty() && !profiles) return;
    duties_.submit([this, profiles, nodes = std::move(nodes)] {
      if (!nodes.empty()) end_sessions_of_deleted_nodes();
      for (const auto& node : nodes) courier_.look(node);
      if (!profiles) return;
      for (const auto& node : sessions_.connected_nodes()) courier_.look(node);
    });
  });
  log::info(gateway_listening, "{}", host_and_port(config_.address, port()));
  return {};
}

void Gateway::Impl::end_sessions_of_deleted_nodes() {
  for (const auto& node : sessions_.connected_nodes()) {
    if (dependencies_.inventory.find<model::Node>(node)) continue;
    const auto session = sessions_.find(node);
    if (session) session->end({grpc::StatusCode::PERMISSION_DENIED, "this node was deleted"}, false);
  }
}

void Gateway::Impl::stop() {
  if (std::exchange(stopped_, true)) return;
  watch_.reset();
  service_.refuse_all();
  tunnels_.stop(config_.stop_grace);
  sessions_.end_all({grpc::StatusCode::UNAVAILABLE, "the manager is stopping"});
  if (server_) {
    server_->Shutdown(std::chrono::system_clock::now() + config_.stop_grace);
    server_->Wait();
  }
  service_.stop_workers();
  duties_.stop();
  server_.reset();
}

Result<std::shared_ptr<reconcile::Tunnel>> Gateway::Impl::open(const model::NodeId& node,
                                                               const reconcile::TunnelRequest& request,
                                                               reconcile::TunnelHandlers handlers) {
  using Open = agent::v1::OpenTunnel;
  const auto session = sessions_.find(node);
  if (!session) {
    return fail_with_hint(ErrorCode::unavailable, "the node's agent is not connected", "See: bh node list.");
  }
  auto tunnel = tunnels_.create(node, session->number(), std::move(handlers));
  if (!tunnel) return forward(tunnel);

  agent::v1::ManagerMessage message;
  auto& ask = *message.mutable_open_tunnel();
  ask.set_tunnel_id((*tunnel)->id().str());
  switch (request.kind) {
    case reconcile::TunnelKind::serial_console: ask.set_kind(Open::KIND_SERIAL_CONSOLE); break;
    case reconcile::TunnelKind::vnc: ask.set_kind(Open::KIND_VNC); break;
    case reconcile::TunnelKind::image_upload: ask.set_kind(Open::KIND_IMAGE_UPLOAD); break;
    case reconcile::TunnelKind::image_download:
      ask.set_kind(Open::KIND_IMAGE_DOWNLOAD);
      ask.set_image(model::encode(request.image));
      ask.set_pool(model::encode(request.pool));
      ask.set_format(request.format);
      break;
    case reconcile::TunnelKind::boot_log: ask.set_kind(Open::KIND_BOOT_LOG); break;
    case reconcile::TunnelKind::sleep: ask.set_kind(Open::KIND_SLEEP); break;
    case reconcile::TunnelKind::upgrade: ask.set_kind(Open::KIND_UPGRADE); break;
    case reconcile::TunnelKind::pool_survey:
      ask.set_kind(Open::KIND_POOL_SURVEY);
      ask.set_pool(model::encode(request.pool));
      for (const auto& image : request.images) ask.add_images(model::encode(image));
      break;
    case reconcile::TunnelKind::bench:
      ask.set_kind(Open::KIND_BENCH);
      ask.set_pool(model::encode(request.pool));
      ask.set_bench_order(request.bench_order);
      break;
    case reconcile::TunnelKind::free_locks:
      ask.set_kind(Open::KIND_FREE_LOCKS);
      for (const auto& address : request.addresses) ask.add_addresses(address);
      ask.set_pool(model::encode(request.pool));
      break;
    case reconcile::TunnelKind::claim:
      ask.set_kind(Open::KIND_CLAIM);
      ask.set_node_id(request.look_for.str());
      ask.set_claim(request.claim);
      ask.set_remove_claim(request.remove_claim);
      ask.set_pool(model::encode(request.pool));
      break;
    case reconcile::TunnelKind::node_look:
      ask.set_kind(Open::KIND_NODE_LOOK);
      ask.set_node_id(request.look_for.str());
      for (const auto& address : request.addresses) ask.add_addresses(address);
      if (!request.pool.id.empty()) ask.set_pool(model::encode(request.pool));
      break;
  }
  ask.set_vm_id(request.vm.str());
  ask.set_operation_id(request.operation.str());
  (*tunnel)->begin_waiting();
  if (!session->send(message)) (*tunnel)->fail({ErrorCode::unavailable, "the node's agent is not connected", {}});
  return make_tunnel_handle(std::move(*tunnel));
}

Gateway::Gateway(GatewayConfig config, GatewayDependencies dependencies)
    : impl_(std::make_unique<Impl>(std::move(config), dependencies)) {}
Gateway::~Gateway() { stop(); }
Status Gateway::set_identity(const pki::Identity& identity) { return impl_->set_identity(identity); }
Status Gateway::start(reconcile::AgentEvents& events) { return impl_->start(events); }
std::uint16_t Gateway::port() const { return impl_->port(); }
void Gateway::stop() { impl_->stop(); }
GatewayNumbers Gateway::numbers() const { return impl_->numbers(); }
bool Gateway::connected(const model::NodeId& node) const { return impl_->connected(node); }
void Gateway::probe(const model::NodeId& node) { impl_->probe(node); }

bool Gateway::assign(const model::NodeId& node, const model::Assignment& assignment) {
  agent::v1::ManagerMessage message;
  message.set_assignment(model::encode(assignment));
  return impl_->send(node, message);
}

bool Gateway::cancel(const model::NodeId& node, const model::OperationId& operation) {
  agent::v1::ManagerMessage message;
  message.set_cancel_operation(operation.str());
  return impl_->send(node, message);
}

bool Gateway::acknowledge(const model::NodeId& node, const model::OperationId& operation) {
  agent::v1::ManagerMessage message;
  message.set_acknowledge(operation.str());
  return impl_->send(node, message);
}

std::map<model::NodeId, std::string> Gateway::take_renewals() { return impl_->take_renewals(); }

bool Gateway::answer_renewal(const model::NodeId& node, const std::string& answer) {
  agent::v1::ManagerMessage message;
  message.set_lease_answer(answer);
  return impl_->send(node, message);
}

Result<std::shared_ptr<reconcile::Tunnel>> Gateway::open(const model::NodeId& node,
                                                         const reconcile::TunnelRequest& request,
                                                         reconcile::TunnelHandlers handlers) {
  return impl_->open(node, request, std::move(handlers));
}

}  // namespace bridgehead::agent_gateway
