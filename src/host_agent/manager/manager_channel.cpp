#include "host_agent/manager/manager_channel.h"

#include <grpcpp/grpcpp.h>

#include "agent.grpc.pb.h"

namespace bridgehead::host_agent {
namespace {

using agent::v1::AgentService;

// The name in every manager's server certificate, whatever address it is reached at.
constexpr char kManagerName[] = "bridgehead-manager";

void set_deadline(grpc::ClientContext& context, std::chrono::seconds timeout) {
  context.set_deadline(std::chrono::system_clock::now() + timeout);
}

}  // namespace

std::shared_ptr<grpc::Channel> make_channel(const std::string& address, const std::string& ca_pem,
                                            const std::string& certificate_pem, const std::string& key_pem) {
  grpc::SslCredentialsOptions tls;
  tls.pem_root_certs = ca_pem;
  tls.pem_cert_chain = certificate_pem;
  tls.pem_private_key = key_pem;
  grpc::ChannelArguments arguments;
  arguments.SetSslTargetNameOverride(kManagerName);
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  // Finds a manager that went away without a word. Heartbeats keep data flowing, so this seldom sends anything.
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 20'000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 10'000);
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  arguments.SetMaxReceiveMessageSize(-1);
  arguments.SetMaxSendMessageSize(-1);
  return grpc::CreateCustomChannel(address, grpc::SslCredentials(tls), arguments);
}

Error from_grpc(const grpc::Status& status) {
  const auto code = [&] {
    switch (status.error_code()) {
      case grpc::StatusCode::UNAVAILABLE: return ErrorCode::unavailable;
      case grpc::StatusCode::DEADLINE_EXCEEDED: return ErrorCode::timeout;
      case grpc::StatusCode::CANCELLED: return ErrorCode::cancelled;
      case grpc::StatusCode::UNAUTHENTICATED: return ErrorCode::unauthenticated;
      case grpc::StatusCode::PERMISSION_DENIED: return ErrorCode::permission_denied;
      case grpc::StatusCode::ALREADY_EXISTS: return ErrorCode::already_exists;
      case grpc::StatusCode::NOT_FOUND: return ErrorCode::not_found;
      case grpc::StatusCode::INVALID_ARGUMENT: return ErrorCode::invalid_argument;
      case grpc::StatusCode::FAILED_PRECONDITION: return ErrorCode::failed_precondition;
      case grpc::StatusCode::RESOURCE_EXHAUSTED: return ErrorCode::resource_exhausted;
      default: return ErrorCode::io_error;
    }
  }();
  return {code, status.error_message().empty() ? "the manager ended the call" : status.error_message(), {}};
}

Result<JoinAnswer> call_join(const std::string& address, const std::string& ca_pem, const std::string& token,
                             const std::string& request_pem, const JoinRequestFacts& facts,
                             std::chrono::seconds timeout) {
  const auto stub = AgentService::NewStub(make_channel(address, ca_pem, {}, {}));
  grpc::ClientContext context;
  set_deadline(context, timeout);
  agent::v1::JoinRequest request;
  request.set_join_token(token);
  request.set_certificate_request_pem(request_pem);
  request.set_hostname(facts.hostname);
  request.set_machine_id(facts.machine_id);
  agent::v1::JoinReply reply;
  if (const auto status = stub->Join(&context, request, &reply); !status.ok()) return fail(from_grpc(status));
  return JoinAnswer{model::NodeId(reply.node_id()), reply.certificate_pem()};
}

Result<std::string> call_renew(const Identity& identity, const std::string& request_pem, std::chrono::seconds timeout) {
  const auto stub = AgentService::NewStub(
      make_channel(identity.manager, identity.ca_pem, identity.certificate_pem, identity.key_pem));
  grpc::ClientContext context;
  set_deadline(context, timeout);
  agent::v1::RenewRequest request;
  request.set_certificate_request_pem(request_pem);
  agent::v1::RenewReply reply;
  if (const auto status = stub->RenewCertificate(&context, request, &reply); !status.ok())
    return fail(from_grpc(status));
  return reply.certificate_pem();
}

}  // namespace bridgehead::host_agent
