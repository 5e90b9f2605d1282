// What bench create, migrate and boot decide, and what their peers run on a node.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/file.h"
#include "base/testing/fake_command_runner.h"
#include "cli/commands/bench_keep.h"
#include "cli/commands/bench_peers.h"
#include "cli/commands/bench_waves.h"

namespace bridgehead::cli {
namespace {

using Json = nlohmann::json;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

Json node(const std::string& name, const Json& changes = Json::object()) {
  Json all = {{"id", "id-of-" + name},
              {"name", name},
              {"state", "ready"},
              {"netboot", {{"image", "debian-12:1"}}},
              {"bmc", {{"driver", "ipmi"}}}};
  all.update(changes);
  return all;
}

TEST(BenchBoot, OnlyNodesThatAreEmptyAndCanBeSwitchedAreTaken) {
  const Json nodes = {node("n3"),
                      node("n1"),
                      node("n2", {{"bmc", nullptr}}),
                      node("n4"),
                      node("n5", {{"state", "not_ready"}}),
                      node("local", {{"netboot", nullptr}})};
  const std::set<std::string> guests = {"id-of-n4"};
  const auto names = [](const auto& picked) {
    std::vector<std::string> all;
    for (const auto& one : *picked) all.push_back(one["name"]);
    return all;
  };
  EXPECT_THAT(names(pick_nodes_to_boot(nodes, guests, {}, 0)), ElementsAre("n1", "n3"));
  EXPECT_THAT(names(pick_nodes_to_boot(nodes, guests, {}, 1)), ElementsAre("n1"));
  EXPECT_THAT(names(pick_nodes_to_boot(nodes, guests, {"n3", "id-of-n3"}, 0)), ElementsAre("n3"));
  const auto few = pick_nodes_to_boot(nodes, guests, {}, 4);
  ASSERT_FALSE(few);
  for (const char* why : {"2 nodes can be booted, not 4", "n2 can't be switched", "n4 has guests", "n5 is not_ready",
                          "local doesn't boot over the network"}) {
    EXPECT_THAT(few.error().message, HasSubstr(why));
  }
  EXPECT_THAT(pick_nodes_to_boot(nodes, guests, {"n1", "n4"}, 0).error().message, HasSubstr("'n4' has guests"));
  EXPECT_EQ(pick_nodes_to_boot(nodes, guests, {"n9"}, 0).error().code, ErrorCode::not_found);
  const Json mixed = {node("n1"), node("n2", {{"netboot", {{"image", "other:1"}}}})};
  EXPECT_THAT(pick_nodes_to_boot(mixed, {}, {}, 0).error().message, HasSubstr("n2 boots other:1"));
}

TEST(BenchBoot, WavesDouble) {
  EXPECT_THAT(*parse_waves("", 1), ElementsAre(1));
  EXPECT_THAT(*parse_waves("", 6), ElementsAre(1, 2, 4, 6));
  EXPECT_THAT(*parse_waves("2,5-6", 6), ElementsAre(2, 5, 6));
  EXPECT_FALSE(parse_waves("7", 6));
}

TEST(BenchBoot, ABootIsItsStepsSincePower) {
  const auto at = [](const char* time) { return parse_rfc3339(std::string("2026-01-02T03:04:") + time + "Z").value(); };
  Json boot = {{"started", "2026-01-02T03:04:15.000Z"}, {"events", Json::array()}};
  const auto happens = [&](const char* step, const char* time) {
    boot["events"].push_back(
        {{"step", step}, {"message", "why"}, {"time", std::string("2026-01-02T03:04:") + time + "Z"}});
  };
  happens("dhcp", "15.000");
  happens("kernel", "18.000");
  happens("kernel", "19.000");
  EXPECT_FALSE(part_of_boot("n1", boot, at("11.000"), at("10.000"))) << "it is under way";
  happens("ready", "41.500");
  boot["bytes"] = {{"http", 12U}, {"root", nullptr}};
  EXPECT_FALSE(part_of_boot("n1", boot, at("16.000"), at("10.000"))) << "the boot before";
  const auto part = part_of_boot("n1", boot, at("11.000"), at("10.000"));
  ASSERT_TRUE(part);
  EXPECT_DOUBLE_EQ(part->began, 1);
  EXPECT_DOUBLE_EQ(part->seconds, 30.5);
  ASSERT_EQ(part->steps.size(), 3U);
  EXPECT_EQ(part->steps[1].name, "kernel");
  EXPECT_DOUBLE_EQ(part->steps[1].at, 7);
  EXPECT_EQ(part->http_bytes, 12U);
  EXPECT_EQ(part->root_bytes, std::nullopt) << "it couldn't be counted";
  EXPECT_TRUE(part->error.empty());
  boot["events"].erase(3);
  happens("failed", "42.000");
  EXPECT_EQ(part_of_boot("n1", boot, at("11.000"), at("10.000"))->error, "why");
}

TEST(GuestLimits, AreNumbersOrOff) {
  EXPECT_EQ(GuestLimits{}.numbers()->pressure, 60);
  EXPECT_EQ(GuestLimits{}.numbers()->guest_disk_ms, 200);
  EXPECT_EQ((GuestLimits{.pressure = "off"}.numbers()->pressure), 0);
  EXPECT_EQ((GuestLimits{.guest_disk_ms = "50"}.numbers()->guest_disk_ms), 50);
  const GuestLimits none{.even_if_guests_suffer = true};
  EXPECT_EQ(none.numbers()->pressure + none.numbers()->guest_disk_ms, 0);
  EXPECT_EQ(none.flags(), " --even-if-guests-suffer");
  for (const char* wrong : {"x", "-1", "5%", "0"}) EXPECT_FALSE((GuestLimits{.pressure = wrong}.numbers())) << wrong;
}

TEST(GuestLimits, SayWhatGuestsWaitFor) {
  const Json busy = {
      {"load", {{"guest_disk_ms", 250.0}, {"pressure", {{"cpu", 10.0}, {"memory", 0.0}, {"io", 75.0}}}}}};
  EXPECT_THAT(suffering_of(busy, {}), HasSubstr("takes 250 ms on average, more than 200"));
  EXPECT_THAT(suffering_of(busy, {.guest_disk_ms = 0}), HasSubstr("wait for I/O in 75 %"));
  EXPECT_EQ(suffering_of(busy, {.pressure = 80, .guest_disk_ms = 300}), "");
  EXPECT_EQ(suffering_of(busy, {.pressure = 0, .guest_disk_ms = 0}), "");
  EXPECT_EQ(suffering_of(Json::object(), {}), "") << "an older agent says nothing of it";
}

class PeerTest : public ::testing::Test {
 protected:
  PeerOrder order(PeerOrder::Action action) const {
    return {.action = action,
            .name = "b-1",
            .kind = "virt-install",
            .domain = "bh-1",
            .pool = pool_.path(),
            .golden = "11111111-1111-4111-8111-111111111111",
            .memory_mib = 64,
            .type = "qemu",
            .cache = "none",
            .uri = "qemu+ssh://n2/system"};
  }
  void say(const std::string& text) { runner_.answers.emplace_back(CommandOutput{0, text, ""}); }
  std::vector<std::string> programs() const {
    std::vector<std::string> all;
    for (const auto& command : runner_.commands) all.push_back(command.program);
    return all;
  }
  std::filesystem::path folder() const { return pool_.path() / "bridgehead-bench-b-1"; }

