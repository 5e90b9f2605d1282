#include "load/guest_client.h"

#include <unistd.h>

#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/base64.h"
#include "base/file.h"
#include "load/thread_watch.h"

namespace bridgehead::load {
namespace {

using nlohmann::json;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* kSaid = R"(image-write : Saving output of prerun in image-write.prerun.txt
{"fio version": "fio-3.33", "timestamp_ms": 0, "jobs": [
  {"error": 0, "write": {"io_bytes": 4194304, "total_ios": 4, "runtime": 2000}}]})";

// A guest's agent, and what fio does in it: it is held until its gate is opened. Its clock is an hour ahead.
struct FakeGuest {
  std::chrono::system_clock::time_point began;
  std::vector<std::vector<std::string>> executed;
  std::vector<std::string> words;
  std::vector<std::string> gates;
  std::int64_t status = 0;
  std::string out = kSaid;
  std::string error;                // "" = when it began
  std::optional<std::string> says;  // instead of any answer to guest-exec-status
  bool hangs = false;
  bool gate_is_late = false;

  Result<std::string> answer(const std::string& text) {
    const auto command = json::parse(text);
    const auto word = command.at("execute").get<std::string>();
    words.push_back(word);
    const auto& arguments = command.contains("arguments") ? command.at("arguments") : json::object();
    json result = json::object();
    if (word == "guest-get-time") {
      result = std::chrono::nanoseconds((std::chrono::system_clock::now() + std::chrono::hours(1)).time_since_epoch())
                   .count();
    } else if (word == "guest-exec") {
      auto all = arguments.at("arg").get<std::vector<std::string>>();
      all.insert(all.begin(), arguments.at("path").get<std::string>());
      executed.push_back(all);
      if (all.front() == "fio" && status == 127) return fail(ErrorCode::io_error, "No such file or directory");
      result = {{"pid", executed.size()}};
    } else if (word == "guest-file-open") {
      gates.push_back(arguments.at("path").get<std::string>());
      if (std::exchange(gate_is_late, false)) return fail(ErrorCode::io_error, "no gate yet");
      result = 1000;
    } else if (word == "guest-file-flush") {
      began = std::chrono::system_clock::now();
    } else if (word == "guest-exec-status") {
      if (says) return *says;
      const bool is_over = !hangs && (executed.front().front() == "fio" || began.time_since_epoch().count() > 0);
      result = {{"exited", is_over}};
      if (is_over) {
        result["exitcode"] = status;
        result["out-data"] = to_base64(out);
        const auto seconds = std::chrono::duration<double>(began.time_since_epoch() + std::chrono::hours(1)).count();
        result["err-data"] = to_base64(error.empty() ? fmt::format("a warning\n{:.9f}\n", seconds) : error);
      }
    }
    return json{{"return", result}}.dump();
  }
};

class GuestClientTest : public ::testing::Test {
 protected:
  GuestClientTest() {
    order_ = {.action = ClientOrder::Action::run,
              .node = "host1",
              .directory = "/bridgehead-bench-b1",
              .workload = "image-write",
              .size = {4_MiB, std::chrono::seconds(5)},
              .other = "host1",
              .guest = "7c1e0c5e-3a52-4c2c-9b0a-0b1d3b1f7a10",
              .disk = "disk1"};
  }
  Result<ClientAnswer> ask(std::stop_token stop = {}) {
    order_.at = clock_.now() + std::chrono::milliseconds(guest_.gate_is_late ? 500 : 20);
    return carry_out_in_guest(
        order_,
        {.ask = [this](const std::string& text, std::chrono::seconds) { return guest_.answer(text); },
         .emulated = true},
        clock_, stop, "/nowhere");
  }
  SystemClock clock_;
  FakeGuest guest_;
  ClientOrder order_;
};

TEST_F(GuestClientTest, FioIsHeldUntilTheCommonStartAndItsBeginToldByThisNodesClock) {
  guest_.gate_is_late = true;
  const auto answer = ask();
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(answer->part.node, "host1");
  EXPECT_EQ(answer->part.bytes, 4194304U);
  EXPECT_DOUBLE_EQ(answer->part.seconds, 2);
  EXPECT_EQ(answer->fio, "fio-3.33");
  EXPECT_LT(answer->part.began, 10) << "the guest's clock is an hour ahead";
  EXPECT_GE(guest_.began, order_.at);
  ASSERT_EQ(guest_.executed.size(), 1U);
  const auto& fio = guest_.executed.front();
  EXPECT_EQ(fio.front(), "setsid");
  EXPECT_THAT(fio, Contains("--filename=/dev/disk/by-id/virtio-disk1"));
  EXPECT_THAT(fio, Contains("--exec_prerun=read never; echo"));
  EXPECT_THAT(fio, Contains("--end_fsync=1"));
  EXPECT_EQ(guest_.gates.back(), "/run/bridgehead-bench/" + fio.at(8)) << "the gate of this run, not of one before";
  EXPECT_THAT(fio.at(4), Not(HasSubstr("disk1"))) << "nothing of the order is in the shell's words";
}

TEST_F(GuestClientTest, FactsAreThoseOfTheNodeAndWhetherTheGuestIsEmulated) {
  order_.action = ClientOrder::Action::facts;
  guest_.out = "fio-3.33\n";
  const auto answer = ask();
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(answer->fio, "fio-3.33");
  EXPECT_EQ(answer->facts.name, "host1");
  EXPECT_EQ(answer->facts.guest, "emulated");
  guest_.status = 127;
  const auto without = ask();
  ASSERT_FALSE(without);
  EXPECT_EQ(without.error().code, ErrorCode::unsupported);
  EXPECT_THAT(without.error().hint, HasSubstr("qemu-guest-agent"));
}

TEST_F(GuestClientTest, WhatAGuestSaysIsReadWithLimits) {
  guest_.status = 1;
  guest_.error = "fio: \x1b[31mno such disk";
  EXPECT_EQ(ask().error().message, "fio in the guest ended with 1: fio:  [31mno such disk");
  guest_.status = 0;
  EXPECT_THAT(ask().error().message, HasSubstr("doesn't tell when fio began"));
  guest_.error.clear();
  guest_.out = "{";
  EXPECT_EQ(ask().error().code, ErrorCode::data_corrupt);
  for (const auto& says :
       {std::string(5 << 20, '1'), std::string("["), std::string(R"({"return": 7})"),
        std::string(R"({"return": {"exited": true, "exitcode": 0, "out-data": "no base64"}})"),
        std::string(R"({"return": {"exited": true, "exitcode": 0, "out-data": "", "out-truncated": true}})")}) {
    guest_.says = says;
    const auto answer = ask();
    ASSERT_FALSE(answer) << says.substr(0, 100);
    EXPECT_EQ(answer.error().code, ErrorCode::data_corrupt);
    EXPECT_LT(answer.error().message.size(), 400U);
  }
}

TEST_F(GuestClientTest, AnErrorInAGuestsWordsIsOneShortLine) {
  order_.at = clock_.now() + std::chrono::milliseconds(20);
  const auto answer =
      carry_out_in_guest(order_, {.ask = [](const std::string&, std::chrono::seconds) -> Result<std::string> {
                           return fail(ErrorCode::io_error, "{}", "\033[2J\n" + std::string(1 << 20, 'x'));
                         }},
                         clock_, {}, "/nowhere");
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, ErrorCode::io_error);
  EXPECT_LE(answer.error().message.size(), 200U);
  EXPECT_EQ(answer.error().message.find_first_of("\033\n"), std::string::npos);
}

