// What lasts longer than a request: events, long polls, consoles, uploads, exports, and the stop in the middle of them.
#include "control_api/testing/api_fixture.h"
#include "model/codec.h"

namespace bridgehead::control_api::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class StreamsTest : public ApiFixture {
 protected:
  void SetUp() override {
    fill_cluster();
    config.heartbeat_interval = std::chrono::milliseconds(200);
  }

  std::string get_head(const std::string& below, const std::string& more = "") const {
    return fmt::format("GET {} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\n{}\r\n", path(below), admin,
                       more);
  }
  std::unique_ptr<RawClient> listen(const std::string& more = "", const std::string& query = "") {
    auto client = std::make_unique<RawClient>(server->port(), 4096);
    client->send(get_head("/events/stream" + query, more));
    EXPECT_THAT(client->read_until("events\n\n"), HasSubstr("text/event-stream"));
    return client;
  }
  void emit(const std::string& message) {
    commit([&](state::Edit& edit) {
      edit.event({.kind = "test.event",
                  .object_kind = "test",
                  .object = "x",
                  .object_name = "x",
                  .message = message,
                  .actor = "test"});
    });
  }
};

TEST_F(StreamsTest, EventsArriveAndResume) {
  start_server();
  const auto begin = inventory->revision();
  auto client = listen();
  emit("first");
  const auto first = client->read_until("\"first\",\"actor\":\"test\"}\n\n");
  EXPECT_THAT(first, HasSubstr("event: test.event"));
  EXPECT_THAT(first, HasSubstr(fmt::format("id: {}", begin + 1)));
  EXPECT_THAT(client->read_until(": heartbeat\n\n"), HasSubstr(": heartbeat"));
  client.reset();
  emit("second");
  emit("third");
  auto resumed = listen(fmt::format("Last-Event-ID: {}\r\n", begin + 1));
  const auto missed = resumed->read_until("\"third\"");
  EXPECT_THAT(missed, HasSubstr("\"second\""));
  EXPECT_THAT(missed, Not(HasSubstr("\"first\"")));
  auto since = listen("", fmt::format("?since={}", begin));
  EXPECT_THAT(since->read_until("\"third\""), HasSubstr("\"first\""));
  EXPECT_EQ(send({.method = "GET", .path = path("/events/stream"), .headers = {"Last-Event-ID: x"}}).status, 400);
}

TEST_F(StreamsTest, ProgressOfOperationsIsSent) {
  start_server();
  auto client = listen();
  auto operation = make_upload_operation();
  EXPECT_THAT(client->read_until("event: operation.progress"), HasSubstr("operation.progress"));
  progress.note(operation, {"download", 5, 10});
  EXPECT_THAT(client->read_until("\"phase\":\"download\""), HasSubstr("\"done\":5"));
  finish_operation(operation.id.str(), model::OperationState::succeeded);
  EXPECT_THAT(client->read_until("\"state\":\"succeeded\""), HasSubstr("succeeded"));
}

