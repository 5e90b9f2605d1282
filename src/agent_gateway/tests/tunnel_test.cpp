// Tunnels end to end: the gateway asks, an agent dials, bytes flow both ways at the pace of the slower side.
#include <gtest/gtest.h>

#include "agent_gateway/testing/gateway_fixture.h"
#include "model/codec.h"

namespace bridgehead::agent_gateway {
namespace {

using testing::GatewayFixture;
using testing::NodeIdentity;
using testing::RawStream;

std::string chunk(const std::function<void(agent::v1::TunnelChunk&)>& fill) {
  agent::v1::TunnelChunk message;
  fill(message);
  return message.SerializeAsString();
}
std::string data_chunk(std::string bytes) {
  return chunk([&](auto& message) { message.set_data(std::move(bytes)); });
}
agent::v1::TunnelChunk parse_chunk(const std::optional<std::string>& bytes) {
  agent::v1::TunnelChunk message;
  EXPECT_TRUE(bytes.has_value());
  EXPECT_TRUE(message.ParseFromString(bytes.value_or("")));
  return message;
}

// What a user of a tunnel has seen so far.
class User {
 public:
  reconcile::TunnelHandlers handlers() {
    return {.opened = [this] { with([&] { opened_ = true; }); },
            .data = [this](std::string bytes) { with([&] { data_.push_back(std::move(bytes)); }); },
            .closed = [this](Status result) { with([&] { ++closed_times_, closed_ = std::move(result); }); }};
  }
  std::function<void()> sent() {
    return [this] { with([&] { ++sent_; }); };
  }
  bool wait(const std::function<bool(const User&)>& condition,
            std::chrono::milliseconds within = std::chrono::seconds(30)) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, within, [&] { return condition(*this); });
  }
  bool wait_closed() {
    return wait([](const User& user) { return user.closed_.has_value(); });
  }
  template <typename F>
  void with(F change) {
    const std::lock_guard lock(mutex_);
    change();
    changed_.notify_all();
  }

  bool opened_ = false;
  std::vector<std::string> data_;
  std::size_t sent_ = 0;
  int closed_times_ = 0;
  std::optional<Status> closed_;

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
};

class TunnelTest : public ::testing::Test {
 protected:
  TunnelTest()
      : fixture_([](GatewayConfig& config) {
          config.tunnel_open_within = std::chrono::seconds(20);
          config.tunnels_per_node = 4;
        }),
        node_(fixture_.add_node("n1")),
        session_(fixture_.connected_session(node_)) {}

  // The user's side, and what the agent is asked.
  agent::v1::OpenTunnel open(const reconcile::TunnelRequest& request = {}) {
    auto tunnel = fixture_.gateway->open(node_.id, request, user_.handlers());
    EXPECT_TRUE(tunnel) << tunnel.error().describe();
    tunnel_ = std::move(*tunnel);
    agent::v1::ManagerMessage message;
    EXPECT_TRUE(message.ParseFromString(session_->receive().value_or("")));
    return message.open_tunnel();
  }
  std::unique_ptr<RawStream> dial(const std::string& tunnel_id, const NodeIdentity& as) {
    return std::make_unique<RawStream>(fixture_.channel(&as), "Tunnel",
                                       std::map<std::string, std::string>{{"tunnel-id", tunnel_id}});
  }
  void open_and_dial() {
    stream_ = dial(open().tunnel_id(), node_);
    ASSERT_TRUE(user_.wait([](const User& user) { return user.opened_; }));
  }

  GatewayFixture fixture_;
  NodeIdentity node_;
  std::unique_ptr<RawStream> session_;
  User user_;
  std::shared_ptr<reconcile::Tunnel> tunnel_;
  std::unique_ptr<RawStream> stream_;
};

TEST_F(TunnelTest, AsksTheAgentForWhatIsWanted) {
  reconcile::TunnelRequest request{.kind = reconcile::TunnelKind::image_download, .format = "qcow2"};
  request.image.id = make_id<model::ImageId>(fixture_.random);
  request.image.name = "debian-12";
  request.pool.id = make_id<model::PoolId>(fixture_.random);
  const auto asked = open(request);
  EXPECT_EQ(asked.kind(), agent::v1::OpenTunnel::KIND_IMAGE_DOWNLOAD);
  EXPECT_EQ(asked.format(), "qcow2");
  EXPECT_EQ(model::decode<model::Image>(asked.image()).value(), request.image);
  EXPECT_EQ(model::decode<model::Pool>(asked.pool()).value(), request.pool);
}

