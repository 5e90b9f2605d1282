#include "load/client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/file.h"
#include "base/testing/fake_command_runner.h"
#include "base/testing/manual_clock.h"
#include "load/guest_pressure.h"

namespace bridgehead::load {
namespace {

using ::testing::HasSubstr;

constexpr const char* kFigures = R"({"fio version": "fio-3.33", "timestamp_ms": 0, "jobs": [
  {"error": 0, "write": {"io_bytes": 4194304, "total_ios": 4, "runtime": 2000}}]})";

class ClientTest : public ::testing::Test {
 protected:
  ClientTest() : pool_(TemporaryDirectory::create("client").value()) {
    order_ = {.action = ClientOrder::Action::run,
              .node = "host1",
              .directory = pool_.path() / "bridgehead-bench-b1",
              .workload = "image-write",
              .size = {4_MiB, std::chrono::seconds(5)},
              .other = "host2",
              .at = clock_.now(),
              .space = 1_MiB};
  }
  TemporaryDirectory pool_;
  bridgehead::testing::ManualClock clock_;
  bridgehead::testing::FakeCommandRunner runner_;
  ClientOrder order_;
};

TEST_F(ClientTest, RunsFioInItsFolderAndCleansUp) {
  runner_.answers.emplace_back(CommandOutput{0, kFigures, ""});
  const auto answer = carry_out(order_, runner_, clock_);
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(answer->part.node, "host1");
  EXPECT_EQ(answer->part.bytes, 4194304U);
  EXPECT_DOUBLE_EQ(answer->part.seconds, 2);
  EXPECT_EQ(answer->fio, "fio-3.33");
  ASSERT_EQ(runner_.commands.size(), 1U);
  EXPECT_TRUE(std::filesystem::is_directory(order_.directory));

  ASSERT_TRUE(write_file_atomic(order_.directory / "host1/image", "x"));
  order_.action = ClientOrder::Action::clean;
  ASSERT_TRUE(carry_out(order_, runner_, clock_));
  EXPECT_FALSE(std::filesystem::exists(order_.directory));
  EXPECT_TRUE(carry_out(order_, runner_, clock_)) << "another node was first";
  EXPECT_EQ(runner_.commands.size(), 1U);
}

TEST_F(ClientTest, WaitsForTheCommonStartAndRefusesToBeLate) {
  clock_.advance(std::chrono::milliseconds(7));
  const auto late = carry_out(order_, runner_, clock_);
  ASSERT_FALSE(late);
  EXPECT_THAT(late.error().message, HasSubstr("7 ms ago"));
  EXPECT_TRUE(runner_.commands.empty());

  const SystemClock real;
  SystemCommandRunner fio;
  order_.at = real.now() + std::chrono::milliseconds(1500);
  const auto answer = carry_out(order_, fio, real);
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_GE(real.now(), order_.at);
  EXPECT_EQ(answer->part.bytes, 4194304U);
  EXPECT_GE(answer->part.began, 0);
  EXPECT_TRUE(answer->part.cpu_busy);
}

TEST_F(ClientTest, ACancelledOneDoesntBegin) {
  std::stop_source stop;
  stop.request_stop();
  SystemCommandRunner fio;
  const SystemClock real;
  order_.at = real.now() + std::chrono::hours(1);
  const auto answer = carry_out(order_, fio, real, stop.get_token());
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, ErrorCode::cancelled);
  EXPECT_FALSE(std::filesystem::exists(order_.directory / "host1/image"));
}

TEST_F(ClientTest, EveryWorkloadIsOneThatFioKnows) {
  SystemCommandRunner fio;
  const SystemClock real;
  order_.size = {4_MiB, std::chrono::seconds(1), 2, {}};
  for (const auto& name : workload_names()) {
    order_.workload = name;
    order_.other = "host1";
    order_.at = real.now() + std::chrono::milliseconds(1200);
    const auto answer = carry_out(order_, fio, real);
    ASSERT_TRUE(answer) << name << ": " << answer.error().message;
    const auto work = workload_of(name, order_.size);
    EXPECT_EQ(work->block_bytes == 0, name.starts_with("file-"));
    if (work->block_bytes == 0) {
      EXPECT_GE(answer->part.operations, 2U) << name;
    } else if (!work->in_operations) {
      EXPECT_EQ(answer->part.bytes, work->node_bytes) << name;
    }
  }
  order_.action = ClientOrder::Action::clean;
  ASSERT_TRUE(carry_out(order_, fio, real));
  EXPECT_TRUE(std::filesystem::is_empty(pool_.path()));
}

TEST_F(ClientTest, WhatIsMissingIsToldBeforeAnythingIsMade) {
  runner_.answers.emplace_back(fail(ErrorCode::not_found, "start fio: No such file or directory"));
  order_.action = ClientOrder::Action::facts;
  const auto answer = carry_out(order_, runner_, clock_);
  EXPECT_EQ(answer.error().code, ErrorCode::unsupported);
  EXPECT_THAT(answer.error().message, HasSubstr("fio isn't installed"));
  EXPECT_THAT(answer.error().hint, HasSubstr("apt install fio"));
  EXPECT_TRUE(std::filesystem::is_empty(pool_.path()));
}