  TemporaryDirectory pool_ = TemporaryDirectory::create("peers").value();
  bridgehead::testing::FakeCommandRunner runner_;
};

TEST_F(PeerTest, OrdersComeBackAsTheyWere) {
  const auto before = order(PeerOrder::Action::create);
  const auto after = read_peer_order(write_peer_order(before));
  ASSERT_TRUE(after);
  EXPECT_EQ(write_peer_order(*after), write_peer_order(before));
  for (const char* wrong : {"", "{}", "[]", R"({"action": "burn"})"}) EXPECT_FALSE(read_peer_order(wrong)) << wrong;
}

TEST_F(PeerTest, LooksAtWhatBridgeheadsGuestHas) {
  say("<domain type='kvm'><devices><disk type='file' device='disk'><driver name='qemu' type='qcow2' cache='none'/>"
      "<source file='/pools/p1/disks/d.qcow2'/></disk></devices></domain>");
  const auto answer = carry_out_peer(order(PeerOrder::Action::look), runner_);
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(answer->pool, "/pools/p1");
  EXPECT_EQ(answer->type, "kvm");
  EXPECT_EQ(answer->cache, "none");
  EXPECT_THAT(runner_.commands[0].arguments, Contains("bh-1"));
}

TEST_F(PeerTest, MakesAGuestAndRemovesAllOfIt) {
  say("");  // qemu-img
  say("");  // virt-install
  say("web\nbridgehead-bench-b-1\n");
  for (int i = 0; i < 2; ++i) say("");  // destroy, undefine
  say("default\nours\n");
  say("<pool><target><path>/var/lib/libvirt/images</path></target></pool>");
  say("<pool><target><path>" + folder().native() + "</path></target></pool>");
  for (int i = 0; i < 2; ++i) say("");  // pool-destroy, pool-undefine
  say("web\n");
  const auto answer = carry_out_peer(order(PeerOrder::Action::create), runner_);
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_GT(answer->seconds, 0);
  EXPECT_EQ(programs()[0], "qemu-img");
  EXPECT_THAT(runner_.commands[0].arguments, Contains(HasSubstr("/golden/11111111-")));
  EXPECT_EQ(programs()[1], "virt-install");
  EXPECT_THAT(runner_.commands[1].arguments, Contains("bridgehead-bench-b-1"));
  for (const auto& command : runner_.commands) {
    EXPECT_THAT(command.arguments, Not(Contains("web"))) << "nobody else's guest";
    EXPECT_THAT(command.arguments, Not(Contains("/var/lib/libvirt/images")));
  }
  EXPECT_THAT(runner_.commands[9].arguments, Contains("ours"));
  EXPECT_FALSE(std::filesystem::exists(folder()));
}

TEST_F(PeerTest, WhatIsNotInstalledIsSaidAndNothingIsLeft) {
  runner_.answers.emplace_back(fail(ErrorCode::not_found, "start virt-clone"));
  for (int i = 0; i < 3; ++i) say("");  // nothing is there to remove
  auto clone = order(PeerOrder::Action::create);
  clone.kind = "virt-clone";
  const auto answer = carry_out_peer(clone, runner_);
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, ErrorCode::unsupported);
  EXPECT_THAT(answer.error().message, HasSubstr("virt-install isn't installed"));
  EXPECT_FALSE(std::filesystem::exists(folder()));
}

TEST_F(PeerTest, EmulatedGuestsStandStillAsBridgeheadsDo) {
  say("");
  ASSERT_TRUE(carry_out_peer(order(PeerOrder::Action::move), runner_));
  EXPECT_THAT(runner_.commands[0].arguments, Contains("--p2p"));
  EXPECT_THAT(runner_.commands[0].arguments, Not(Contains("--live")));
  auto kvm = order(PeerOrder::Action::move);
  kvm.type = "kvm";
  say("");
  ASSERT_TRUE(carry_out_peer(kvm, runner_));
  EXPECT_THAT(runner_.commands[1].arguments, Contains("--live"));
}

TEST_F(PeerTest, WhatCantBeIsRefusedBeforeAnythingIsDone) {
  const auto refused = [&](auto change) {
    auto wrong = order(PeerOrder::Action::create);
    change(wrong);
    return !carry_out_peer(wrong, runner_) && runner_.commands.empty();
  };
  EXPECT_TRUE(refused([](auto& one) { one.name = "../x"; }));
  EXPECT_TRUE(refused([](auto& one) { one.name = ""; }));
  EXPECT_TRUE(refused([](auto& one) { one.pool = "/"; }));
  EXPECT_TRUE(refused([](auto& one) { one.pool = "pools"; }));
  EXPECT_TRUE(refused([](auto& one) { one.golden = "a/b"; }));
  EXPECT_TRUE(refused([](auto& one) { one.kind = "virt-burn"; }));
  EXPECT_TRUE(refused([](auto& one) {
    one.action = PeerOrder::Action::move;
    one.uri = "--help";
  }));
}

}  // namespace
}  // namespace bridgehead::cli