TEST_F(GuestClientTest, ARunThatIsEndedIsEndedInTheGuest) {
  guest_.hangs = true;
  std::stop_source stop;
  std::jthread later([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    stop.request_stop();
  });
  const auto answer = ask(stop.get_token());
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, ErrorCode::cancelled);
  ASSERT_EQ(guest_.executed.size(), 2U);
  EXPECT_EQ(guest_.executed.back().front(), "sh");
  EXPECT_THAT(guest_.executed.back().at(2), HasSubstr("kill -s KILL"));
}

TEST_F(GuestClientTest, WhatIsNotAboutADiskIsRefused) {
  order_.workload = "file-create";
  EXPECT_EQ(ask().error().code, ErrorCode::unsupported);
  order_.workload = "image-write";
  order_.disk = "../vda";
  EXPECT_EQ(ask().error().code, ErrorCode::invalid_argument);
  EXPECT_TRUE(guest_.words.empty());
}

TEST(ThreadWatch, TheBusiestThreadCounts) {
  const auto root = TemporaryDirectory::create("thread-watch").value();
  const auto ticks = static_cast<unsigned long>(::sysconf(_SC_CLK_TCK));
  const auto put = [&](int task, const std::string& name, unsigned long user, unsigned long system) {
    const auto path = root.path() / "proc/7/task" / std::to_string(task) / "stat";
    ASSERT_TRUE(make_directories(path.parent_path()));
    ASSERT_TRUE(
        write_file_atomic(path, fmt::format("{} ({}) S 1 1 1 0 -1 4 0 0 0 0 {} {} 0 0", task, name, user, system)));
  };
  put(7, "qemu) 1 (2", 0, 0);
  put(8, "CPU 0/TCG", ticks, ticks);
  const ThreadWatch watch(7, root.path());
  put(7, "qemu) 1 (2", ticks / 10, 0);
  put(8, "CPU 0/TCG", ticks * 2, ticks * 5 / 2);
  ASSERT_TRUE(watch.busiest(5));
  EXPECT_NEAR(*watch.busiest(5), 0.5, 0.01);
  EXPECT_EQ(ThreadWatch(8, root.path()).busiest(1), std::nullopt) << "no such process";
  EXPECT_EQ(ThreadWatch(0, root.path()).busiest(1), std::nullopt);
}

}  // namespace
}  // namespace bridgehead::load
