// What becomes of silent nodes, each case by itself; everything together is simulation_test's.
#include "availability/availability.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace bridgehead::availability {
namespace {

using model::NodeId;
using model::VmId;
using ::testing::HasSubstr;

// Nodes that renew each second unless they are silent; a driver that answers what is asked as the node's fields say.
struct Cluster {
  struct Node {
    NodeId id;
    bool silent = false;
    bool seen_by_peers = true;
    bool beats = true;  // in the pool
    bool storage = true;
    bool on = true;
    bool obeys = true;    // its power control
    bool answers = true;  // likewise
    bool watchdog = false;
    std::uint64_t beat = 1;
    std::uint64_t sequence = 0;
    std::vector<Held> held;
  };
  Timing timing;
  BootTime now{};
  std::map<NodeId, Node> nodes;
  std::vector<GuestFacts> guests;
  std::unique_ptr<Availability> manager;
  std::vector<Ask> asked;
  std::vector<Place> placed;
  std::vector<std::string> said;
  std::vector<GiveUp> given_up;
  std::vector<NodeId> ordered_off;
  std::vector<FreeLocks> freed;
  bool locks_hang = false;

  explicit Cluster(int count, NodeFacts every = {.power_control = true}) {
    for (int i = 0; i < count; ++i) {
      const NodeId id(fmt::format("n{}", i));
      nodes[id].id = id;
      facts[id] = every;
      facts[id].node = id;
      facts[id].cpus = 8;
      facts[id].memory = 8_GiB;
    }
  }
  std::map<NodeId, NodeFacts> facts;
  Node& node(int number) { return nodes.at(NodeId(fmt::format("n{}", number))); }
  void guest(const char* vm, int home, std::int32_t priority = 0, Bytes memory = 1_GiB, Terms terms = Terms::keep) {
    guests.push_back({.vm = VmId(vm),
                      .restart = true,
                      .terms = terms,
                      .priority = priority,
                      .memory = memory,
                      .home = node(home).id});
  }
  void start() {
    manager = std::make_unique<Availability>(timing, manager ? manager->record() : AvailabilityRecord{}, 1000, now);
    for (const auto& [id, known] : facts) manager->know(known, now);
    for (const auto& known : guests) manager->know(known);
  }
  void run(int seconds) {
    for (const auto end = now + std::chrono::seconds(seconds); now < end;) {
      now += std::chrono::seconds(1);
      for (auto& [id, node] : nodes) {
        if (node.on && node.beats) ++node.beat;
        if (!node.on || node.silent) continue;
        carry_out(manager->renewed(id,
                                   {.instance = 1,
                                    .sequence = ++node.sequence,
                                    .heard = node.sequence - 1,
                                    .watchdog = node.watchdog,
                                    .storage_well = node.storage,
                                    .held = node.held},
                                   now));
      }
      carry_out(manager->tick(now));
    }
  }
  void carry_out(const Actions& actions) {
    for (const auto& action : actions) {
      std::visit([this](const auto& one) { handle(one); }, action);
    }
  }
  void handle(const SendAnswer& answer) {
    auto& node = nodes.at(answer.node);
    node.held.clear();
    for (const auto& grant : answer.answer.grants) {
      node.held.push_back(
          {.vm = grant.vm, .token = grant.token, .terms = grant.terms, .stamped = true, .running = true});
    }
  }
  void handle(const AskPeers& ask) {
    manager->peers_answered(ask.node, ask.request, nodes.at(ask.node).on && nodes.at(ask.node).seen_by_peers);
  }
  void handle(const ReadHeartbeat& read) { manager->heartbeat_read(read.node, read.request, nodes.at(read.node).beat); }
  void handle(const PowerOff& off) {
    auto& node = nodes.at(off.node);
    ordered_off.push_back(off.node);
    if (!node.answers) return;
    if (node.obeys) {
      node.on = false;
      node.held.clear();
    }
    manager->power_ordered(off.node, off.request);
  }
  void handle(const ReadPower& read) {
    // One that doesn't obey lies, too.
    if (nodes.at(read.node).answers) manager->power_read(read.node, read.request, PowerReading::off, now);
  }
  void handle(const WriteClaim& claim) { manager->claim_written(claim.node, claim.request, now); }
  void handle(const RemoveClaim&) {}
  void handle(const FreeLocks& locks) {
    freed.push_back(locks);
    if (!locks_hang) manager->locks_freed(locks.node, locks.request);
  }
  void handle(const Place& place) { placed.push_back(place); }
  void handle(const GiveUp& give_up) { given_up.push_back(give_up); }
  void handle(const Ask& ask) { asked.push_back(ask); }
  void handle(const Withdraw&) {}
  void handle(const Say& say) { said.push_back(say.about + ": " + say.text); }
  NodeId home(const char* vm) const { return manager->guest(VmId(vm))->home; }
  void die(int number) {
    node(number).on = false;
    node(number).held.clear();
  }
};

TEST(Availability, ADeadNodesGuestsRunElsewhereAfterItWasVerifiedOffAndItsLocksFreed) {
  Cluster cluster(3, {.power_control = true, .locks = {model::PoolId("m"), model::PoolId("l")}});
  cluster.guest("web", 0);
  cluster.start();
  cluster.run(60);
  ASSERT_EQ(cluster.node(0).held.size(), 1U);
  cluster.die(0);
  cluster.run(45);
  EXPECT_EQ(cluster.ordered_off, std::vector{NodeId("n0")});
  EXPECT_EQ(cluster.freed.size(), 2U);
  EXPECT_NE(cluster.home("web"), NodeId("n0"));
  EXPECT_THAT(cluster.placed.back().why, HasSubstr("its node is gone"));
  EXPECT_THAT(cluster.said, ::testing::Contains(HasSubstr("other nodes don't reach it")));
  EXPECT_TRUE(cluster.asked.empty());
}

TEST(Availability, LocksThatCannotBeFreedInTimeAreTriedOnUntilTheyAreOrTheNodeIsBack) {
  Cluster cluster(3, {.power_control = true, .locks = {model::PoolId("m")}});
  cluster.guest("web", 0);
  cluster.start();
  cluster.run(60);
  cluster.locks_hang = true;
  cluster.die(0);
  cluster.run(110);
  EXPECT_NE(cluster.home("web"), NodeId("n0"));
  EXPECT_THAT(cluster.manager->state_text(NodeId("n0")), HasSubstr("not all be freed in time"));
  const auto before = cluster.freed.size();
  cluster.run(180);
  EXPECT_GE(cluster.freed.size(), before + 2);
  EXPECT_LE(cluster.freed.size(), before + 3);
  cluster.locks_hang = false;
  cluster.run(70);
  EXPECT_THAT(cluster.manager->state_text(NodeId("n0")), HasSubstr("locks are freed"));
  const auto freed = cluster.freed.size();
  cluster.run(200);
  EXPECT_EQ(cluster.freed.size(), freed);

  cluster.node(0).on = true;
  cluster.run(10);
  cluster.locks_hang = true;
  cluster.guest("db", 0);
  cluster.manager->know(cluster.guests.back());
  cluster.run(60);
  cluster.die(0);
  cluster.run(110);
  EXPECT_THAT(cluster.manager->state_text(NodeId("n0")), HasSubstr("not all be freed in time"));
  cluster.node(0).on = true;
  cluster.run(5);
  const auto back = cluster.freed.size();
  cluster.run(200);
  EXPECT_EQ(cluster.freed.size(), back);  // never those of a node that lives
}

TEST(Availability, NodesThatHaveJustJoinedHaveTimeToSpeak) {
  Cluster cluster(2);
  cluster.start();
  cluster.run(300);
  for (int i = 2; i < 6; ++i) {
    const NodeId id(fmt::format("n{}", i));
    cluster.nodes[id] = {.id = id, .silent = true};
    cluster.facts[id] = {.node = id, .power_control = true};
    cluster.manager->know(cluster.facts[id], cluster.now);
  }
  cluster.run(30);
  EXPECT_TRUE(cluster.asked.empty());
  EXPECT_TRUE(cluster.said.empty());
  for (int i = 2; i < 5; ++i) cluster.node(i).silent = false;
  cluster.run(30);
  EXPECT_TRUE(cluster.asked.empty());
  EXPECT_THAT(cluster.said, ::testing::Contains(HasSubstr("n5: not heard for")));
  EXPECT_THAT(cluster.said, ::testing::Each(HasSubstr("n5: ")));
}

TEST(Availability, NothingHappensToANodeThatOnlyTheManagerDoesNotHear) {
  Cluster cluster(3);
  cluster.guest("web", 0);
  cluster.start();
  cluster.run(60);
  cluster.node(0).silent = true;
  cluster.run(300);
  EXPECT_TRUE(cluster.ordered_off.empty());
  EXPECT_EQ(cluster.home("web"), NodeId("n0"));
  EXPECT_THAT(cluster.manager->state_text(NodeId("n0")), HasSubstr("only the manager doesn't hear it"));
  cluster.die(0);  // it is still looked at
  cluster.run(90);
  EXPECT_NE(cluster.home("web"), NodeId("n0"));
}

TEST(Availability, ANodeWhoseLinkIsCutIsWaitedForAWhile) {
  Cluster cluster(3);
  cluster.guest("web", 0);
  cluster.start();
  cluster.run(60);
  cluster.node(0).silent = true;
  cluster.node(0).seen_by_peers = false;
  cluster.run(20);
  EXPECT_TRUE(cluster.ordered_off.empty());
  cluster.run(60);
  EXPECT_EQ(cluster.ordered_off.size(), 1U);
  EXPECT_NE(cluster.home("web"), NodeId("n0"));
}

TEST(Availability, ANodeThatLostItsStorageIsFencedOnlyIfOthersHaveIt) {
  Cluster cluster(3);
  cluster.guest("web", 0);
  cluster.start();
  cluster.run(60);
  for (int i = 0; i < 3; ++i) cluster.node(i).storage = false;
  cluster.run(60);
  EXPECT_TRUE(cluster.ordered_off.empty());
  for (int i = 1; i < 3; ++i) cluster.node(i).storage = true;
  cluster.run(60);
  EXPECT_EQ(cluster.ordered_off, std::vector{NodeId("n0")});
  EXPECT_NE(cluster.home("web"), NodeId("n0"));
}

TEST(Availability, NothingHappensInMaintenance) {
  Cluster cluster(3);
  cluster.guest("web", 0);
  cluster.start();
  cluster.run(60);
  cluster.facts.at(NodeId("n0")).maintenance = true;
  cluster.manager->know(cluster.facts.at(NodeId("n0")), cluster.now);
  cluster.die(0);
  cluster.run(300);
  EXPECT_TRUE(cluster.ordered_off.empty());
  EXPECT_EQ(cluster.home("web"), NodeId("n0"));
}

TEST(Availability, SilenceCountsFromWhenTheManagerCouldHear) {
  Cluster cluster(3);
  cluster.guest("web", 0);
  cluster.start();
  cluster.run(60);
  cluster.node(0).silent = true;
  cluster.node(0).beats = cluster.node(0).seen_by_peers = false;
  cluster.start();  // anew
  cluster.run(30);
  EXPECT_TRUE(cluster.ordered_off.empty()) << "grace after the start";
  cluster.now += std::chrono::seconds(40);  // stopped, and continued
  cluster.run(30);
  EXPECT_TRUE(cluster.ordered_off.empty()) << "grace after its own absence";
  cluster.run(60);
  EXPECT_EQ(cluster.ordered_off.size(), 1U);
}

TEST(Availability, AFlappingLinkCausesNothing) {
  Cluster cluster(3);
  cluster.guest("web", 0);
  cluster.start();
  cluster.run(60);
  cluster.node(0).seen_by_peers = cluster.node(0).beats = false;
  for (int i = 0; i < 20; ++i) {
    cluster.node(0).silent = true;
    cluster.run(i == 0 ? 12 : 16);
    cluster.node(0).silent = false;
    cluster.run(3);
  }
  EXPECT_TRUE(cluster.ordered_off.empty());
}

TEST(Availability, AStormIsAPersonsDecision) {
  Cluster cluster(6);
  for (int i = 0; i < 6; ++i) cluster.guest(fmt::format("vm{}", i).c_str(), i);
  cluster.start();
  cluster.run(60);
  for (int i = 0; i < 4; ++i) cluster.die(i);
  cluster.run(200);
  EXPECT_TRUE(cluster.ordered_off.empty());
  ASSERT_EQ(cluster.asked.size(), 1U);
  EXPECT_THAT(cluster.asked[0].text, HasSubstr("4 of 6 nodes fell silent"));
  cluster.manager->person_says_go_on(cluster.asked[0].question);
  cluster.run(120);
  for (int i = 0; i < 6; ++i) {
    EXPECT_THAT(cluster.home(fmt::format("vm{}", i).c_str()), ::testing::AnyOf(NodeId("n4"), NodeId("n5"))) << i;
  }
}

TEST(Availability, APowerControlThatLiesIsFoundOutAndAPersonAsked) {
  Cluster cluster(3);
  cluster.guest("web", 0);
  cluster.start();
  cluster.run(60);
  cluster.node(0).silent = true;
  cluster.node(0).seen_by_peers = false;
  cluster.node(0).obeys = false;
  cluster.run(120);
  EXPECT_EQ(cluster.home("web"), NodeId("n0"));
  ASSERT_EQ(cluster.asked.size(), 1U);
  EXPECT_THAT(cluster.asked[0].text, HasSubstr("says that it is off, but it writes to the shared pool"));
  cluster.die(0);
  cluster.manager->person_says_off(NodeId("n0"), cluster.asked[0].question + 1);
  cluster.run(10);
  EXPECT_EQ(cluster.home("web"), NodeId("n0")) << "an answer to another question";
  cluster.manager->person_says_off(NodeId("n0"), cluster.asked[0].question);
  cluster.run(10);
  EXPECT_NE(cluster.home("web"), NodeId("n0"));
  EXPECT_TRUE(cluster.manager->record().nodes.at(NodeId("n0")).distrusted) << "until a person trusts it again";
}

TEST(Availability, WhenThePowerControlDoesNotAnswerAPersonIsAskedOrTimeDecides) {
  Cluster cluster(3);
  cluster.guest("web", 0);
  cluster.guest("timed", 1, 0, 1_GiB, Terms::stop);
  cluster.node(1).watchdog = cluster.node(2).watchdog = true;
  cluster.start();
  cluster.run(60);
  cluster.node(0).answers = false;
  cluster.die(0);
  cluster.run(200);
  ASSERT_EQ(cluster.asked.size(), 1U);
  EXPECT_THAT(cluster.asked[0].text, HasSubstr("its power control doesn't answer (3 times)"));
  EXPECT_EQ(cluster.home("web"), NodeId("n0"));
  cluster.manager->person_says_off(NodeId("n0"), cluster.asked[0].question);
  cluster.run(330);
  EXPECT_NE(cluster.home("web"), NodeId("n0"));

  cluster.node(1).answers = false;
  cluster.die(1);
  cluster.run(300);
  EXPECT_NE(cluster.home("timed"), NodeId("n1")) << "the watchdog has reset its host by then";
}

TEST(Availability, GuestsRestartByPriorityAsFarAsThereIsRoom) {
  Cluster cluster(2);
  cluster.guest("low", 0, -1, 3_GiB);
  cluster.guest("huge", 0, 5, 9_GiB);
  cluster.guest("high", 0, 3, 3_GiB);
  cluster.guest("other", 1, 0, 3_GiB);
  cluster.start();
  cluster.run(60);
  cluster.die(0);
  cluster.run(60);
  EXPECT_EQ(cluster.home("high"), NodeId("n1"));
  EXPECT_EQ(cluster.home("low"), NodeId("n0"));
  EXPECT_THAT(cluster.manager->waits_for(VmId("low")), HasSubstr("memory"));
  EXPECT_THAT(cluster.manager->waits_for(VmId("huge")), HasSubstr("none of the 1 nodes"));
}

TEST(Availability, AGuestThatKillsHostsIsStoppedAfterTheSecond) {
  Cluster cluster(6);
  cluster.guest("killer", 0);
  cluster.start();
  cluster.run(60);
  // As after a move that failed, whose home has got another lease by the time that it dies.
  cluster.manager->adopt(VmId("killer"), {NodeId("n0"), 77}, Terms::keep);
  cluster.die(0);
  cluster.run(400);
  const auto second = cluster.home("killer");
  ASSERT_NE(second, NodeId("n0"));
  EXPECT_TRUE(cluster.given_up.empty());
  cluster.nodes.at(second).on = false;
  cluster.nodes.at(second).held.clear();
  cluster.run(120);
  ASSERT_EQ(cluster.given_up.size(), 1U);
  EXPECT_EQ(cluster.home("killer"), second);
  cluster.manager->person_starts(VmId("killer"));
  cluster.run(10);
  EXPECT_NE(cluster.home("killer"), second);
}

TEST(Restarts, OneThatFitsNowhereHoldsNobodyUp) {
  const auto plan =
      plan_restarts({{.vm = VmId("big"), .priority = 9, .memory = 64_GiB}, {.vm = VmId("small"), .memory = 1_GiB}},
                    {{.node = NodeId("n"), .cpus = 4, .memory = 8_GiB, .starts = 1}});
  ASSERT_EQ(plan.placements.size(), 1U);
  EXPECT_EQ(plan.placements[0].vm, VmId("small"));
  ASSERT_EQ(plan.waiting.size(), 1U);
  EXPECT_FALSE(plan.waiting[0].room);
}

// "One of a kind on each node", and the second node has too little memory.
class RestartsByRules : public ::testing::Test {
 protected:
  RestartPlan plan(bool may_break, std::vector<Restart> guests) {
    RestartRules rules{.forbidden =
                           [this](const VmId&) {
                             std::map<NodeId, std::string> forbidden;
                             for (const auto& node : taken_) forbidden[node] = "beside another one";
                             return forbidden;
                           },
                       .placed = [this](const VmId&, const NodeId& node) { taken_.insert(node); },
                       .may_break = may_break};
    return plan_restarts(std::move(guests), rooms_, rules);
  }
  std::set<NodeId> taken_{NodeId("a")};
  std::vector<Room> rooms_{{.node = NodeId("a"), .cpus = 9, .memory = 64_GiB, .starts = 9},
                           {.node = NodeId("b"), .cpus = 9, .memory = 8_GiB, .starts = 9}};
};

TEST_F(RestartsByRules, GoWhereTheRulesAreKept) {
  const auto made = plan(false, {{.vm = VmId("1"), .memory = 1_GiB}, {.vm = VmId("2"), .memory = 1_GiB}});
  ASSERT_EQ(made.placements.size(), 1U);
  EXPECT_EQ(made.placements[0].node, NodeId("b")) << "although the other has more room";
  EXPECT_EQ(made.placements[0].breaks, "");
  ASSERT_EQ(made.waiting.size(), 1U);
  EXPECT_EQ(made.waiting[0].vm, VmId("2")) << "those placed before count";
  EXPECT_EQ(made.waiting[0].why, "each node that has room is forbidden to it: beside another one");
  EXPECT_FALSE(made.waiting[0].room);
}

TEST_F(RestartsByRules, AreBrokenOnlyWhereNothingElseIsLeftAndAllowed) {
  const auto made =
      plan(true, {{.vm = VmId("1"), .priority = 1, .memory = 1_GiB}, {.vm = VmId("2"), .memory = 16_GiB}});
  ASSERT_EQ(made.placements.size(), 2U);
  EXPECT_EQ(made.placements[0].node, NodeId("b"));
  EXPECT_EQ(made.placements[0].breaks, "");
  EXPECT_EQ(made.placements[1].node, NodeId("a"));
  EXPECT_EQ(made.placements[1].breaks, "beside another one");
}

// A node that keeps the rules is only busy with other starts: worth waiting for.
TEST_F(RestartsByRules, AGuestWaitsForTheNodeThatKeepsThem) {
  rooms_[1].starts = 0;
  const auto made = plan(true, {{.vm = VmId("1"), .memory = 1_GiB}});
  EXPECT_TRUE(made.placements.empty());
  ASSERT_EQ(made.waiting.size(), 1U);
  EXPECT_TRUE(made.waiting[0].room);
}

}  // namespace
}  // namespace bridgehead::availability
