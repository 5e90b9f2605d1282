// Streams over real gRPC and mutual TLS on loopback: who gets in, what is delivered, how a stream ends.
#include "agent_gateway/gateway.h"

#include <gtest/gtest.h>

#include "agent_gateway/testing/gateway_fixture.h"
#include "base/testing/manual_clock.h"
#include "model/codec.h"

namespace bridgehead::agent_gateway {
namespace {

using testing::GatewayFixture;
using testing::heartbeat_message;
using testing::NodeIdentity;
using testing::report_message;

agent::v1::ManagerMessage parse(const std::optional<std::string>& bytes) {
  agent::v1::ManagerMessage message;
  EXPECT_TRUE(bytes.has_value());
  EXPECT_TRUE(message.ParseFromString(bytes.value_or("")));
  return message;
}

grpc::StatusCode session_refusal(const GatewayFixture& fixture, const std::shared_ptr<grpc::Channel>& channel) {
  testing::RawStream stream(channel, "Session");
  stream.send(report_message());
  const auto code = stream.status().error_code();
  EXPECT_EQ(fixture.events.count_prefix("report"), 0U);
  return code;
}

TEST(Gateway, WelcomesWithWhatTheNodeShouldHave) {
  GatewayFixture fixture;
  const auto node = fixture.add_node("n1");
  model::Pool pool;
  pool.id = make_id<model::PoolId>(fixture.random);
  pool.name = "local";
  pool.path = "/var/lib/bridgehead/pool";
  model::Pool leaving = pool;
  leaving.id = make_id<model::PoolId>(fixture.random);
  leaving.name = "leaving";
  leaving.deleting = true;
  model::Network network;
  network.id = make_id<model::NetworkId>(fixture.random);
  network.name = "default";
  auto edit = fixture.inventory->edit();
  edit.create(pool).create(leaving).create(network);
  ASSERT_TRUE(fixture.inventory->commit(std::move(edit)));

  const auto session = fixture.session(node);
  const auto message = parse(session->receive());
  ASSERT_TRUE(message.has_welcome());
  EXPECT_EQ(message.welcome().manager_id(), "test");
  EXPECT_EQ(message.welcome().node_id(), node.id.str());
  EXPECT_EQ(message.welcome().node_name(), "n1");
  EXPECT_EQ(message.welcome().heartbeat_seconds(), 5U);
  ASSERT_EQ(message.welcome().pools_size(), 1);
  EXPECT_EQ(model::decode<model::Pool>(message.welcome().pools(0)).value(), pool);
  ASSERT_EQ(message.welcome().networks_size(), 1);
  EXPECT_EQ(model::decode<model::Network>(message.welcome().networks(0)).value(), network);
  // Nothing has been reported yet, so nothing can be assigned yet.
  EXPECT_FALSE(fixture.gateway->connected(node.id));
}

TEST(Gateway, CarriesMessagesBothWaysInOrder) {
  GatewayFixture fixture;
  const auto node = fixture.add_node("n1");
  model::Assignment assignment;
  assignment.operation = make_id<model::OperationId>(fixture.random);
  assignment.body = model::RebootVm{.vm = make_id<model::VmId>(fixture.random), .lease = 3, .force = true};
  EXPECT_FALSE(fixture.gateway->assign(node.id, assignment));
  // What the reconciler does: assign as soon as the report is in.
  fixture.events.when_reported = [&](const model::NodeId& id) {
    EXPECT_TRUE(fixture.gateway->assign(id, assignment));
    EXPECT_TRUE(fixture.gateway->cancel(id, assignment.operation));
    EXPECT_TRUE(fixture.gateway->acknowledge(id, assignment.operation));
  };
  const auto session = fixture.connected_session(node);
  const auto sent = parse(session->receive());
  EXPECT_EQ(model::decode<model::Assignment>(sent.assignment()).value(), assignment);
  EXPECT_EQ(parse(session->receive()).cancel_operation(), assignment.operation.str());
  EXPECT_EQ(parse(session->receive()).acknowledge(), assignment.operation.str());

  const auto vm = make_id<model::VmId>(fixture.random);
  for (int n = 0; n < 50; ++n) session->send(heartbeat_message());
  agent::v1::AgentMessage gone;
  gone.set_vm_gone(vm.str());
  session->send(gone.SerializeAsString());
  ASSERT_TRUE(fixture.events.wait_for(fmt::format("gone {} {}", node.id, vm)));
  const auto log = fixture.events.log();
  EXPECT_EQ(log.front(), fmt::format("report {}", node.id));
  EXPECT_EQ(fixture.events.count(fmt::format("heartbeat {}", node.id)), 50U);
  EXPECT_EQ(log.back(), fmt::format("gone {} {}", node.id, vm));

  session->writes_done();
  EXPECT_TRUE(session->status().ok());
  ASSERT_TRUE(fixture.events.wait_for(fmt::format("disconnected {}", node.id)));
  EXPECT_FALSE(fixture.gateway->connected(node.id));
  EXPECT_FALSE(fixture.gateway->assign(node.id, assignment));
}

TEST(Gateway, RefusesWhoeverIsNoNode) {
  GatewayFixture fixture;
  const auto node = fixture.add_node("n1");
  // No certificate at all.
  EXPECT_EQ(session_refusal(fixture, fixture.channel()), grpc::StatusCode::UNAUTHENTICATED);

  // A certificate of our CA for a node that doesn't exist, or one that isn't the node's own any more.
  auto stranger = node;
  stranger.certificate_pem = fixture.authority
                                 ->sign_node_request(pki::make_request(node.key_pem).value(),
                                                     make_id<model::NodeId>(fixture.random), std::chrono::hours(1))
                                 .value();
  EXPECT_EQ(session_refusal(fixture, fixture.channel(&stranger)), grpc::StatusCode::PERMISSION_DENIED);
  auto unknown_serial = node;
  unknown_serial.certificate_pem =
      fixture.authority->sign_node_request(pki::make_request(node.key_pem).value(), node.id, std::chrono::hours(1))
          .value();
  EXPECT_EQ(session_refusal(fixture, fixture.channel(&unknown_serial)), grpc::StatusCode::PERMISSION_DENIED);
  EXPECT_GE(fixture.gateway->numbers().refused_calls, 3U);
}

TEST(Gateway, TlsRefusesForeignAndExpiredCertificates) {
  GatewayFixture fixture;
  const auto node = fixture.add_node("n1");
  const auto request = pki::make_request(node.key_pem).value();

  const auto foreign =
      pki::CertificateAuthority::open(fixture.directory.path() / "foreign", fixture.clock, fixture.random).value();
  auto impostor = node;
  impostor.certificate_pem = foreign->sign_node_request(request, node.id, std::chrono::hours(1)).value();
  EXPECT_EQ(session_refusal(fixture, fixture.channel(&impostor)), grpc::StatusCode::UNAVAILABLE);

  // Signed by our CA, but a week ago and for an hour.
  class LastWeek final : public Clock {
   public:
    Timestamp now() const override { return SystemClock().now() - std::chrono::days(7); }
    Monotonic monotonic() const override { return SystemClock().monotonic(); }
  } last_week;
  const auto earlier =
      pki::CertificateAuthority::open(fixture.directory.path() / "ca", last_week, fixture.random).value();
  auto expired = node;
  expired.certificate_pem = earlier->sign_node_request(request, node.id, std::chrono::hours(1)).value();
  EXPECT_EQ(session_refusal(fixture, fixture.channel(&expired)), grpc::StatusCode::UNAVAILABLE);

  // Nor does a bad certificate get as far as Join, and the good one still works.
  agent::v1::JoinReply reply;
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(30));
  const auto stub = agent::v1::AgentService::NewStub(fixture.channel(&impostor));
  EXPECT_EQ(stub->Join(&context, {}, &reply).error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_TRUE(fixture.connected_session(node));
}

TEST(Gateway, AgentsRefuseAManagerOfAnotherCa) {
  GatewayFixture fixture;
  GatewayFixture other;
  grpc::SslCredentialsOptions options;
  options.pem_root_certs = other.authority->certificate_pem();
  grpc::ChannelArguments arguments;
  arguments.SetSslTargetNameOverride("bridgehead-manager");
  const auto channel = grpc::CreateCustomChannel(fmt::format("127.0.0.1:{}", fixture.gateway->port()),
                                                 grpc::SslCredentials(options), arguments);
  EXPECT_EQ(session_refusal(fixture, channel), grpc::StatusCode::UNAVAILABLE);
}

TEST(Gateway, MalformedMessagesEndTheStreamAndNothingElse) {
  GatewayFixture fixture;
  const auto good = fixture.add_node("good");
  const auto bad = fixture.add_node("bad");
  const auto bystander = fixture.connected_session(good);
  SeededRandom random(7);
  std::vector<std::string> messages = {"", "\xff", std::string(70'000, 'a'), heartbeat_message() /* before a report */};
  for (int n = 0; n < 20; ++n) {
    std::string noise(1 + random.next_u64() % 200, '\0');
    for (char& c : noise) c = static_cast<char>(random.next_u64());
    messages.push_back(noise);
  }
  for (const auto& message : messages) {
    const auto stream = fixture.session(bad);
    stream->send(message);
    EXPECT_EQ(stream->status().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  }
  // Also after a good beginning.
  const auto stream = fixture.connected_session(bad);
  stream->send("\x0a\x03{{{");
  EXPECT_EQ(stream->status().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_TRUE(fixture.events.wait_for(fmt::format("disconnected {}", bad.id)));
  EXPECT_TRUE(fixture.gateway->connected(good.id));
  EXPECT_EQ(fixture.events.count(fmt::format("disconnected {}", good.id)), 0U);
}

TEST(Gateway, RefusesMessagesBeyondTheLimit) {
  GatewayFixture fixture;
  const auto node = fixture.add_node("n1");
  const auto session = fixture.connected_session(node);
  session->send(std::string((16 << 20) + 1, 'x'));
  EXPECT_FALSE(session->status(std::chrono::seconds(60)).ok());
  EXPECT_TRUE(fixture.events.wait_for(fmt::format("disconnected {}", node.id)));
}

TEST(Gateway, SecondSessionEndsTheFirst) {
  GatewayFixture fixture;
  const auto node = fixture.add_node("n1");
  const auto first = fixture.connected_session(node);
  const auto second = fixture.connected_session(node);
  EXPECT_FALSE(first->status().ok());
  EXPECT_TRUE(fixture.gateway->connected(node.id));
  EXPECT_EQ(fixture.gateway->numbers().sessions, 1U);
  // The node never was away: what the first one still said is not heard, and its end is not the node's.
  second->send(heartbeat_message());
  ASSERT_TRUE(fixture.events.wait_for(fmt::format("heartbeat {}", node.id)));
  EXPECT_EQ(fixture.events.count(fmt::format("disconnected {}", node.id)), 0U);
}

TEST(Gateway, SilentAgentIsCutOff) {
  GatewayFixture fixture([](GatewayConfig& config) { config.first_report = std::chrono::milliseconds(50); });
  const auto node = fixture.add_node("n1");
  EXPECT_FALSE(fixture.session(node)->status().ok());
  EXPECT_EQ(fixture.events.log().size(), 0U);
}

// Its machine was reset: nobody has closed its connection.
TEST(Gateway, AnAgentThatDoesNotAnswerIsGone) {
  GatewayFixture fixture([](GatewayConfig& config) { config.probe_patience = std::chrono::milliseconds(50); });
  const auto node = fixture.add_node("n1");
  fixture.gateway->probe(node.id);  // nobody there: nothing to ask
  const auto session = fixture.connected_session(node);
  fixture.gateway->probe(node.id);
  EXPECT_TRUE(fixture.events.wait_for(fmt::format("disconnected {}", node.id)));
  EXPECT_FALSE(fixture.gateway->connected(node.id));
  EXPECT_FALSE(session->status().ok());
}

TEST(Gateway, AnAgentThatKnowsNoPingsIsNotAsked) {
  GatewayFixture fixture([](GatewayConfig& config) { config.probe_patience = std::chrono::milliseconds(1); });
  const auto node = fixture.add_node("n1");
  const auto session = fixture.session(node);
  session->send(report_message());
  ASSERT_TRUE(session->receive().has_value());
  ASSERT_TRUE(fixture.events.wait_for(fmt::format("report {}", node.id)));
  fixture.gateway->probe(node.id);
  EXPECT_TRUE(fixture.gateway->acknowledge(node.id, model::OperationId("next")));
  EXPECT_EQ(parse(session->receive()).acknowledge(), "next");
  session->send(heartbeat_message());
  EXPECT_TRUE(fixture.events.wait_for(fmt::format("heartbeat {}", node.id)));
  EXPECT_TRUE(fixture.gateway->connected(node.id));
}

TEST(Gateway, AnAgentThatAnswersStays) {
  GatewayFixture fixture([](GatewayConfig& config) { config.probe_patience = std::chrono::minutes(10); });
  const auto node = fixture.add_node("n1");
  const auto session = fixture.connected_session(node);
  const auto answer = [&](std::uint64_t number) {
    agent::v1::AgentMessage pong;
    pong.set_pong(number);
    session->send(pong.SerializeAsString());
    const auto heard = fixture.events.count_prefix("heartbeat");
    session->send(heartbeat_message());
    EXPECT_TRUE(fixture.events.wait_for(fmt::format("heartbeat {}", node.id), heard + 1)) << "it still is the node's";
  };
  const auto next_is_acknowledged = [&](const std::string& operation) {
    EXPECT_TRUE(fixture.gateway->acknowledge(node.id, model::OperationId(operation)));
    EXPECT_EQ(parse(session->receive()).acknowledge(), operation);
  };
  fixture.gateway->probe(node.id);
  EXPECT_EQ(parse(session->receive()).ping(), 1U);
  fixture.gateway->probe(node.id);
  next_is_acknowledged("not asked twice at once");
  answer(0);
  fixture.gateway->probe(node.id);
  next_is_acknowledged("that was no answer");
  answer(1);
  fixture.gateway->probe(node.id);
  EXPECT_EQ(parse(session->receive()).ping(), 2U);
  EXPECT_EQ(fixture.events.count_prefix("disconnected"), 0U);
}

TEST(Gateway, AgentThatDoesNotReadIsCutOff) {
  GatewayFixture fixture([](GatewayConfig& config) { config.session_queue_messages = 10; });
  const auto node = fixture.add_node("n1");
  const auto session = fixture.connected_session(node);
  model::Assignment assignment;
  assignment.operation = make_id<model::OperationId>(fixture.random);
  model::EnsureVm ensure;
  ensure.vm.spec.cloud_init.user_data = std::string(1 << 20, 'u');
  assignment.body = ensure;
  // The transport takes some, the queue ten more, then it is over.
  int taken = 0;
  while (taken < 200 && fixture.gateway->assign(node.id, assignment)) ++taken;
  EXPECT_LT(taken, 200);
  EXPECT_TRUE(fixture.events.wait_for(fmt::format("disconnected {}", node.id)));
  EXPECT_FALSE(fixture.gateway->connected(node.id));
}

TEST(Gateway, DeletedNodeLosesItsStream) {
  GatewayFixture fixture;
  const auto node = fixture.add_node("n1");
  const auto session = fixture.connected_session(node);
  auto edit = fixture.inventory->edit();
  edit.remove(fixture.inventory->find<model::Node>(node.id));
  edit.event({.kind = "node.removed", .object_kind = "node", .object = node.id.str()});
  ASSERT_TRUE(fixture.inventory->commit(std::move(edit)));
  EXPECT_EQ(session->status().error_code(), grpc::StatusCode::PERMISSION_DENIED);
  const auto again = fixture.session(node);
  EXPECT_EQ(again->status().error_code(), grpc::StatusCode::PERMISSION_DENIED);
}

TEST(Gateway, ServesANewIdentityWithoutARestart) {
  GatewayFixture fixture;
  const auto node = fixture.add_node("n1");
  const auto before = fixture.connected_session(node);
  const auto channel_for = [&](const std::string& name) {
    grpc::SslCredentialsOptions options{fixture.authority->certificate_pem(), node.key_pem, node.certificate_pem};
    grpc::ChannelArguments arguments;
    arguments.SetSslTargetNameOverride(name);
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    return grpc::CreateCustomChannel(fmt::format("127.0.0.1:{}", fixture.gateway->port()),
                                     grpc::SslCredentials(options), arguments);
  };
  const auto reachable = [&](const std::string& name, std::chrono::milliseconds within) {
    return channel_for(name)->WaitForConnected(std::chrono::system_clock::now() + within);
  };
  EXPECT_FALSE(reachable("reissued", std::chrono::milliseconds(300)));
  ASSERT_TRUE(fixture.gateway->set_identity(
      fixture.authority->issue_server({"reissued"}, {"127.0.0.1"}, std::chrono::hours(1)).value()));
  // gRPC looks for the new one once a second; a channel that met the old one waits longer and longer.
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  bool reached = false;
  while (!reached && std::chrono::steady_clock::now() < deadline) {
    reached = reachable("reissued", std::chrono::milliseconds(900));
  }
  EXPECT_TRUE(reached);
  EXPECT_TRUE(fixture.gateway->connected(node.id));
  // A key that belongs to another certificate is refused.
  auto mixed = fixture.authority->issue_server({"a"}, {}, std::chrono::hours(1)).value();
  mixed.key_pem = fixture.authority->issue_server({"b"}, {}, std::chrono::hours(1)).value().key_pem;
  EXPECT_FALSE(fixture.gateway->set_identity(mixed));
}

TEST(Gateway, SaysWhyItCannotListen) {
  GatewayFixture fixture;
  GatewayConfig config{.address = "127.0.0.1",
                       .port = fixture.gateway->port(),
                       .tls_directory = fixture.directory.path() / "tls2",
                       .manager_id = "second"};
  Gateway second(config, {*fixture.inventory, *fixture.authority, fixture.clock, fixture.random});
  ASSERT_TRUE(second.set_identity(fixture.authority->issue_server({"x"}, {}, std::chrono::hours(1)).value()));
  const auto started = second.start(fixture.events);
  ASSERT_FALSE(started);
  EXPECT_NE(started.error().message.find(fmt::format("127.0.0.1:{}", fixture.gateway->port())), std::string::npos);
  EXPECT_FALSE(started.error().hint.empty());
}

TEST(Gateway, StopEndsEveryStreamAndDisconnectsEveryNode) {
  GatewayFixture fixture;
  const auto a = fixture.add_node("a");
  const auto b = fixture.add_node("b");
  const auto session_a = fixture.connected_session(a);
  const auto session_b = fixture.connected_session(b);
  const auto silent = fixture.session(fixture.add_node("c"));
  fixture.gateway->stop();
  EXPECT_EQ(session_a->status().error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(session_b->status().error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_FALSE(silent->status().ok());
  EXPECT_EQ(fixture.events.count_prefix("disconnected"), 2U);
  fixture.gateway->stop();
}

TEST(Gateway, Serves500AgentsAtOnce) {
  constexpr std::size_t agents = 500;
  GatewayFixture fixture;
  std::vector<NodeIdentity> nodes;
  std::vector<std::unique_ptr<testing::RawStream>> sessions;
  for (std::size_t n = 0; n < agents; ++n) nodes.push_back(fixture.add_node(fmt::format("n{}", n)));
  for (const auto& node : nodes) {
    sessions.push_back(fixture.session(node));
    sessions.back()->send(report_message());
  }
  ASSERT_TRUE(fixture.events.wait([](const auto& events) { return events.count_prefix("report") >= agents; }))
      << fixture.events.count_prefix("report");
  for (const auto& session : sessions) {
    for (int n = 0; n < 4; ++n) session->send(heartbeat_message());
  }
  EXPECT_TRUE(fixture.events.wait([](const auto& events) { return events.count_prefix("heartbeat") >= 4 * agents; }));
  EXPECT_EQ(fixture.gateway->numbers().sessions, agents);
  for (const auto& node : nodes) EXPECT_TRUE(fixture.gateway->acknowledge(node.id, model::OperationId("x")));
  for (const auto& session : sessions) {
    EXPECT_TRUE(parse(session->receive()).has_welcome());
    EXPECT_EQ(parse(session->receive()).acknowledge(), "x");
  }
  for (const auto& session : sessions) session->cancel();
  EXPECT_TRUE(fixture.events.wait([](const auto& events) { return events.count_prefix("disconnected") >= agents; }));
  EXPECT_EQ(fixture.gateway->numbers().sessions, 0U);
}

}  // namespace
}  // namespace bridgehead::agent_gateway