TEST_F(TunnelTest, AsksForASurveyOfImages) {
  reconcile::TunnelRequest request{.kind = reconcile::TunnelKind::pool_survey};
  request.pool.id = make_id<model::PoolId>(fixture_.random);
  request.images = {{.id = make_id<model::ImageId>(fixture_.random), .layout = model::LayoutWish::wide}};
  const auto asked = open(request);
  EXPECT_EQ(asked.kind(), agent::v1::OpenTunnel::KIND_POOL_SURVEY);
  ASSERT_EQ(asked.images_size(), 1);
  EXPECT_EQ(model::decode<model::Image>(asked.images(0)).value(), request.images[0]);
  EXPECT_EQ(model::decode<model::Pool>(asked.pool()).value(), request.pool);
}

TEST_F(TunnelTest, EchoesBothWays) {
  open_and_dial();
  tunnel_->write("hello agent", user_.sent());
  tunnel_->resize(120, 40);
  EXPECT_EQ(parse_chunk(stream_->receive()).data(), "hello agent");
  const auto resized = parse_chunk(stream_->receive());
  EXPECT_EQ(resized.columns(), 120U);
  EXPECT_EQ(resized.rows(), 40U);
  EXPECT_TRUE(user_.wait([](const User& user) { return user.sent_ == 1; }));

  stream_->send(data_chunk("one"));
  stream_->send(data_chunk("two"));
  tunnel_->resume();
  ASSERT_TRUE(user_.wait([](const User& user) { return !user.data_.empty(); }));
  tunnel_->resume();
  ASSERT_TRUE(user_.wait([](const User& user) { return user.data_.size() == 2; }));
  EXPECT_EQ(user_.data_, (std::vector<std::string>{"one", "two"}));

  tunnel_->finish();
  EXPECT_TRUE(parse_chunk(stream_->receive()).end());
  stream_->send(chunk([](auto& message) { message.set_end(true); }));
  ASSERT_TRUE(user_.wait_closed());
  EXPECT_TRUE(user_.closed_->has_value());
  EXPECT_TRUE(stream_->status().ok());
  EXPECT_EQ(user_.closed_times_, 1);
}

// 64 MiB through a user that takes a chunk at a time: the agent must not get ahead.
TEST_F(TunnelTest, SlowUserSlowsTheAgentDown) {
  open_and_dial();
  constexpr std::size_t chunks = 256;
  const std::string piece(256 << 10, 'p');
  for (std::size_t n = 0; n < chunks; ++n) stream_->send(data_chunk(piece));
  stream_->send(chunk([](auto& message) { message.set_end(true); }));
  EXPECT_FALSE(user_.wait([](const User& user) { return !user.data_.empty(); }, std::chrono::milliseconds(300)));
  EXPECT_LT(stream_->written(), chunks / 2);  // the rest waits in the agent
  for (std::size_t n = 1; n <= chunks; ++n) {
    tunnel_->resume();
    ASSERT_TRUE(user_.wait([&](const User& user) { return user.data_.size() == n; })) << n;
  }
  ASSERT_TRUE(user_.wait_closed());
  EXPECT_TRUE(user_.closed_->has_value());
  for (const auto& received : user_.data_) ASSERT_EQ(received, piece);
}

// The other way: `sent` comes only as the agent reads.
TEST_F(TunnelTest, SlowAgentSlowsTheUserDown) {
  open_and_dial();
  constexpr std::size_t writes = 40;
  for (std::size_t n = 0; n < writes; ++n) tunnel_->write(std::string(1 << 20, 'w'), user_.sent());
  EXPECT_FALSE(user_.wait([](const User& user) { return user.sent_ == writes; }, std::chrono::milliseconds(300)));
  std::size_t received = 0;
  while (received < writes << 20) {
    const auto part = parse_chunk(stream_->receive()).data();
    ASSERT_FALSE(part.empty());
    received += part.size();
  }
  EXPECT_TRUE(user_.wait([](const User& user) { return user.sent_ == writes; }));
}

TEST_F(TunnelTest, UserThatNeverWaitsIsStopped) {
  open_and_dial();
  for (int n = 0; n < 100; ++n) tunnel_->write(std::string(1 << 20, 'w'), {});
  ASSERT_TRUE(user_.wait_closed());
  EXPECT_EQ(user_.closed_->error().code, ErrorCode::resource_exhausted);
}

TEST_F(TunnelTest, AgentsErrorReachesTheUser) {
  open_and_dial();
  stream_->send(chunk([](auto& message) { message.set_error("the guest has no console"); }));
  ASSERT_TRUE(user_.wait_closed());
  ASSERT_FALSE(user_.closed_->has_value());
  EXPECT_NE(user_.closed_->error().message.find("the guest has no console"), std::string::npos);
}

