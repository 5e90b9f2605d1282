#include <gtest/gtest.h>

#include "base/testing/fake_command_runner.h"
#include "storage/cephfs/ceph_clients.h"
#include "storage/dead_client.h"
#include "storage/lustre/lustre_evict.h"
#include "storage/moosefs/moosefs_layouts.h"

namespace bridgehead::storage {
namespace {

using bridgehead::testing::FakeCommandRunner;
using model::PoolDriver;

const model::PoolId kPool("f16eda01-fb57-4f71-b6a5-43ecfac8baf7");
const std::vector<std::string> kDead{"10.77.0.11"};

model::Pool moosefs_pool() { return {.id = kPool, .name = "m", .driver = PoolDriver::moosefs, .source = "10.77.0.12"}; }

// As mfscli 3.0.117 prints them.
constexpr char kSessions[] =
    "active mounts, "
    "parameters:|7|10.77.0.10|/var/lib/bridgehead/agent/pools/f16eda01-fb57-4f71-b6a5-43ecfac8baf7|9|1|3.0.117|/"
    "|rw|yes|no|yes|0|0|-|-|-|-|-|-|000|00000000\n"
    "\n\n"
    "inactive mounts, parameters:|1|10.77.0.11|/var/lib/bridgehead/lab/lab1/storage/look|0|0\n"
    "inactive mounts, "
    "parameters:|6|10.77.0.10|/var/lib/bridgehead/agent/pools/f16eda01-fb57-4f71-b6a5-43ecfac8baf7|0|0\n"
    "inactive mounts, "
    "parameters:|8|10.77.0.11|/var/lib/bridgehead/agent/pools/f16eda01-fb57-4f71-b6a5-43ecfac8baf7|8|86399\n";

TEST(MooseFsSessions, OnlyThoseOfTheDeadNodeInThisPoolAreRemoved) {
  FakeCommandRunner runner;
  runner.answers.push_back(CommandOutput{.out = kSessions});
  const auto removed = free_dead_client(moosefs_pool(), kDead, runner);
  ASSERT_TRUE(removed) << removed.error().describe();
  EXPECT_EQ(*removed, 1U);
  ASSERT_EQ(runner.commands.size(), 2U);
  EXPECT_EQ(runner.commands[0].describe(), "mfscli -H 10.77.0.12 -P 9421 -p -n -s '|' -SMS");
  EXPECT_EQ(runner.commands[1].describe(), "mfscli -H 10.77.0.12 -P 9421 -p -n -CRS/8");
}

TEST(MooseFsSessions, AConnectedOneIsLeftAndAskedForAgain) {
  FakeCommandRunner runner;
  runner.answers.push_back(CommandOutput{.out = kSessions});
  const auto removed = free_dead_client(moosefs_pool(), {"10.77.0.10"}, runner);
  ASSERT_FALSE(removed);
  EXPECT_EQ(removed.error().code, ErrorCode::unavailable);
  EXPECT_NE(removed.error().message.find("session 7"), std::string::npos);
  // Session 6, which is that node's of before, is gone all the same.
  ASSERT_EQ(runner.commands.size(), 2U);
  EXPECT_EQ(runner.commands[1].arguments.back(), "-CRS/6");
}

TEST(MooseFsSessions, OtherLinesAreNone) {
  EXPECT_TRUE(moosefs::parse_sessions("").empty());
  EXPECT_TRUE(
      moosefs::parse_sessions("inactive mounts, parameters:\ninactive mounts, parameters:|x|1.2.3.4|/a|1|2\n|||\n")
          .empty());
  const auto odd = moosefs::parse_sessions("inactive mounts, parameters:|3|1.2.3.4|/a|b|8|9");
  ASSERT_EQ(odd.size(), 1U);
  EXPECT_EQ(odd[0], (moosefs::Session{"3", "1.2.3.4", "/a", false}));
}

TEST(MooseFsLayouts, AnImageIsWrittenOnAllServersAlike) {
  const auto lanes = [](std::size_t servers) {
    auto runner = std::make_shared<FakeCommandRunner>();
    std::string told;
    for (std::size_t i = 0; i < servers; ++i) {
      told += fmt::format("chunk servers:|10.77.0.{}|9422|{}|-|3.0.117|0|maintenance_off|0|280|1027|-|0|0|0\n", i, i);
    }
    runner->answers.push_back(CommandOutput{.out = told + "chunk servers:|10.9.9.9|9422|9|-|disconnected\n"});
    const auto order = moosefs::MooseFsLayouts("", moosefs::Master{"m", "9421"}, runner).copy_order();
    EXPECT_EQ(order.stretch, 64_MiB);
    return order.lanes;
  };
  EXPECT_EQ(lanes(0), 8U) << "nobody knows";
  EXPECT_EQ(lanes(1), 8U);
  EXPECT_EQ(lanes(3), 9U);
  EXPECT_EQ(lanes(5), 10U);
  EXPECT_EQ(lanes(8), 8U);
  EXPECT_EQ(lanes(12), 12U);
  EXPECT_EQ(lanes(100), 32U);
  EXPECT_EQ(moosefs::MooseFsLayouts("", std::nullopt, nullptr).copy_order().lanes, 8U);
}

TEST(MooseFsSessions, ANodeWithoutTheToolSaysWhatToInstall) {
  FakeCommandRunner runner;
  runner.answers.push_back(fail(ErrorCode::not_found, "mfscli: no such program"));
  const auto removed = free_dead_client(moosefs_pool(), kDead, runner);
  ASSERT_FALSE(removed);
  EXPECT_NE(removed.error().hint.find("moosefs-cli"), std::string::npos);
}

TEST(MooseFsSessions, AHostsOwnAreThoseOfTheAddressThatTheMasterSees) {
  auto pool = moosefs_pool();
  pool.source = "127.0.0.1:9500:/site";
  FakeCommandRunner runner;
  runner.answers.push_back(
      CommandOutput{.out = fmt::format("inactive mounts, parameters:|4|127.0.0.1|/x/{}|8|86399\n", kPool)});
  const auto removed = free_own_dead_client(pool, runner);
  ASSERT_TRUE(removed) << removed.error().describe();
  EXPECT_EQ(*removed, 1U);
  EXPECT_EQ(runner.commands.back().describe(), "mfscli -H 127.0.0.1 -P 9500 -p -n -CRS/4");
}

TEST(CephClients, ThoseAtTheAddressesAreEvicted) {
  const model::Pool pool{.id = kPool,
                         .name = "c",
                         .driver = PoolDriver::cephfs,
                         .source = "10.0.0.5,10.0.0.6:/vm",
                         .options = {{"evict_keyring", "/etc/ceph/admin"}, {"file_system", "site"}}};
  FakeCommandRunner runner;
  runner.answers.push_back(CommandOutput{
      .out =
          R"([{"id":4305,"entity":{"name":{"type":"client","num":4305},"addr":{"type":"v1","addr":"10.77.0.11:0","nonce":7}}},)"
          R"({"id":4306,"entity":{"addr":{"type":"v1","addr":"10.77.0.110:0","nonce":7}}},{"id":"x","entity":{"addr":{"addr":"10.77.0.11:0"}}},7])"});
  const auto evicted = free_dead_client(pool, kDead, runner);
  ASSERT_TRUE(evicted) << evicted.error().describe();
  EXPECT_EQ(*evicted, 1U);
  const std::string ceph =
      "ceph --conf /dev/null -m 10.0.0.5,10.0.0.6 --id admin --keyring /etc/ceph/admin --connect-timeout 10 tell "
      "mds.site:0 ";
  ASSERT_EQ(runner.commands.size(), 2U);
  EXPECT_EQ(runner.commands[0].describe(), ceph + "client ls --format json");
  EXPECT_EQ(runner.commands[1].describe(), ceph + "client evict id=4305");
  for (const auto* bad : {"", "{}", "[", "no"}) EXPECT_FALSE(cephfs::parse_clients(bad, kDead)) << bad;
}

TEST(LustreEviction, EachServerIsToldByTheServiceThatItHas) {
  const model::Pool pool{.id = kPool,
                         .name = "l",
                         .driver = PoolDriver::lustre,
                         .source = "10.0.0.5@o2ib1:10.0.0.6@o2ib1:/scratch",
                         .options = {{"evict_by", "root@mds:root@oss"}, {"evict_key", "/etc/key"}}};
  FakeCommandRunner runner;
  const auto no_service = [] { return fail(ErrorCode::io_error, "no such parameter"); };
  runner.answers = {CommandOutput{}, no_service(), no_service(), CommandOutput{}};
  const auto told = free_dead_client(pool, kDead, runner);
  ASSERT_TRUE(told) << told.error().describe();
  EXPECT_EQ(*told, 2U);
  ASSERT_EQ(runner.commands.size(), 4U);
  EXPECT_EQ(
      runner.commands[3].arguments,
      (std::vector<std::string>{"-i", "/etc/key", "-o", "BatchMode=yes", "-o", "ConnectTimeout=10", "--", "root@oss",
                                "lctl set_param -n 'obdfilter.*.evict_client=nid:10.77.0.11@o2ib1'"}));
  runner.answers = {no_service(), no_service()};
  EXPECT_FALSE(free_dead_client(pool, kDead, runner)) << "a server that can't be told holds the locks on";
}

TEST(DeadClient, WhatIsNoAddressGoesNowhere) {
  const model::Pool pool{.id = kPool,
                         .driver = PoolDriver::lustre,
                         .source = "h@tcp:/x",
                         .options = {{"evict_by", "root@mds"}, {"evict_key", "/etc/key"}}};
  FakeCommandRunner runner;
  for (const auto* bad : {"", "'; reboot; '", "10.0.0.5@tcp", "fe80::1", "10.0.0"}) {
    EXPECT_FALSE(free_dead_client(pool, {"10.0.0.7", bad}, runner)) << bad;
  }
  EXPECT_FALSE(free_dead_client({.driver = PoolDriver::nfs, .source = "h:/x"}, kDead, runner));
  EXPECT_TRUE(runner.commands.empty());
}

}  // namespace
}  // namespace bridgehead::storage
