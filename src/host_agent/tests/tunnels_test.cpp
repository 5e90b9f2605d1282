#include "host_agent/tunnels.h"

#include <gtest/gtest.h>

#include "host_agent/testing/node_fixture.h"
#include "load/client.h"
#include "model/codec.h"

namespace bridgehead::host_agent::testing {
namespace {

// The manager's end, in memory.
struct Wire {
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<TunnelMessage> to_node;
  std::string received;
  bool ended = false;
  std::string error;
  bool over = false;

  void send(TunnelMessage message) {
    const std::lock_guard lock(mutex);
    to_node.push_back(std::move(message));
    changed.notify_all();
  }
  // As the gateway does: the stream ends once the node has ended.
  template <typename Done>
  bool wait(Done done) {
    std::unique_lock lock(mutex);
    return changed.wait_for(lock, std::chrono::seconds(20), [&] { return done(); });
  }
  void hang_up() {
    const std::lock_guard lock(mutex);
    over = true;
    changed.notify_all();
  }
};

class WireChannel final : public TunnelChannel {
 public:
  explicit WireChannel(std::shared_ptr<Wire> wire) : wire_(std::move(wire)) {}
  std::optional<TunnelMessage> read() override {
    std::unique_lock lock(wire_->mutex);
    wire_->changed.wait(lock, [this] { return !wire_->to_node.empty() || wire_->over; });
    if (wire_->to_node.empty()) return std::nullopt;
    auto message = std::move(wire_->to_node.front());
    wire_->to_node.pop_front();
    return message;
  }
  bool write(const TunnelMessage& message) override {
    const std::lock_guard lock(wire_->mutex);
    if (wire_->over) return false;
    wire_->received += message.data;
    if (message.end) wire_->ended = true;
    if (!message.error.empty()) wire_->error = message.error;
    if (message.end || !message.error.empty()) wire_->over = true;
    wire_->changed.notify_all();
    return true;
  }
  void cancel() override { wire_->hang_up(); }

 private:
  std::shared_ptr<Wire> wire_;
};

class TunnelsTest : public ::testing::Test {
 protected:
  std::shared_ptr<Wire> open(TunnelOrder order) {
    order.id = host_.id<model::TunnelId>();
    auto wire = std::make_shared<Wire>();
    {
      const std::lock_guard lock(mutex_);
      wires_[order.id] = wire;
    }
    tunnels_.open(order);
    return wire;
  }
  bool refused(std::string_view part) {
    return eventually([&] {
      const std::lock_guard lock(mutex_);
      return std::any_of(refused_.begin(), refused_.end(),
                         [&](const Error& error) { return error.message.find(part) != std::string::npos; });
    });
  }
  model::VmId running_vm() {
    const auto work = host_.new_vm();
    EXPECT_EQ(node_.carry_out(work).state, AssignmentState::succeeded);
    return work.vm.id;
  }

