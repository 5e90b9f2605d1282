#include "load/node_watch.h"

#include <gtest/gtest.h>

#include "base/file.h"

namespace bridgehead::load {
namespace {

class NodeWatchTest : public ::testing::Test {
 protected:
  NodeWatchTest() : root_(TemporaryDirectory::create("node-watch").value()) {
    put("proc/cpuinfo", "processor\t: 0\nmodel name\t: A CPU of 3 GHz\nflags\t\t: fpu\n");
    put("proc/meminfo", "MemTotal:       16384 kB\nMemFree:         1 kB\n");
    put("proc/stat", "cpu  100 0 100 800 0 0 0 0 50 0\ncpu0 1 2 3\n");
    nic("lo", "", 0, 0);
    nic("eth0", "1000", 1000, 500);
    nic("br0", "-1", 1000, 500);
  }
  void put(const std::filesystem::path& path, const std::string& text) {
    ASSERT_TRUE(make_directories((root_.path() / path).parent_path()));
    ASSERT_TRUE(write_file_atomic(root_.path() / path, text));
  }
  void nic(const std::string& name, const std::string& speed, std::uint64_t received, std::uint64_t sent) {
    put("sys/class/net/" + name + "/speed", speed);
    put("sys/class/net/" + name + "/statistics/rx_bytes", std::to_string(received));
    put("sys/class/net/" + name + "/statistics/tx_bytes", std::to_string(sent));
  }
  TemporaryDirectory root_;
};

TEST_F(NodeWatchTest, CpusAndTheBusierWayOfTheLinkAreSeen) {
  const NodeWatch watch(root_.path());
  put("proc/stat", "cpu  160 0 120 810 10 0 0 0 90 0\n");  // 80 busy, 20 idle or waiting
  nic("eth0", "1000", 2000, 500 + 62'500'000);             // half a Gbit
  const auto busy = watch.since(1.0);
  ASSERT_TRUE(busy.cpu && busy.link);
  EXPECT_NEAR(*busy.cpu, 0.8, 1e-9);
  EXPECT_NEAR(*busy.link, 0.5, 1e-6);
}

TEST_F(NodeWatchTest, WhatTheNodeIsAndWhatItDoesntSay) {
  const auto facts = facts_of_this_node("host1", root_.path());
  EXPECT_EQ(facts.cpu, "A CPU of 3 GHz");
  EXPECT_EQ(facts.memory_bytes, 16384U * 1024);
  EXPECT_DOUBLE_EQ(facts.link_bits, 1e9);
  EXPECT_GT(facts.cpus, 0U);
  EXPECT_FALSE(facts.kernel.empty());
  const NodeWatch nothing("/nowhere");
  EXPECT_FALSE(nothing.since(1).cpu);
  EXPECT_FALSE(nothing.since(1).link);
  EXPECT_EQ(facts_of_this_node("x", "/nowhere").link_bits, 0);
}

}  // namespace
}  // namespace bridgehead::load
