// What lies between manager and helper: who may call, what is no call, who goes away in the middle.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <future>

#include "base/unix_socket.h"
#include "boot_services/tests/both_ways.h"

namespace bridgehead::boot_services {
namespace {

using ::testing::HasSubstr;

// Makes images until it is told to stop.
class Endless final : public BootServices {
 public:
  void listen(Listener listener) override {
    const std::lock_guard lock(mutex);
    heard_by = std::move(listener);
  }
  Result<model::ServingStatus> apply(const model::ServingPlan&, std::stop_token stop) override {
    applying = true;
    while (apply_waits && !stop.stop_requested()) std::this_thread::sleep_for(std::chrono::milliseconds(5));
    if (!stop.stop_requested()) return model::ServingStatus{};
    gave_up = true;
    return fail(ErrorCode::cancelled, "given up");
  }
  Result<model::ServingStatus> status() const override { return model::ServingStatus{}; }
  Result<model::ForeignDhcpServers> foreign_dhcp_servers(std::stop_token) override {
    return model::ForeignDhcpServers{};
  }
  Result<model::NodeImage> make_image(const model::NodeImageOrder&, const ProgressSink& progress,
                                      std::stop_token stop) override {
    while (!stop.stop_requested()) {
      progress({"compress", 1, 2});
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    gave_up = true;
    return fail(ErrorCode::cancelled, "given up");
  }
  Status remove_image(const model::NodeImageId&, std::stop_token) override {
    return fail(ErrorCode::io_error, "no {}", "way");
  }
  Result<model::NodeImageDifference> compare_images(const model::NodeImageComparison&) const override {
    return model::NodeImageDifference{.packages = std::vector<std::string>(200'000, "~ a line as they are long"),
                                      .files = {}};
  }

  std::mutex mutex;
  Listener heard_by;
  std::atomic<bool> gave_up{false};
  std::atomic<bool> apply_waits{false};
  std::atomic<bool> applying{false};
};

class RemoteTest : public ::testing::Test {
 protected:
  RemoteTest() { start({::geteuid()}); }
  void start(std::set<uid_t> callers) {
    server_.reset();
    auto started =
        BootServicesServer::start({.socket = socket_, .group = {}, .callers = std::move(callers)}, services_);
    require(started.has_value(), "the server");
    server_ = std::move(*started);
  }
  UniqueFd connect() {
    auto fd = connect_unix(socket_);
    require(fd.has_value(), fd ? "" : fd.error().describe());
    return std::move(*fd);
  }
  template <typename Condition>
  static bool eventually(Condition condition) {
    for (const auto end = Steady::now() + std::chrono::seconds(20); Steady::now() < end;) {
      if (condition()) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return condition();
  }

  TemporaryDirectory directory_ = std::move(*TemporaryDirectory::create());
  const std::filesystem::path socket_ = directory_.path() / "run/socket";
  Endless services_;
  std::unique_ptr<BootServicesServer> server_;
  RemoteBootServices remote_{socket_};
};

TEST_F(RemoteTest, SaysThatTheHelperIsNotThereAndWhatToDo) {
  server_.reset();
  const auto status = remote_.status();
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, ErrorCode::unavailable);
  EXPECT_THAT(status.error().message, HasSubstr("bridgehead-netboot"));
  EXPECT_THAT(status.error().hint, HasSubstr("systemctl start bridgehead-netboot"));
  start({::geteuid()});
  EXPECT_TRUE(remote_.status()) << "and finds it when it comes";
}

TEST_F(RemoteTest, KeepsOthersOut) {
  struct stat place {};
  ASSERT_EQ(::stat(socket_.parent_path().c_str(), &place), 0);
  EXPECT_EQ(place.st_mode & 07777, 0750u);
  ASSERT_EQ(::stat(socket_.c_str(), &place), 0);
  EXPECT_EQ(place.st_mode & 07777, 0660u);
  start({::geteuid() + 1});
  const auto status = remote_.status();
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, ErrorCode::unavailable);
}

TEST_F(RemoteTest, ErrorsAndLongAnswersComeThrough) {
  const auto removed = remote_.remove_image(model::NodeImageId("x"), {});
  ASSERT_FALSE(removed);
  EXPECT_EQ(removed.error(), (Error{ErrorCode::io_error, "no way", ""}));
  const auto difference = remote_.compare_images({});
  ASSERT_TRUE(difference) << difference.error().describe();
  EXPECT_EQ(difference->packages.size(), 200'000u);
}

TEST_F(RemoteTest, WhatIsNoCallIsRefused) {
  const std::string bytes[] = {std::string(100, '\xff'), std::string("\0\0\0\0\0", 5), "GET / HTTP/1.1\r\n\r\n"};
  for (const auto& junk : bytes) {
    const auto fd = connect();
    ASSERT_TRUE(write_all(fd.get(), junk, "junk"));
    char answer = 0;
    EXPECT_EQ(::recv(fd.get(), &answer, 1, 0), 0) << "closed without a word";
  }
  FrameStream stream(connect());
  ASSERT_TRUE(stream.send({"run", "rm -rf /"}));
  auto answer = stream.receive(Steady::now() + std::chrono::seconds(20));
  ASSERT_TRUE(answer && *answer);
  EXPECT_EQ((*answer)->kind, "error");
  EXPECT_EQ(error_of((*answer)->payload).code, ErrorCode::invalid_argument);
  FrameStream other(connect());
  ASSERT_TRUE(other.send({"apply", R"({"kind":"vm","version":1,"data":{}})"}));
  answer = other.receive(Steady::now() + std::chrono::seconds(20));
  ASSERT_TRUE(answer && *answer);
  EXPECT_EQ(error_of((*answer)->payload).code, ErrorCode::invalid_argument);
  EXPECT_TRUE(remote_.status()) << "others are served as before";
}

TEST_F(RemoteTest, ProgressComesAndCancelStopsIt) {
  std::stop_source cancel;
  std::atomic<int> heard{0};
  auto making = std::async(std::launch::async, [&] {
    return remote_.make_image(
        {},
        [&](const Progress& now) {
          heard += now == Progress{"compress", 1, 2} ? 1 : 0;
        },
        cancel.get_token());
  });
  EXPECT_TRUE(eventually([&] { return heard > 2; }));
  EXPECT_FALSE(services_.gave_up);
  cancel.request_stop();
  const auto made = making.get();
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().message, "given up") << "what the helper itself says of its end";
  EXPECT_TRUE(services_.gave_up);
}

TEST_F(RemoteTest, AManagerThatDiesCancelsItsImage) {
  auto fd = connect();
  {
    FrameStream stream(UniqueFd(::dup(fd.get())));
    ASSERT_TRUE(stream.send({"make-image", R"({"kind":"node_image_order","version":1,"data":{}})"}));
    const auto progress = stream.receive(Steady::now() + std::chrono::seconds(20));
    ASSERT_TRUE(progress && *progress);
  }
  fd.reset();
  EXPECT_TRUE(eventually([&] { return services_.gave_up.load(); }));
}

TEST_F(RemoteTest, APlanIsGivenUpWithItsCaller) {
  services_.apply_waits = true;
  std::stop_source stop;
  auto applying = std::async(std::launch::async, [&] { return remote_.apply({}, stop.get_token()); });
  ASSERT_TRUE(eventually([&] { return services_.applying.load(); }));
  EXPECT_EQ(applying.wait_for(std::chrono::milliseconds(0)), std::future_status::timeout);
  stop.request_stop();
  const auto applied = applying.get();
  ASSERT_FALSE(applied);
  EXPECT_EQ(applied.error().code, ErrorCode::cancelled) << applied.error().describe();
  EXPECT_TRUE(services_.gave_up);
}

TEST_F(RemoteTest, AMessageThatIsTooLongIsNoHelperThatWentAway) {
  const auto removed = remote_.remove_image(model::NodeImageId(std::string(FrameStream::kLongestPayload + 1, 'x')), {});
  ASSERT_FALSE(removed);
  EXPECT_EQ(removed.error().code, ErrorCode::resource_exhausted) << removed.error().describe();
}

// Half a frame and then another one would be read as something else.
TEST(FrameStream, NothingFollowsHalfAFrame) {
  int ends[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  FrameStream sender(UniqueFd{ends[0]}, std::chrono::milliseconds(50));
  FrameStream receiver{UniqueFd(ends[1])};
  const auto sent = sender.send({"result", std::string(8 << 20, 'x')});
  ASSERT_FALSE(sent);
  EXPECT_EQ(sent.error().code, ErrorCode::timeout);
  const auto next = sender.send({"result", "small"});
  ASSERT_FALSE(next);
  EXPECT_EQ(next.error().code, ErrorCode::unavailable);
  const auto received = receiver.receive(Steady::now() + std::chrono::seconds(20));
  ASSERT_FALSE(received);
  EXPECT_EQ(received.error().code, ErrorCode::unavailable);
}

TEST_F(RemoteTest, AHelperThatDiesIsNoticedAndFoundAgain) {
  std::atomic<int> began{0};
  std::mutex mutex;
  std::vector<model::AddressGiven> given;
  remote_.listen({.address_given =
                      [&](const model::AddressGiven& one) {
                        const std::lock_guard lock(mutex);
                        given.push_back(one);
                      },
                  .began_anew = [&] { ++began; }});
  ASSERT_TRUE(eventually([&] { return began == 1; }));
  const model::AddressGiven news{.mac = "52:54:00:00:00:01", .address = "10.20.0.101"};
  {
    const std::lock_guard lock(services_.mutex);
    services_.heard_by.address_given(news);
  }
  EXPECT_TRUE(eventually([&] {
    const std::lock_guard lock(mutex);
    return given == std::vector{news};
  }));
  auto making = std::async(std::launch::async, [&] { return remote_.make_image({}, {}, {}); });
  start({::geteuid()});
  const auto made = making.get();
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code, ErrorCode::unavailable) << "nobody cancelled it: " << made.error().describe();
  EXPECT_TRUE(eventually([&] { return began == 2; }));
  remote_.listen({});
}

}  // namespace
}  // namespace bridgehead::boot_services