  Host host_;
  Node node_{host_};
  std::mutex mutex_;
  std::map<model::TunnelId, std::shared_ptr<Wire>> wires_;
  std::vector<Error> refused_;
  Status sleeps_;
  Tunnels tunnels_{host_.hypervisor,
                   node_.pools(),
                   node_.files(),
                   node_.uploads(),
                   [this](const model::TunnelId& id) {
                     const std::lock_guard lock(mutex_);
                     return std::make_unique<WireChannel>(wires_.at(id));
                   },
                   [this](const model::TunnelId&, const Error& error) {
                     const std::lock_guard lock(mutex_);
                     refused_.push_back(error);
                   },
                   [this](const model::OperationId& operation) { return node_.journal().is_unfinished(operation); },
                   [this] { return sleeps_; },
                   [](const auto& more) -> Result<std::string> {
                     std::string taken;
                     for (;;) {
                       auto next = more();
                       if (!next) return forward(next);
                       if (next->empty()) return "took " + taken;
                       taken += *next;
                     }
                   },
                   3};
};

TEST_F(TunnelsTest, AnUpgradesOrderIsTakenWholeAndAnswered) {
  const auto wire = open({.kind = TunnelKind::upgrade});
  wire->send({.data = "an order"});
  wire->send({.data = ", and bytes"});
  wire->send({.end = true});
  ASSERT_TRUE(wire->wait([&] { return wire->ended; }));
  EXPECT_EQ(wire->received, "took an order, and bytes");
  const auto cut = open({.kind = TunnelKind::upgrade});
  cut->send({.data = "an or"});
  cut->send({.error = "it was cancelled"});
  ASSERT_TRUE(cut->wait([&] { return !cut->error.empty(); }));
  EXPECT_NE(cut->error.find("the manager gave up"), std::string::npos) << cut->error;
}

TEST_F(TunnelsTest, AConsoleGoesBothWaysUntilTheUserLeaves) {
  const auto wire = open({.kind = TunnelKind::serial_console, .vm = running_vm()});
  wire->send({.data = "hello "});
  wire->send({});  // a resize: nothing for a serial line
  wire->send({.data = "console"});
  ASSERT_TRUE(wire->wait([&] { return wire->received == "hello console"; }));
  wire->send({.end = true});
  EXPECT_TRUE(wire->wait([&] { return wire->ended; }));
  EXPECT_TRUE(eventually([&] { return tunnels_.count() == 0; }));
}

TEST_F(TunnelsTest, AnOrderToSleepIsAnsweredFirst) {
  const auto taken = open({.kind = TunnelKind::sleep});
  EXPECT_TRUE(taken->wait([&] { return taken->ended; }));
  EXPECT_EQ(taken->received, "asleep soon");
  sleeps_ = fail(ErrorCode::failed_precondition, "a guest runs there");
  const auto refused = open({.kind = TunnelKind::sleep});
  EXPECT_TRUE(refused->wait([&] { return refused->error.find("a guest runs there") != std::string::npos; }));
  EXPECT_EQ(refused->received, "");
}

TEST_F(TunnelsTest, AConsoleOfAGuestThatIsOffIsRefused) {
  const auto vm = running_vm();
  host_.hypervisor.set_state(vm, GuestState::stopped);
  open({.kind = TunnelKind::serial_console, .vm = vm});
  EXPECT_TRUE(refused("isn't running"));
}

TEST_F(TunnelsTest, Vnc) {
  const auto wire = open({.kind = TunnelKind::vnc, .vm = running_vm()});
  ASSERT_TRUE(wire->wait([&] { return wire->received == "RFB 003.008\n"; }));
  wire->hang_up();
  EXPECT_TRUE(eventually([&] { return tunnels_.count() == 0; }));
}

TEST_F(TunnelsTest, TheBootLogComesWithItsOlderParts) {
  const auto vm = running_vm();
  const auto log = node_.files().console_log(vm);
  ASSERT_TRUE(write_file_atomic(log, "third"));
  ASSERT_TRUE(write_file_atomic(log.native() + ".0", "second "));
  ASSERT_TRUE(write_file_atomic(log.native() + ".1", "first "));
  const auto wire = open({.kind = TunnelKind::boot_log, .vm = vm});
  ASSERT_TRUE(wire->wait([&] { return wire->ended; }));
  EXPECT_EQ(wire->received, "first second third");
  open({.kind = TunnelKind::boot_log, .vm = model::VmId("../../etc")});
  EXPECT_TRUE(refused("no guest ../../etc"));
}

TEST_F(TunnelsTest, ASurveyTellsWhereImagesOfAPoolLie) {
  model::ImportImage import;
  import.image = {.id = host_.id<model::ImageId>(), .pool = host_.pool_record.id};
  import.pool = host_.pool_record;
  import.source.kind = model::ImageSourceKind::url;
  import.source.location = "http://example.org/x.raw";
  const auto work = node_.assignment(import);
  node_.executor().assign(work);
  ASSERT_EQ(node_.end_of(work.operation).state, AssignmentState::succeeded);
  const model::Image gone{.id = host_.id<model::ImageId>(), .pool = host_.pool_record.id};
  const auto wire = open({.kind = TunnelKind::pool_survey, .pool = host_.pool_record, .images = {import.image, gone}});
  ASSERT_TRUE(wire->wait([&] { return wire->ended; }));
  const auto survey = model::decode<model::PoolSurvey>(wire->received);
  ASSERT_TRUE(survey) << wire->received;
  EXPECT_TRUE(survey->layouts);
  ASSERT_EQ(survey->targets.size(), 1U);
  ASSERT_EQ(survey->images.size(), 1U);
  EXPECT_EQ(survey->images[0].image, import.image.id);
  EXPECT_EQ(survey->images[0].layout.parts.at(0).targets, std::vector<std::uint32_t>{0});
}

TEST_F(TunnelsTest, AClientOfABenchmarkWorksInThePoolAndStopsWithItsTunnel) {
  const auto place = TemporaryDirectory::create("bench").value();
  host_.pool->set_directory(place.path());
  load::ClientOrder order{.action = load::ClientOrder::Action::run,
                          .node = "n1",
                          .pool = "pool",
                          .directory = "/bridgehead-bench-b1",
                          .workload = "image-write",
                          .size = {4_MiB, std::chrono::seconds(60), 1, {}},
                          .other = "n1",
                          .at = SystemClock().now() + std::chrono::seconds(2)};
  const auto ask = [&] {
    return open({.kind = TunnelKind::bench, .pool = host_.pool_record, .bench_order = load::write_order(order)});
  };
  const auto whole = ask();
  ASSERT_TRUE(whole->wait([&] { return whole->ended; }));
  const auto answer = load::read_answer(whole->received);
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(answer->part.bytes, (4_MiB).count());
  EXPECT_TRUE(std::filesystem::exists(place.path() / "bridgehead-bench-b1/n1/image"));

  order.workload = "random-write";
  order.at = SystemClock().now() + std::chrono::seconds(1);
  const auto cut = ask();
  EXPECT_TRUE(eventually([&] { return tunnels_.count() == 1; }));
  cut->hang_up();
  EXPECT_TRUE(eventually([&] { return tunnels_.count() == 0; })) << "long before the run's 60 s";

  order.action = load::ClientOrder::Action::clean;
  const auto clean = ask();
  ASSERT_TRUE(clean->wait([&] { return clean->ended; }));
  EXPECT_TRUE(std::filesystem::is_empty(place.path()));
}

TEST_F(TunnelsTest, AnUploadFeedsItsImport) {
  model::ImportImage import;
  import.image = {.id = host_.id<model::ImageId>(), .pool = host_.pool_record.id};
  import.pool = host_.pool_record;
  const auto work = node_.assignment(import);
  open({.kind = TunnelKind::image_upload, .operation = work.operation});
  EXPECT_TRUE(refused("waits for bytes"));  // nobody knows it yet
  node_.executor().assign(work);
  const auto wire = open({.kind = TunnelKind::image_upload, .operation = work.operation});
  wire->send({.data = "first half "});
  wire->send({.data = "second half", .end = true});
  EXPECT_TRUE(wire->wait([&] { return wire->ended; }));
  EXPECT_EQ(node_.end_of(work.operation).state, AssignmentState::succeeded);
}

TEST_F(TunnelsTest, AnUploadThatBreaksOffFailsItsImport) {
  model::ImportImage import;
  import.image = {.id = host_.id<model::ImageId>(), .pool = host_.pool_record.id};
  import.pool = host_.pool_record;
  const auto work = node_.assignment(import);
  node_.executor().assign(work);
  const auto wire = open({.kind = TunnelKind::image_upload, .operation = work.operation});
  wire->send({.data = "half"});
  wire->hang_up();
  const auto end = node_.end_of(work.operation);
  ASSERT_EQ(end.state, AssignmentState::failed);
  EXPECT_NE(end.error->message.find("cut off"), std::string::npos) << end.error->message;
}

TEST_F(TunnelsTest, ADownload) {
  const auto wire =
      open({.kind = TunnelKind::image_download, .image = host_.golden, .pool = host_.pool_record, .format = "raw"});
  ASSERT_TRUE(wire->wait([&] { return wire->ended; }));
  EXPECT_EQ(wire->received, "fake image " + host_.golden.id.str());
  auto missing = host_.golden;
  missing.id = host_.id<model::ImageId>();
  open({.kind = TunnelKind::image_download, .image = missing, .pool = host_.pool_record, .format = "raw"});
  EXPECT_TRUE(refused("is not here"));
  open({.kind = TunnelKind::image_download, .image = host_.golden, .pool = host_.pool_record, .format = "iso"});
  EXPECT_TRUE(refused("'iso' is not a image format"));
}

TEST_F(TunnelsTest, TheirNumberIsBoundedAndStopEndsThemAll) {
  const auto vm = running_vm();
  for (int i = 0; i < 3; ++i) open({.kind = TunnelKind::serial_console, .vm = vm});
  open({.kind = TunnelKind::serial_console, .vm = vm});
  EXPECT_TRUE(refused("as it can"));
  tunnels_.stop();
  EXPECT_EQ(tunnels_.count(), 0U);
}

TEST(UploadPipeTest, BackPressureAndEnds) {
  UploadPipe pipe(10);
  ASSERT_TRUE(pipe.push("0123456789"));  // full now
  std::thread reader([&] { EXPECT_EQ(*pipe.read(), "0123456789"); });
  ASSERT_TRUE(pipe.push("ab"));  // waits for the reader
  reader.join();
  pipe.finish();
  EXPECT_EQ(*pipe.read(), "ab");
  EXPECT_EQ(*pipe.read(), "");
  pipe.close({ErrorCode::cancelled, "no more", {}});
  EXPECT_EQ(pipe.push("x").error().message, "no more");
}

}  // namespace
}  // namespace bridgehead::host_agent::testing