TEST_F(ClientTest, ItEndsWhenGuestsSuffer) {
  const auto root = TemporaryDirectory::create("root").value();
  const auto says = [&](const char* file, double percent) {
    const auto path = root.path() / file;
    ASSERT_TRUE(make_directories(path.parent_path()));
    ASSERT_TRUE(write_file_atomic(path, fmt::format("some avg10={:.2f} avg60=0.00 avg300=0.00 total=1\n", percent)));
  };
  says("proc/pressure/io", 99);  // fio's own
  says("proc/pressure/cpu", 30);
  EXPECT_EQ(guest_pressure(root.path())->of, "CPU");
  says("sys/fs/cgroup/machine.slice/io.pressure", 55);
  EXPECT_EQ(guest_pressure(root.path())->of, "I/O");
  SystemCommandRunner fio;
  const SystemClock real;
  order_.at = real.now() + std::chrono::milliseconds(100);
  order_.workload = "random-write";
  order_.size.seconds = std::chrono::seconds(60);
  order_.pressure = 50;
  const auto answer = carry_out(order_, fio, real, {}, root.path());
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, ErrorCode::resource_exhausted);
  EXPECT_THAT(answer.error().message, HasSubstr("wait for I/O in 55 %"));
  EXPECT_LT(real.now() - order_.at, std::chrono::seconds(40)) << "long before its time was up";
}

TEST_F(ClientTest, TouchesNothingButABenchmarksFolder) {
  ASSERT_TRUE(write_file_atomic(pool_.path() / "image", "x"));
  for (const auto action : {ClientOrder::Action::run, ClientOrder::Action::clean}) {
    for (const std::filesystem::path& wrong :
         {pool_.path(), pool_.path() / "bridgehead-bench-b1/..", std::filesystem::path("bridgehead-bench-b1"),
          pool_.path() / "bridgehead-bench-b1/../image"}) {
      order_.action = action;
      order_.directory = wrong;
      EXPECT_EQ(carry_out(order_, runner_, clock_).error().code, ErrorCode::invalid_argument) << wrong;
    }
  }
  EXPECT_TRUE(std::filesystem::exists(pool_.path() / "image"));
}

TEST_F(ClientTest, NamesThatLeaveTheFolderAreRefused) {
  for (const char* wrong : {"", "../x", "a/b", ".hidden"}) {
    order_.other = wrong;
    EXPECT_EQ(carry_out(order_, runner_, clock_).error().code, ErrorCode::invalid_argument) << wrong;
  }
}

TEST_F(ClientTest, TooLittleSpaceAndAMissingPoolAreTold) {
  order_.space = Bytes(1ULL << 60);
  const auto space = carry_out(order_, runner_, clock_);
  EXPECT_EQ(space.error().code, ErrorCode::resource_exhausted);
  order_.directory = pool_.path() / "nowhere/bridgehead-bench-b1";
  EXPECT_EQ(carry_out(order_, runner_, clock_).error().code, ErrorCode::failed_precondition);
  EXPECT_FALSE(std::filesystem::exists(pool_.path() / "bridgehead-bench-b1"));
}

TEST_F(ClientTest, OrdersAndAnswersComeBackAsTheyWere) {
  order_.at = clock_.now() + std::chrono::milliseconds(1234);
  const auto order = read_order(write_order(order_));
  ASSERT_TRUE(order) << order.error().message;
  EXPECT_EQ(write_order(*order), write_order(order_));
  EXPECT_EQ(order->at, order_.at);

  runner_.answers.emplace_back(CommandOutput{0, kFigures, ""});
  order_.at = clock_.now();
  const auto answer = read_answer(write_answer(carry_out(order_, runner_, clock_)));
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(answer->part.bytes, 4194304U);
  EXPECT_EQ(answer->fio, "fio-3.33");
  order_.action = ClientOrder::Action::facts;
  EXPECT_EQ(read_answer(write_answer(carry_out(order_, runner_, clock_)))->facts.name, "host1");

  const auto error = read_answer(write_answer(fail_with_hint(ErrorCode::timeout, "too slow", "wait")));
  ASSERT_FALSE(error);
  EXPECT_EQ(error.error(), (Error{ErrorCode::timeout, "too slow", "wait"}));
}

TEST_F(ClientTest, GarbageIsRefused) {
  for (const char* wrong : {"", "{}", "[]", "{\"action\": \"destroy\"}", "{\"error\": 3}", "ssh: no route to host"}) {
    EXPECT_FALSE(read_order(wrong)) << wrong;
    EXPECT_FALSE(read_answer(wrong)) << wrong;
  }
  EXPECT_THAT(read_answer("ssh: no route to host").error().message, HasSubstr("no route"));
}

}  // namespace
}  // namespace bridgehead::load