TEST_F(StreamsTest, ASlowClientIsDroppedAndTheOthersAreNot) {
  config.event_stream_queue = 8;
  start_server();
  auto slow = listen();
  auto quick = listen();
  // More than any socket buffer holds; `slow` doesn't read, `quick` reads each before the next comes.
  for (int i = 0; i < 80; ++i) {
    emit(fmt::format("{} end-{}", std::string(200'000, 'x'), i));
    const auto marker = fmt::format("end-{}\"", i);
    ASSERT_THAT(quick->read_until(marker), HasSubstr(marker));
  }
  EXPECT_THAT(slow->read_until("stream.dropped"), HasSubstr("stream.dropped"));
}

TEST_F(StreamsTest, ADeletedTokenEndsItsStream) {
  start_server();
  const auto token = make_token("brief", model::Role::viewer);
  RawClient client(server->port());
  client.send(fmt::format("GET {} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nConnection: close\r\n\r\n",
                          path("/events/stream"), token));
  client.read_until("events\n\n");
  EXPECT_EQ(send({"DELETE", path("/tokens/brief")}).status, 200);
  EXPECT_THAT(client.read_all(), HasSubstr("0\r\n\r\n"));
}

TEST_F(StreamsTest, LongPollEndsWithTheOperation) {
  start_server();
  const auto operation = make_upload_operation();
  const auto url = "/operations/" + operation.id.str() + "?wait_seconds=30";
  RawClient waiting(server->port());
  waiting.send(get_head(url));
  EXPECT_EQ(get(path("/operations/" + operation.id.str())).status, 200);
  finish_operation(operation.id.str(), model::OperationState::succeeded);
  EXPECT_THAT(waiting.read_answer(), HasSubstr("\"state\":\"succeeded\""));
  EXPECT_EQ(get(path(url)).json()["state"], "succeeded") << "ended: answered at once";
  EXPECT_EQ(get(path("/operations/none?wait_seconds=1")).status, 404);
  const auto other = make_upload_operation();
  EXPECT_EQ(get(path("/operations/" + other.id.str() + "?wait_seconds=1")).json()["state"], "running");
}

TEST_F(StreamsTest, ConsoleEchoesResizesAndEndsWithTheGuest) {
  start_server();
  make_vm("run", true);
  RawClient client(server->port());
  EXPECT_THAT(client.upgrade(path("/vms/run/console"), operator_), HasSubstr("101"));
  client.send_frame(2, "hello");
  EXPECT_EQ(client.read_frame().payload, "hello");
  const std::string large(300'000, 'x');
  client.send_frame(2, large);
  EXPECT_EQ(client.read_frame().payload, large);
  client.send_frame(1, R"({"columns":132,"rows":50})");
  EXPECT_TRUE(tunnels.wait([&] { return tunnels.size() == std::pair<std::uint32_t, std::uint32_t>(132, 50); }));

  EXPECT_EQ(RawClient(server->port()).upgrade(path("/vms/run/console"), operator_).substr(0, 12), "HTTP/1.1 409");
  RawClient second(server->port());
  EXPECT_THAT(second.upgrade(path("/vms/run/console?take_over=true"), operator_), HasSubstr("101"));
  const auto taken = client.read_frame();
  EXPECT_EQ(taken.opcode, 8);
  EXPECT_EQ(taken.payload.substr(0, 2), std::string("\x0f\xa0", 2)) << "4000";
  client.send_frame(8, taken.payload);
  tunnels.end_all();
  const auto ended = second.read_frame();
  EXPECT_EQ(ended.opcode, 8);
  EXPECT_EQ(ended.payload.substr(0, 2), std::string("\x03\xe8", 2)) << "1000";
}

TEST_F(StreamsTest, ConsoleFailuresAreTold) {
  start_server();
  make_vm("run", true);
  tunnels.set_script({.at_once = Error{ErrorCode::unavailable, "the node is away", {}}});
  EXPECT_EQ(RawClient(server->port()).upgrade(path("/vms/run/vnc"), operator_).substr(0, 12), "HTTP/1.1 503");
  EXPECT_EQ(RawClient(server->port()).upgrade(path("/vms/none/vnc"), operator_).substr(0, 12), "HTTP/1.1 404");
  EXPECT_EQ(RawClient(server->port()).upgrade(path("/vms/run/vnc"), viewer).substr(0, 12), "HTTP/1.1 403");
  tunnels.set_script({});
  RawClient client(server->port());
  EXPECT_THAT(client.upgrade(path("/vms/run/vnc"), operator_), HasSubstr("101"));
  client.send_frame(1, "not for a screen");
  EXPECT_EQ(client.read_frame().payload.substr(0, 2), std::string("\x03\xef", 2)) << "1007";
  RawClient third(server->port());
  EXPECT_THAT(third.upgrade(path("/vms/run/vnc"), operator_), HasSubstr("101"));
  tunnels.end_all(Error{ErrorCode::io_error, "QEMU has hung up", {}});
  const auto failed = third.read_frame();
  EXPECT_EQ(failed.payload, std::string("\x03\xf3", 2) + "QEMU has hung up") << "1011";
  const auto closed_before = tunnels.closed_by_client();
  {
    RawClient gone(server->port());
    EXPECT_THAT(gone.upgrade(path("/vms/run/vnc"), operator_), HasSubstr("101"));
  }
  EXPECT_TRUE(tunnels.wait([&] { return tunnels.closed_by_client() > closed_before; })) << "the agent is told";
}

TEST_F(StreamsTest, UploadWaitsForTheAgent) {
  start_server();
  tunnels.set_script({.kind = AgentScript::Kind::sink, .hold_sent = true});
  const auto operation = make_upload_operation();
  constexpr std::size_t kSize = 32U << 20;
  std::atomic<std::size_t> sent = 0;
  std::string answer;
  std::thread uploader([&] {
    RawClient client(server->port());
    client.send(fmt::format("PUT {} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Length: {}\r\n\r\n",
                            path("/uploads/" + operation.id.str()), operator_, kSize));
    const std::string piece(1U << 20, 'u');
    for (; sent < kSize; sent += piece.size()) {
      if (!client.send(piece)) break;
    }
    answer = client.read_answer();
  });
  EXPECT_TRUE(tunnels.wait([&] { return !tunnels.received().empty(); }));
  EXPECT_EQ(send({"PUT", path("/uploads/" + operation.id.str()), "x"}).status, 409) << "one upload at a time";
  // The agent takes nothing more: the server holds one piece, the rest waits in the client and the sockets.
  const auto held = tunnels.received().size();
  get(path("/whoami"));
  EXPECT_EQ(tunnels.received().size(), held);
  EXPECT_LE(held, 256U * 1024);
  EXPECT_LT(sent.load(), kSize);
  tunnels.release(1'000'000);
  uploader.join();
  EXPECT_THAT(answer, HasSubstr("200 OK"));
  EXPECT_EQ(tunnels.received().size(), kSize);
}

TEST_F(StreamsTest, UploadsThatGoWrong) {
  start_server();
  EXPECT_EQ(send({"PUT", path("/uploads/none"), "x"}).status, 404);
  auto operation = make_upload_operation();
  tunnels.set_script(
      {.kind = AgentScript::Kind::sink, .at_once = Error{ErrorCode::resource_exhausted, "the pool is full", {}}});
  EXPECT_EQ(send({"PUT", path("/uploads/" + operation.id.str()), std::string(500'000, 'x')}).status, 507);
  tunnels.set_script({.kind = AgentScript::Kind::sink});
  const auto closed_before = tunnels.closed_by_client();
  {
    RawClient cut(server->port());
    cut.send(fmt::format("PUT {} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Length: 1000000\r\n\r\n{}",
                         path("/uploads/" + operation.id.str()), operator_, std::string(300'000, 'c')));
    EXPECT_TRUE(tunnels.wait([&] { return !tunnels.received().empty(); }));
  }
  EXPECT_TRUE(tunnels.wait([&] { return tunnels.closed_by_client() > closed_before; }));
  finish_operation(operation.id.str(), model::OperationState::failed);
  EXPECT_EQ(send({"PUT", path("/uploads/" + operation.id.str()), "x"}).status, 409);
  // With Expect: the client hears of a refusal before it has sent anything.
  RawClient polite(server->port());
  polite.send(fmt::format(
      "PUT {} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n",
      path("/uploads/none"), operator_));
  EXPECT_THAT(polite.read_answer(), HasSubstr("404"));
  operation = make_upload_operation();
  RawClient asked(server->port());
  asked.send(fmt::format(
      "PUT {} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n",
      path("/uploads/" + operation.id.str()), operator_));
  EXPECT_EQ(asked.read_until("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  asked.send("bytes");
  EXPECT_THAT(asked.read_answer(), HasSubstr("200 OK"));
}

TEST_F(StreamsTest, AFailedExportIsNeverTakenForTheWhole) {
  start_server();
  tunnels.set_script({.kind = AgentScript::Kind::source, .payload = std::string(5'000'000, 'e')});
  EXPECT_EQ(get(path("/images/debian-12/export")).body.size(), 5'000'000U);
  EXPECT_EQ(tunnels.last_request().format, "raw");
  tunnels.set_script({.kind = AgentScript::Kind::source,
                      .payload = std::string(500'000, 'e'),
                      .after_source = Error{ErrorCode::io_error, "disk gone", {}}});
  RawClient client(server->port());
  client.send(get_head("/images/debian-12/export"));
  const auto answer = client.read_all();
  EXPECT_THAT(answer, HasSubstr("200 OK"));
  EXPECT_THAT(answer, Not(HasSubstr("\r\n0\r\n\r\n"))) << "no last chunk";
  tunnels.set_script({.kind = AgentScript::Kind::source,
                      .payload = "",
                      .after_source = Error{ErrorCode::not_found, "no such image", {}}});
  EXPECT_EQ(get(path("/images/debian-12/export")).status, 404);
  EXPECT_EQ(get(path("/images/debian-12/export?format=vmdk")).status, 400);
  make_vm("run", true);
  EXPECT_EQ(get(path("/images/run-disk0/export")).status, 409);
}

TEST_F(StreamsTest, LayoutsComeFromANodeThatSeesThem) {
  start_server();
  const auto answers = [&](const model::PoolSurvey& survey) {
    tunnels.set_script({.kind = AgentScript::Kind::source, .payload = model::encode(survey), .chunk = 100});
  };
  model::PoolSurvey survey{.layouts = true,
                           .targets = {{.index = 0, .name = "OST0000", .total = 10_GiB, .available = 1_GiB},
                                       {.index = 1, .name = "OST0001", .total = 10_GiB, .available = 9_GiB}},
                           .images = {{.image = golden.id,
                                       .role = model::ImageRole::golden,
                                       .allocated = 4_GiB,
                                       .layout = {.parts = {{.stripes = 1, .stripe_size = 1_MiB, .targets = {0}}}}}}};
  answers(survey);
  auto answer = get(path("/images/debian-12/layout"));
  ASSERT_EQ(answer.status, 200) << answer.body;
  EXPECT_EQ(tunnels.last_request().kind, reconcile::TunnelKind::pool_survey);
  ASSERT_EQ(tunnels.last_request().images.size(), 1U);
  EXPECT_EQ(answer.json()["layout"]["description"], "1 stripe of 1 MiB on 0");
  EXPECT_TRUE(answer.json()["layout"]["parts"][0]["end"].is_null()) << "to the end";
  EXPECT_EQ(answer.json()["targets"]["0"], "OST0000");
  answer = get(path("/pools/local/balance"));
  ASSERT_EQ(answer.status, 200) << answer.body;
  ASSERT_EQ(answer.json()["moves"].size(), 1U) << answer.body;
  EXPECT_EQ(answer.json()["moves"][0]["image_name"], "debian-12");
  EXPECT_EQ(answer.json()["moves"][0]["to"], 1);
  EXPECT_NEAR(answer.json()["spread"].get<double>(), 0.8, 1e-9);
  EXPECT_NEAR(answer.json()["spread_after"].get<double>(), 0, 1e-9);
  answers({});
  EXPECT_TRUE(get(path("/images/debian-12/layout")).json()["layout"].is_null());
  EXPECT_FALSE(get(path("/pools/local/balance")).json()["layouts_known"].get<bool>());
  auto lies = survey;
  lies.images.push_back(lies.images[0]);
  lies.images.push_back({.image = make_id<model::ImageId>(random), .layout = {.parts = {{.stripes = 7}}}});
  lies.images[0].allocated = lies.targets[1].available = Bytes(~std::uint64_t{0});
  answers(lies);
  answer = get(path("/pools/local/balance"));
  ASSERT_EQ(answer.status, 200) << answer.body;
  ASSERT_EQ(answer.json()["layouts"].size(), 1U) << "not what nobody asked for";
  EXPECT_EQ(answer.json()["layouts"][0]["images"], 1) << "and once";
  EXPECT_EQ(answer.json()["targets"][1]["used"], 0);
  lies.targets.push_back(lies.targets[0]);
  answers(lies);
  EXPECT_EQ(get(path("/pools/local/balance")).status, 500) << "a target twice";
  tunnels.set_script({.kind = AgentScript::Kind::source, .payload = "no survey"});
  EXPECT_EQ(get(path("/pools/local/balance")).status, 500);
  tunnels.set_script({.kind = AgentScript::Kind::source, .after_source = Error{ErrorCode::timeout, "it hangs", {}}});
  EXPECT_EQ(get(path("/images/debian-12/layout")).status, 504);
  EXPECT_EQ(get(path("/images/nothing/layout")).status, 404);
  EXPECT_EQ(get(path("/pools/nothing/balance")).status, 404);
}

TEST_F(StreamsTest, StopEndsAllStreamsInTime) {
  config.stop_grace = std::chrono::seconds(120);
  start_server();
  make_vm("run", true);
  auto events = listen();
  RawClient console(server->port());
  EXPECT_THAT(console.upgrade(path("/vms/run/console"), operator_), HasSubstr("101"));
  const auto operation = make_upload_operation();
  RawClient poll(server->port());
  poll.send(get_head("/operations/" + operation.id.str() + "?wait_seconds=60"));
  RawClient idle(server->port());
  EXPECT_TRUE(idle.connected());
  std::thread reader([&] {
    const auto frame = console.read_frame();
    EXPECT_EQ(frame.opcode, 8);
    EXPECT_EQ(frame.payload.substr(0, 2), std::string("\x03\xe9", 2)) << "1001";
    console.send_frame(8, frame.payload);
  });
  get(path("/whoami"));  // the server has seen the others by now
  const auto begin = std::chrono::steady_clock::now();
  server->stop();
  EXPECT_LT(std::chrono::steady_clock::now() - begin, config.stop_grace / 2) << "nobody had to be cut";
  reader.join();
  EXPECT_THAT(events->read_all(), HasSubstr("0\r\n\r\n"));
  EXPECT_THAT(poll.read_all(), HasSubstr("\"state\":\"running\""));
  EXPECT_EQ(idle.read_all(), "");
  server->stop();  // again: nothing
}

TEST_F(StreamsTest, StartFailsClearly) {
  start_server();
  auto taken = config;
  taken.port = server->port();
  const ServerDependencies dependencies{.commander = *commander,
                                        .agents = agents,
                                        .tunnels = tunnels,
                                        .progress = progress,
                                        .reconcile_metrics = metrics};
  const auto status = Server(taken, dependencies).start();
  ASSERT_FALSE(status);
  EXPECT_THAT(status.error().message, HasSubstr("can't listen on 127.0.0.1"));
  auto broken = config;
  broken.private_key_pem = "nonsense";
  EXPECT_EQ(Server(broken, dependencies).start().error().code, ErrorCode::invalid_argument);
}

}  // namespace
}  // namespace bridgehead::control_api::testing