TEST_F(TunnelTest, RefusalByTheAgentReachesTheUser) {
  const auto asked = open();
  agent::v1::AgentMessage failed;
  failed.mutable_tunnel_failed()->set_tunnel_id(asked.tunnel_id());
  failed.mutable_tunnel_failed()->set_error_code("not_found");
  failed.mutable_tunnel_failed()->set_error_message("no such VM here");
  session_->send(failed.SerializeAsString());
  ASSERT_TRUE(user_.wait_closed());
  EXPECT_EQ(user_.closed_->error().code, ErrorCode::not_found);
  EXPECT_FALSE(user_.opened_);
}

TEST_F(TunnelTest, CutIsNotAnEnd) {
  open_and_dial();
  stream_->send(data_chunk("half of it"));
  stream_->cancel();
  ASSERT_TRUE(user_.wait_closed());
  EXPECT_EQ(user_.closed_->error().code, ErrorCode::unavailable);
}

TEST_F(TunnelTest, HalfCloseWithoutEndIsACut) {
  open_and_dial();
  stream_->writes_done();
  ASSERT_TRUE(user_.wait_closed());
  EXPECT_EQ(user_.closed_->error().code, ErrorCode::unavailable);
}

TEST_F(TunnelTest, CloseTellsTheAgentWhy) {
  open_and_dial();
  tunnel_->close("taken over by another console");
  EXPECT_EQ(parse_chunk(stream_->receive()).error(), "taken over by another console");
  EXPECT_FALSE(stream_->status().ok());
  ASSERT_TRUE(user_.wait_closed());
  EXPECT_EQ(user_.closed_->error().code, ErrorCode::cancelled);
  tunnel_->write("ignored", {});
  tunnel_->finish();
  tunnel_->close();
  EXPECT_EQ(user_.closed_times_, 1);
}

TEST_F(TunnelTest, DroppingTheTunnelClosesIt) {
  open_and_dial();
  tunnel_.reset();
  ASSERT_TRUE(user_.wait_closed());
  EXPECT_FALSE(stream_->status().ok());
}

TEST_F(TunnelTest, EndsWithItsNodesStream) {
  open_and_dial();
  session_->cancel();
  ASSERT_TRUE(user_.wait_closed());
  EXPECT_EQ(user_.closed_->error().code, ErrorCode::unavailable);
}

TEST_F(TunnelTest, MalformedChunkEndsIt) {
  open_and_dial();
  stream_->send("\xff\xff\xff");
  ASSERT_TRUE(user_.wait_closed());
  EXPECT_EQ(user_.closed_->error().code, ErrorCode::invalid_argument);
  EXPECT_TRUE(fixture_.gateway->connected(node_.id));
}

TEST_F(TunnelTest, OnlyTheAskedNodeMayDialAndOnlyOnce) {
  const auto asked = open();
  const auto other = fixture_.add_node("n2");
  EXPECT_EQ(dial(asked.tunnel_id(), other)->status().error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(dial(make_uuid(fixture_.random), node_)->status().error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(dial("", node_)->status().error_code(), grpc::StatusCode::NOT_FOUND);
  stream_ = dial(asked.tunnel_id(), node_);
  ASSERT_TRUE(user_.wait([](const User& user) { return user.opened_; }));
  EXPECT_EQ(dial(asked.tunnel_id(), node_)->status().error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  // The first one is not disturbed.
  tunnel_->write("still here", {});
  EXPECT_EQ(parse_chunk(stream_->receive()).data(), "still here");
}

TEST_F(TunnelTest, LimitPerNode) {
  std::vector<std::shared_ptr<reconcile::Tunnel>> tunnels;
  for (int n = 0; n < 4; ++n) tunnels.push_back(fixture_.gateway->open(node_.id, {}, {}).value());
  const auto fifth = fixture_.gateway->open(node_.id, {}, {});
  ASSERT_FALSE(fifth);
  EXPECT_EQ(fifth.error().code, ErrorCode::resource_exhausted);
}

TEST_F(TunnelTest, StopClosesAllOfThem) {
  open_and_dial();
  fixture_.gateway->stop();
  EXPECT_TRUE(user_.closed_.has_value());
  EXPECT_FALSE(fixture_.gateway->open(node_.id, {}, {}));
}

TEST(Tunnel, AgentThatNeverDialsIsGivenUpOn) {
  GatewayFixture fixture([](GatewayConfig& config) { config.tunnel_open_within = std::chrono::milliseconds(50); });
  const auto node = fixture.add_node("n1");
  EXPECT_EQ(fixture.gateway->open(node.id, {}, {}).error().code, ErrorCode::unavailable);  // no stream yet
  const auto session = fixture.connected_session(node);
  User user;
  const auto tunnel = fixture.gateway->open(node.id, {}, user.handlers());
  ASSERT_TRUE(tunnel);
  ASSERT_TRUE(user.wait_closed());
  EXPECT_EQ(user.closed_->error().code, ErrorCode::timeout);
}

}  // namespace
}  // namespace bridgehead::agent_gateway
