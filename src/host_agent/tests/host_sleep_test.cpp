#include "host_agent/host_sleep.h"

#include <gtest/gtest.h>

#include "base/file.h"
#include "host_agent/testing/node_fixture.h"

namespace bridgehead::host_agent::testing {
namespace {

class HostSleepTest : public ::testing::Test {
 protected:
  void write(const std::string& name, std::string_view text) {
    const auto path = directory_.path() / "sys/power" / name;
    ASSERT_TRUE(make_directories(path.parent_path()));
    ASSERT_TRUE(write_file_atomic(path, text));
  }
  std::string read(const std::string& name) { return *read_file(directory_.path() / "sys/power" / name, 1_KiB); }
  std::string refusal(const HostSleep& sleep) {
    const auto can = sleep.check();
    return can ? "" : can.error().message;
  }

  TemporaryDirectory directory_ = std::move(*TemporaryDirectory::create());
  bool owns_ = true;
  HostSleep::Options options_{
      .root = directory_.path(), .owns_machine = [this] { return owns_; }, .delay = std::chrono::milliseconds(20)};
};

TEST_F(HostSleepTest, SleepsDeeplyAMomentLater) {
  write("state", "freeze mem disk\n");
  write("mem_sleep", "[s2idle] deep\n");
  HostSleep sleep(options_);
  ASSERT_TRUE(sleep.begin());
  EXPECT_TRUE(eventually([&] { return read("state").starts_with("mem"); }));
  EXPECT_TRUE(read("mem_sleep").starts_with("deep"));
  EXPECT_TRUE(eventually([&] { return sleep.begin().has_value(); })) << "once more, when it is awake again";
}

TEST_F(HostSleepTest, WhatCantSleepSaysWhy) {
  const HostSleep sleep(options_);
  EXPECT_NE(refusal(sleep).find("no sleep that keeps the memory"), std::string::npos) << "no such files";
  write("state", "freeze disk\n");
  EXPECT_NE(refusal(sleep).find("no sleep that keeps the memory"), std::string::npos);
  write("state", "freeze mem\n");
  write("mem_sleep", "[s2idle]\n");
  EXPECT_NE(refusal(sleep).find("no deep sleep"), std::string::npos);
  write("mem_sleep", "s2idle [deep]\n");
  EXPECT_EQ(refusal(sleep), "");
  owns_ = false;
  EXPECT_NE(refusal(sleep).find("container"), std::string::npos);
}

TEST_F(HostSleepTest, AnAgentThatEndsPutsNothingToSleep) {
  write("state", "mem\n");
  write("mem_sleep", "[deep]\n");
  options_.delay = std::chrono::hours(1);
  {
    HostSleep sleep(options_);
    ASSERT_TRUE(sleep.begin());
    EXPECT_EQ(sleep.begin().error().code, ErrorCode::unavailable);
  }
  EXPECT_EQ(read("state"), "mem\n") << "not written: it would begin with the word alone";
  EXPECT_EQ(read("mem_sleep"), "[deep]\n");
}

}  // namespace
}  // namespace bridgehead::host_agent::testing
