// Joining and renewing over the wire: what is admitted, what is refused, what a lost answer costs.
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "agent_gateway/join_desk.h"
#include "agent_gateway/testing/gateway_fixture.h"

namespace bridgehead::agent_gateway {
namespace {

using testing::GatewayFixture;
using testing::NodeIdentity;

TEST(Join, MakesANodeThatCanOpenItsStream) {
  GatewayFixture fixture;
  const auto key = pki::make_key_and_request().value();
  agent::v1::JoinReply reply;
  const auto status = fixture.join(fixture.add_join_token(), key.request_pem, reply, "Rack1-Node7.example.org");
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(reply.ca_certificate_pem(), fixture.authority->certificate_pem());

  const auto node = fixture.inventory->find<model::Node>(model::NodeId(reply.node_id()));
  ASSERT_TRUE(node);
  EXPECT_EQ(node->value.name, "rack1-node7");
  EXPECT_TRUE(is_uuid(reply.node_id()));
  EXPECT_EQ(pki::certificate_node_id(reply.certificate_pem()).value(), node->value.id);
  const auto events = fixture.inventory->events_since(0, 10);
  ASSERT_EQ(events.size(), 1U);
  EXPECT_EQ(events[0].kind, "node.joined");

  const NodeIdentity identity{node->value.id, key.key_pem, reply.certificate_pem()};
  const auto session = fixture.connected_session(identity);
  EXPECT_TRUE(fixture.gateway->connected(identity.id));
}

TEST(Join, RepeatedWithTheSameKeyGivesTheSameNode) {
  GatewayFixture fixture;
  const auto token = fixture.add_join_token();
  const auto key = pki::make_key_and_request().value();
  agent::v1::JoinReply first;
  agent::v1::JoinReply second;
  ASSERT_TRUE(fixture.join(token, key.request_pem, first).ok());
  ASSERT_TRUE(fixture.join(token, pki::make_request(key.key_pem).value(), second).ok());
  EXPECT_EQ(first.node_id(), second.node_id());
  EXPECT_EQ(fixture.inventory->all<model::Node>().size(), 1U);
  // Whichever answer arrived, its certificate works.
  const model::NodeId id(first.node_id());
  EXPECT_TRUE(fixture.connected_session({id, key.key_pem, first.certificate_pem()}));
  EXPECT_TRUE(fixture.connected_session({id, key.key_pem, second.certificate_pem()}));
}

TEST(Join, ReplayWithAnotherKeyIsRefused) {
  GatewayFixture fixture;
  const auto token = fixture.add_join_token();
  agent::v1::JoinReply reply;
  ASSERT_TRUE(fixture.join(token, pki::make_key_and_request().value().request_pem, reply).ok());
  agent::v1::JoinReply stolen;
  const auto status = fixture.join(token, pki::make_key_and_request().value().request_pem, stolen);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::PERMISSION_DENIED);
  EXPECT_TRUE(stolen.certificate_pem().empty());
  EXPECT_EQ(fixture.inventory->all<model::Node>().size(), 1U);
  EXPECT_EQ(fixture.gateway->numbers().refused_calls, 1U);
}

TEST(Join, ANodeThatBootsAgainIsTheSameNodeWithANewCertificate) {
  GatewayFixture fixture;
  const auto before = fixture.add_node("rack1-07");
  EXPECT_TRUE(fixture.connected_session(before));
  const auto token = fixture.add_join_token(std::chrono::hours(1), "rack1-07", before.id);
  const auto key = pki::make_key_and_request().value();
  agent::v1::JoinReply reply;
  const auto status = fixture.join(token, key.request_pem, reply, "something-else");
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(reply.node_id(), before.id.str());
  EXPECT_EQ(fixture.inventory->find<model::Node>(before.id)->value.name, "rack1-07");
  EXPECT_TRUE(fixture.connected_session({before.id, key.key_pem, reply.certificate_pem()}));
  const JoinDesk desk(*fixture.inventory, *fixture.authority, fixture.clock, std::chrono::hours(1));
  EXPECT_FALSE(desk.recognise(before.certificate_pem)) << "what the boot before had is worth nothing now";

  // Its answer was lost: once more with the same key. Somebody who overheard the token has another key.
  agent::v1::JoinReply again;
  ASSERT_TRUE(fixture.join(token, pki::make_request(key.key_pem).value(), again).ok());
  EXPECT_TRUE(desk.recognise(reply.certificate_pem()));
  EXPECT_TRUE(desk.recognise(again.certificate_pem()));
  agent::v1::JoinReply stolen;
  EXPECT_EQ(fixture.join(token, pki::make_key_and_request().value().request_pem, stolen).error_code(),
            grpc::StatusCode::PERMISSION_DENIED);
  EXPECT_EQ(fixture.inventory->all<model::Node>().size(), 1U);
}

TEST(Join, ATokenOfADeletedNodeMakesNoNewOne) {
  GatewayFixture fixture;
  const auto node = fixture.add_node("gone");
  const auto token = fixture.add_join_token(std::chrono::hours(1), "gone", node.id);
  auto edit = fixture.inventory->edit();
  edit.remove(fixture.inventory->find<model::Node>(node.id));
  ASSERT_TRUE(fixture.inventory->commit(std::move(edit)));
  agent::v1::JoinReply reply;
  EXPECT_EQ(fixture.join(token, pki::make_key_and_request().value().request_pem, reply).error_code(),
            grpc::StatusCode::PERMISSION_DENIED);
  EXPECT_TRUE(fixture.inventory->all<model::Node>().empty());
}

TEST(Join, RefusesWrongAndExpiredTokensAndBrokenRequests) {
  GatewayFixture fixture;
  const auto request = pki::make_key_and_request().value().request_pem;
  agent::v1::JoinReply reply;
  const auto code = [&](const std::string& token, const std::string& request_pem) {
    return fixture.join(token, request_pem, reply).error_code();
  };
  EXPECT_EQ(code("", request), grpc::StatusCode::PERMISSION_DENIED);
  EXPECT_EQ(code("not a token", request), grpc::StatusCode::PERMISSION_DENIED);
  EXPECT_EQ(code(fixture.add_join_token(std::chrono::seconds(-1)), request), grpc::StatusCode::PERMISSION_DENIED);

  auto ticket = pki::parse_join_token(fixture.add_join_token()).value();
  ticket.secret = pki::make_secret(fixture.random);
  EXPECT_EQ(code(pki::format_join_token(ticket), request), grpc::StatusCode::PERMISSION_DENIED);

  const auto good = fixture.add_join_token();
  EXPECT_EQ(code(good, ""), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(code(good, "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n"),
            grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_TRUE(fixture.inventory->all<model::Node>().empty());
  // None of that used the token up.
  EXPECT_EQ(code(good, request), grpc::StatusCode::OK);
}

TEST(Join, NamesAreUniqueAndSane) {
  GatewayFixture fixture;
  const auto joined_name = [&](const std::string& token, const std::string& hostname) {
    agent::v1::JoinReply reply;
    const auto status = fixture.join(token, pki::make_key_and_request().value().request_pem, reply, hostname);
    if (!status.ok()) return std::string("refused: ") + status.error_message();
    return fixture.inventory->find<model::Node>(model::NodeId(reply.node_id()))->value.name;
  };
  EXPECT_EQ(joined_name(fixture.add_join_token(), "web"), "web");
  EXPECT_EQ(joined_name(fixture.add_join_token(), "web"), "web-2");
  EXPECT_EQ(joined_name(fixture.add_join_token(), "web.example"), "web-3");
  EXPECT_TRUE(joined_name(fixture.add_join_token(), "localhost").starts_with("node-"));
  EXPECT_TRUE(joined_name(fixture.add_join_token(), "\"/\\\n").starts_with("node-"));
  EXPECT_LE(joined_name(fixture.add_join_token(), std::string(300, 'x')).size(), 63U);
  EXPECT_EQ(joined_name(fixture.add_join_token(std::chrono::hours(1), "storage-1"), "whatever"), "storage-1");
  EXPECT_TRUE(joined_name(fixture.add_join_token(std::chrono::hours(1), "storage-1"), "other").starts_with("refused"));
}

TEST(Join, OnlyOneOfManyAtOnceGetsIn) {
  GatewayFixture fixture;
  const auto token = fixture.add_join_token();
  std::atomic<int> admitted = 0;
  {
    std::vector<std::jthread> machines;
    for (int n = 0; n < 8; ++n) {
      machines.emplace_back([&] {
        agent::v1::JoinReply reply;
        if (fixture.join(token, pki::make_key_and_request().value().request_pem, reply).ok()) ++admitted;
      });
    }
  }
  EXPECT_EQ(admitted, 1);
  EXPECT_EQ(fixture.inventory->all<model::Node>().size(), 1U);
}

class Renewal : public ::testing::Test {
 protected:
  grpc::Status renew(const NodeIdentity& identity, std::string& certificate) {
    const auto stub = agent::v1::AgentService::NewStub(fixture_.channel(&identity));
    agent::v1::RenewRequest request;
    request.set_certificate_request_pem(pki::make_request(identity.key_pem).value());
    agent::v1::RenewReply reply;
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(30));
    auto status = stub->RenewCertificate(&context, request, &reply);
    certificate = reply.certificate_pem();
    return status;
  }
  GatewayFixture fixture_;
};

TEST_F(Renewal, KeepsTheOldCertificateUntilTheNextOne) {
  const auto first = fixture_.add_node("n1");
  auto second = first;
  ASSERT_TRUE(renew(first, second.certificate_pem).ok());
  EXPECT_EQ(pki::certificate_node_id(second.certificate_pem).value(), first.id);
  EXPECT_NE(pki::certificate_serial(second.certificate_pem).value(),
            pki::certificate_serial(first.certificate_pem).value());
  EXPECT_TRUE(fixture_.connected_session(first));
  EXPECT_TRUE(fixture_.connected_session(second));
  auto third = first;
  ASSERT_TRUE(renew(second, third.certificate_pem).ok());
  std::string none;
  EXPECT_EQ(renew(first, none).error_code(), grpc::StatusCode::PERMISSION_DENIED);
  EXPECT_TRUE(none.empty());
}

// The answer never arrives: the agent asks again with what it has, as often as it takes.
TEST_F(Renewal, LostAnswersNeverLockTheNodeOut) {
  const auto first = fixture_.add_node("n1");
  std::string lost;
  for (int n = 0; n < 3; ++n) ASSERT_TRUE(renew(first, lost).ok());
  EXPECT_TRUE(fixture_.connected_session(first));
}

TEST_F(Renewal, NeedsACertificate) {
  const auto stub = agent::v1::AgentService::NewStub(fixture_.channel());
  grpc::ClientContext context;
  agent::v1::RenewReply reply;
  EXPECT_EQ(stub->RenewCertificate(&context, {}, &reply).error_code(), grpc::StatusCode::UNAUTHENTICATED);
}

}  // namespace
}  // namespace bridgehead::agent_gateway
