#include "agent_gateway/testing/gateway_fixture.h"

#include <algorithm>

#include "model/codec.h"

namespace bridgehead::agent_gateway::testing {

void RecordingEvents::add(std::string entry) {
  const std::lock_guard lock(mutex_);
  log_.push_back(std::move(entry));
  changed_.notify_all();
}

void RecordingEvents::on_report(const model::NodeId& node, model::NodeReport) {
  if (when_reported) when_reported(node);
  add(fmt::format("report {}", node));
}
void RecordingEvents::on_heartbeat(const model::NodeId& node, const model::NodeLoad&) {
  add(fmt::format("heartbeat {}", node));
}
void RecordingEvents::on_observed_vm(const model::NodeId& node, const model::ObservedVm& observed) {
  add(fmt::format("observed {} {}", node, observed.vm));
}
void RecordingEvents::on_vm_gone(const model::NodeId& node, const model::VmId& vm) {
  add(fmt::format("gone {} {}", node, vm));
}
void RecordingEvents::on_assignment_report(const model::NodeId& node, const model::AssignmentReport& report) {
  add(fmt::format("assignment {} {}", node, report.operation));
}
void RecordingEvents::on_disconnected(const model::NodeId& node) { add(fmt::format("disconnected {}", node)); }

std::vector<std::string> RecordingEvents::log() const {
  const std::lock_guard lock(mutex_);
  return log_;
}

std::size_t RecordingEvents::count(const std::string& entry) const {
  const auto entries = log();
  return static_cast<std::size_t>(std::ranges::count(entries, entry));
}

std::size_t RecordingEvents::count_prefix(const std::string& prefix) const {
  const auto entries = log();
  return static_cast<std::size_t>(
      std::ranges::count_if(entries, [&](const std::string& entry) { return entry.starts_with(prefix); }));
}

bool RecordingEvents::wait(const std::function<bool(const RecordingEvents&)>& condition) const {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (!condition(*this)) {
    std::unique_lock lock(mutex_);
    if (changed_.wait_until(lock, std::min(deadline, std::chrono::steady_clock::now() +
                                                         std::chrono::milliseconds(20))) == std::cv_status::timeout &&
        std::chrono::steady_clock::now() >= deadline) {
      return false;
    }
  }
  return true;
}

bool RecordingEvents::wait_for(const std::string& entry, std::size_t times) const {
  return wait([&](const RecordingEvents& events) { return events.count(entry) >= times; });
}

GatewayFixture::GatewayFixture(const std::function<void(GatewayConfig&)>& adjust)
    : directory(std::move(TemporaryDirectory::create("gateway-test").value())),
      store(state::make_memory_store()),
      inventory(state::Inventory::open(*store, clock).value()),
      authority(pki::CertificateAuthority::open(directory.path() / "ca", clock, random).value()),
      secrets(pki::SecretBox::open(directory.path() / "secrets.key", random).value()) {
  GatewayConfig config{
      .address = "127.0.0.1", .port = 0, .tls_directory = directory.path() / "tls", .manager_id = "test"};
  config.identity_poll = std::chrono::seconds(1);
  if (adjust) adjust(config);
  gateway =
      std::make_unique<Gateway>(config, GatewayDependencies{*inventory, *authority, clock, random, secrets.get()});
  const auto identity = authority->issue_server({"bridgehead-manager"}, {"127.0.0.1"}, std::chrono::hours(1)).value();
  require(gateway->set_identity(identity).has_value(), "set_identity");
  const auto started = gateway->start(events);
  require(started.has_value(), started ? "" : started.error().describe());
}

GatewayFixture::~GatewayFixture() { gateway->stop(); }

NodeIdentity GatewayFixture::add_node(const std::string& name) {
  auto key = pki::make_key_and_request().value();
  NodeIdentity identity{make_id<model::NodeId>(random), std::move(key.key_pem), {}};
  identity.certificate_pem = authority->sign_node_request(key.request_pem, identity.id, std::chrono::hours(1)).value();
  model::Node node;
  node.id = identity.id;
  node.name = name;
  node.certificate_serial = pki::certificate_serial(identity.certificate_pem).value();
  auto edit = inventory->edit();
  edit.create(node);
  require(inventory->commit(std::move(edit)).has_value(), "a test's node could not be made");
  return identity;
}

std::string GatewayFixture::add_join_token(std::chrono::seconds valid_for, const std::string& node_name,
                                           const model::NodeId& of_boot) {
  const auto secret = pki::make_secret(random);
  model::JoinToken token;
  token.id = make_id<model::TokenId>(random);
  token.node_name = node_name;
  token.node = of_boot;
  token.secret_sha256 = pki::sha256_hex(secret);
  token.created = clock.now();
  token.expires = clock.now() + valid_for;
  auto edit = inventory->edit();
  edit.create(token);
  require(inventory->commit(std::move(edit)).has_value(), "a test's join token could not be made");
  return pki::format_join_token({.address = fmt::format("127.0.0.1:{}", gateway->port()),
                                 .ca_fingerprint = authority->fingerprint(),
                                 .id = token.id,
                                 .secret = secret});
}

std::shared_ptr<grpc::Channel> GatewayFixture::channel(const NodeIdentity* identity) const {
  grpc::SslCredentialsOptions options;
  options.pem_root_certs = authority->certificate_pem();
  if (identity != nullptr) {
    options.pem_private_key = identity->key_pem;
    options.pem_cert_chain = identity->certificate_pem;
  }
  grpc::ChannelArguments arguments;
  arguments.SetSslTargetNameOverride("bridgehead-manager");
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);  // a connection of its own, like another machine's
  arguments.SetMaxReceiveMessageSize(-1);
  arguments.SetMaxSendMessageSize(-1);
  return grpc::CreateCustomChannel(fmt::format("127.0.0.1:{}", gateway->port()), grpc::SslCredentials(options),
                                   arguments);
}

std::unique_ptr<RawStream> GatewayFixture::session(const NodeIdentity& identity) const {
  return std::make_unique<RawStream>(channel(&identity), "Session");
}

std::unique_ptr<RawStream> GatewayFixture::connected_session(const NodeIdentity& identity) {
  const auto entry = fmt::format("report {}", identity.id);
  const auto before = events.count(entry);
  auto stream = session(identity);
  stream->send(report_message({.answers_pings = true}));
  require(stream->receive().has_value(), "no welcome came");
  require(events.wait_for(entry, before + 1), "the report was not taken");
  return stream;
}

grpc::Status GatewayFixture::join(const std::string& token, const std::string& request_pem, agent::v1::JoinReply& reply,
                                  const std::string& hostname) const {
  const auto stub = agent::v1::AgentService::NewStub(channel());
  agent::v1::JoinRequest request;
  request.set_join_token(token);
  request.set_certificate_request_pem(request_pem);
  request.set_hostname(hostname);
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(30));
  return stub->Join(&context, request, &reply);
}

std::string report_message(const model::NodeReport& report) {
  agent::v1::AgentMessage message;
  message.set_report(model::encode(report));
  return message.SerializeAsString();
}

std::string heartbeat_message(const model::NodeLoad& load) {
  agent::v1::AgentMessage message;
  message.set_heartbeat(model::encode(load));
  return message.SerializeAsString();
}

}  // namespace bridgehead::agent_gateway::testing
