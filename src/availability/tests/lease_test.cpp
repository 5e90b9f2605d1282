// Single rules of leases, each by itself; what they are good for together is simulation_test's.
#include <gtest/gtest.h>

#include "availability/lease_book.h"
#include "availability/lease_keeper.h"

namespace bridgehead::availability {
namespace {

using model::NodeId;
using model::VmId;

const VmId web("web");
const NodeId a("a"), b("b"), c("c");

BootTime at(int seconds) { return BootTime(std::chrono::seconds(seconds)); }
const int learned = 60;  // seconds after which a book no longer learns

Renewal renewal(std::uint64_t sequence, std::vector<Held> held = {}) {
  return {.instance = 1, .sequence = sequence, .held = std::move(held)};
}

Held holds(Token token, bool running) { return {.vm = web, .token = token, .stamped = true, .running = running}; }

// A book that has heard these nodes and granted the guest to a.
struct Granted {
  LeaseBook book{Timing{}, {}, at(0)};
  Token token = 0;
  Granted() {
    for (const auto& node : {a, b, c}) book.renew(node, renewal(1), false, at(1));
    token = book.grant(web, a, Terms::keep, at(2)).value().token;
    book.renew(a, renewal(2, {holds(token, true)}), false, at(3));
  }
};

TEST(Timing, TheDefaultsHold) {
  EXPECT_TRUE(check(Timing{}));
  EXPECT_FALSE(check(Timing{.renew_every = Span(5'000)}));
  EXPECT_FALSE(check(Timing{.suspect_after = Span(4'000)}));
  EXPECT_GE(lapses_after(Timing{}), Timing{}.lease + Timing{}.watchdog + Timing{}.slack);
}

TEST(JudgeStamp, ReplacesOnlyWhatIsOver) {
  const Grant grant{.vm = web, .token = 9, .after = 5};
  const auto stamp = [](const NodeId& node, Token token) {
    return Stamp{.holder = {node, token}, .source = std::nullopt};
  };
  EXPECT_EQ(judge_stamp(std::nullopt, grant, a, false), StampVerdict::write);
  EXPECT_EQ(judge_stamp(stamp(b, 5), grant, a, false), StampVerdict::write);
  EXPECT_EQ(judge_stamp(stamp(b, 6), grant, a, false), StampVerdict::refuse)
      << "lower than 9, but nobody knows that it is over";
  EXPECT_EQ(judge_stamp(stamp(b, 10), grant, a, false), StampVerdict::refuse);
  EXPECT_EQ(judge_stamp(stamp(a, 9), grant, a, true), StampVerdict::good);
  EXPECT_EQ(judge_stamp(stamp(a, 9), grant, a, false), StampVerdict::refuse) << "a token is used once";
  EXPECT_EQ(judge_stamp(stamp(b, 9), grant, a, true), StampVerdict::refuse);

  const Grant incoming{.vm = web, .token = 9, .after = 5, .kind = GrantKind::incoming, .source = Holder{b, 8}};
  EXPECT_EQ(judge_stamp(stamp(b, 8), incoming, a, false), StampVerdict::write);
  EXPECT_EQ(judge_stamp(stamp(c, 8), incoming, a, false), StampVerdict::refuse)
      << "by a manager whose records were lost";
  EXPECT_EQ(judge_stamp(stamp(b, 7), incoming, a, false), StampVerdict::refuse);
}

TEST(LeaseBook, GrantsToOneNodeOnly) {
  Granted cluster;
  EXPECT_EQ(cluster.book.grant(web, a, Terms::keep, at(learned))->token, cluster.token) << "the same again";
  const auto other = cluster.book.grant(web, b, Terms::keep, at(learned));
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().code, ErrorCode::failed_precondition);
}

TEST(LeaseBook, GrantsElsewhereWhenTheLeaseIsGivenBackOrTheNodeIsOff) {
  Granted cluster;
  auto back = renewal(3);
  back.released = {{.name = {web, cluster.token}, .stamped = true}};
  const auto answer = cluster.book.renew(a, back, false, at(learned));
  EXPECT_EQ(answer->settled, std::vector{(GrantName{web, cluster.token})});
  const auto second = cluster.book.grant(web, b, Terms::keep, at(learned));
  ASSERT_TRUE(second);
  EXPECT_GT(second->token, cluster.token);
  EXPECT_EQ(second->after, cluster.token);

  EXPECT_FALSE(cluster.book.grant(web, c, Terms::keep, at(learned)));
  cluster.book.node_off(b);
  EXPECT_GT(cluster.book.grant(web, c, Terms::keep, at(learned))->token, second->token);
}

TEST(LeaseBook, TimeEndsOnlyLeasesThatAgentsEndByTime) {
  Granted cluster;
  cluster.book.node_lapsed(a, at(10), at(learned));
  EXPECT_FALSE(cluster.book.grant(web, b, Terms::keep, at(learned))) << "its terms are to keep the guest";
  const auto stop = cluster.book.grant(VmId("db"), a, Terms::stop, at(learned));
  ASSERT_TRUE(stop);
  auto says = renewal(3, {holds(cluster.token, true), {.vm = VmId("db"), .token = stop->token, .terms = Terms::stop}});
  says.held[1].running = true;
  says.watchdog = true;
  for (says.sequence = 3; says.sequence < 5; ++says.sequence) {
    says.heard = says.sequence - 1;
    cluster.book.renew(a, says, false, at(learned));
  }
  cluster.book.node_lapsed(a, at(learned), at(2 * learned));
  EXPECT_TRUE(cluster.book.grant(VmId("db"), b, Terms::stop, at(2 * learned)));
}

// A book that has adopted a's lease, and a's agent, which answers as it is told.
struct Adopted {
  LeaseBook book{Timing{}, {}, at(0)};
  Renewal words(std::uint64_t sequence, std::uint64_t heard, Terms terms) {
    auto says = renewal(sequence, {holds(5, true)});
    says.held[0].terms = terms;
    says.heard = heard;
    says.watchdog = true;
    return says;
  }
  void want(Terms terms) { book.adopt(web, {a, 5}, terms); }
  Terms told(const Renewal& says) { return book.renew(a, says, false, at(1)).value().grants.at(0).terms; }
  Terms counts() const { return book.leases(web)->outstanding.at(0).terms; }
};

TEST(LeaseBook, AdoptedTermsGoToStopWhenTheAgentHoldsThemSo) {
  Adopted cluster;
  cluster.want(Terms::stop);
  EXPECT_EQ(cluster.counts(), Terms::keep);
  EXPECT_EQ(cluster.told(cluster.words(1, 0, Terms::keep)), Terms::stop);
  EXPECT_EQ(cluster.counts(), Terms::keep) << "the agent may never hear it";
  cluster.told(cluster.words(2, 1, Terms::stop));
  EXPECT_EQ(cluster.counts(), Terms::stop);

  auto no_watchdog = cluster.words(3, 2, Terms::stop);
  no_watchdog.watchdog = false;
  EXPECT_EQ(cluster.told(no_watchdog), Terms::keep);
  EXPECT_EQ(cluster.counts(), Terms::keep);
}

// The book is that of a backup: in truth a keeps the guest by now.
struct Lapsed : Adopted {
  Lapsed() {
    want(Terms::stop);
    told(words(1, 0, Terms::keep));
    told(words(2, 1, Terms::stop));
    book.node_lapsed(a, at(1), at(learned));
    book.renew(b, renewal(1), false, at(learned));
    const auto granted = book.grant(web, b, Terms::keep, at(learned)).value();
    EXPECT_EQ(granted.after, 5U);
    EXPECT_TRUE(granted.after_by_time);
    const Stamp kept{.holder = {a, 5}, .source = {}, .terms = model::LeaseTerms::keep};
    EXPECT_EQ(judge_stamp(kept, granted, b, false), StampVerdict::refuse);
    auto stopped = kept;
    stopped.terms = model::LeaseTerms::stop;
    EXPECT_EQ(judge_stamp(stopped, granted, b, false), StampVerdict::write);
    auto refused = renewal(2);
    refused.refused = {{.vm = web, .token = granted.token, .found = kept}};
    refused.released = {{.name = {web, granted.token}, .stamped = false}};
    book.renew(b, refused, false, at(learned));
  }
};

TEST(LeaseBook, ARefusalByAStampThatIsKeptTellsThatTheLeaseIsntOver) {
  Lapsed cluster;
  EXPECT_FALSE(cluster.book.grant(web, b, Terms::keep, at(learned))) << "a runs it";
  cluster.told(cluster.words(3, 2, Terms::stop));
  EXPECT_EQ(cluster.counts(), Terms::keep) << "never again by time";
  cluster.book.node_off(a);
  const auto proven = cluster.book.grant(web, b, Terms::keep, at(learned));
  ASSERT_TRUE(proven);
  EXPECT_FALSE(proven->after_by_time);
}

TEST(LeaseBook, WhatOnlyTimeHasEndedIsAskedBack) {
  Adopted cluster;
  cluster.want(Terms::stop);
  cluster.told(cluster.words(1, 0, Terms::keep));
  cluster.told(cluster.words(2, 1, Terms::stop));
  cluster.book.node_lapsed(a, at(1), at(learned));
  EXPECT_EQ(cluster.book.leases(web)->by_time, a);
  const auto answer = cluster.book.renew(a, renewal(3), false, at(learned));
  EXPECT_EQ(answer->recalled, std::vector{(GrantName{web, 5})});
  auto back = renewal(4);
  back.released = {{.name = {web, 5}, .stamped = true}};
  cluster.book.renew(a, back, false, at(learned));
  EXPECT_TRUE(cluster.book.leases(web)->by_time.empty());
  EXPECT_EQ(cluster.book.leases(web)->over, 5U);
}

TEST(LeaseBook, AdoptedTermsGoBackToKeepBeforeTheAgentHearsIt) {
  Adopted cluster;
  cluster.want(Terms::stop);
  cluster.told(cluster.words(1, 0, Terms::keep));
  cluster.told(cluster.words(2, 1, Terms::stop));
  cluster.want(Terms::keep);
  EXPECT_EQ(cluster.counts(), Terms::keep);
  EXPECT_EQ(cluster.told(cluster.words(3, 2, Terms::stop)), Terms::keep);
  // Wanted anew, while what the agent says may be of before it heard that it should keep it.
  cluster.want(Terms::stop);
  cluster.told(cluster.words(4, 2, Terms::stop));
  EXPECT_EQ(cluster.counts(), Terms::keep);
  cluster.told(cluster.words(5, 4, Terms::stop));
  EXPECT_EQ(cluster.counts(), Terms::stop);
}

TEST(LeaseBook, ANewProcessBelievesWhatWasSaidAfterItsFirstAnswer) {
  Adopted cluster;
  cluster.want(Terms::stop);
  cluster.told(cluster.words(8, 7, Terms::stop));
  EXPECT_EQ(cluster.counts(), Terms::keep) << "7 was another process's answer";
  cluster.told(cluster.words(9, 8, Terms::stop));
  EXPECT_EQ(cluster.counts(), Terms::stop);
}

TEST(LeaseBook, LetsNothingStartWhileItLearns) {
  Granted cluster;
  LeaseBook next(Timing{}, cluster.book.record(), at(100));
  const auto early = next.renew(a, renewal(3, {holds(cluster.token, false)}), false, at(101));
  ASSERT_EQ(early->grants.size(), 1U);
  EXPECT_FALSE(early->grants[0].may_start);
  EXPECT_FALSE(next.grant(web, b, Terms::keep, at(101)));
  EXPECT_TRUE(next.grant(VmId("new"), a, Terms::keep, at(101))) << "nobody can hold a lease of one that never had one";
  const auto late = next.renew(a, renewal(4, {holds(cluster.token, false)}), false, at(100 + learned));
  EXPECT_TRUE(late->grants[0].may_start);
}

TEST(LeaseBook, ARestoredRecordLearnsFromWhoHoldsTheGuest) {
  Granted cluster;  // the backup: a has it
  LeaseBook restored(Timing{}, cluster.book.record(), at(100));
  for (const auto& node : {a, c}) restored.renew(node, renewal(5), false, at(101));
  // In truth b was granted it since, under a token that the restored counter doesn't know.
  restored.renew(b, renewal(5, {holds(40, true)}), false, at(102));
  const auto answer = restored.renew(a, renewal(6), false, at(103));
  ASSERT_EQ(answer->recalled.size(), 1U) << "a doesn't hold it any more, and must not take it again";
  auto released = renewal(7);
  released.released = {{.name = {web, cluster.token}, .stamped = false}};
  restored.renew(a, released, false, at(104));
  EXPECT_FALSE(restored.grant(web, c, Terms::keep, at(100 + learned))) << "b runs it";
  restored.node_off(b);
  EXPECT_GT(restored.grant(web, c, Terms::keep, at(100 + learned))->token, 40U);
}

// b holds a lease of before the backup and isn't heard. c is granted the guest under a token that may be b's, doesn't
// stamp it, and gives it back. That proves nothing of b's.
TEST(LeaseBook, ALeaseThatWasNotStampedProvesNothing) {
  Granted cluster;
  LeaseBook restored(Timing{}, cluster.book.record(), at(100));
  for (const auto& node : {a, c}) restored.renew(node, renewal(5), false, at(101));
  restored.node_off(a);
  const auto first = restored.grant(web, c, Terms::keep, at(100 + learned));
  ASSERT_TRUE(first);
  auto released = renewal(6);
  released.released = {{.name = {web, first->token}, .stamped = false}};
  restored.renew(c, released, false, at(101 + learned));
  const auto second = restored.grant(web, c, Terms::keep, at(102 + learned));
  ASSERT_TRUE(second);
  EXPECT_EQ(second->after, cluster.token);
  const Stamp of_b{.holder = {b, first->token}, .source = std::nullopt};
  EXPECT_EQ(judge_stamp(of_b, *second, c, false), StampVerdict::refuse);
}

TEST(LeaseBook, ARefusalTellsWhoHoldsTheGuestAndFromWhereItMayCome) {
  Granted cluster;
  LeaseBook restored(Timing{}, cluster.book.record(), at(100));
  for (const auto& node : {a, c}) restored.renew(node, renewal(5), false, at(101));
  restored.node_off(a);
  const auto granted = restored.grant(web, c, Terms::keep, at(100 + learned));
  auto refused = renewal(6);
  refused.refused = {{.vm = web, .token = granted->token, .found = {.holder = {b, 30}, .source = Holder{a, 29}}}};
  refused.released = {{.name = {web, granted->token}, .stamped = false}};
  restored.renew(c, refused, false, at(101 + learned));
  EXPECT_FALSE(restored.grant(web, c, Terms::keep, at(102 + learned))) << "b or a may run it";
  restored.node_off(b);
  EXPECT_FALSE(restored.grant(web, c, Terms::keep, at(102 + learned))) << "it may not have come to b yet";
  restored.node_off(a);
  EXPECT_EQ(restored.grant(web, c, Terms::keep, at(102 + learned))->after, 30U);
}

TEST(LeaseBook, AMigrationsTargetMayStartOnlyWhenTheSourceCanNot) {
  Granted cluster;
  const auto incoming = cluster.book.grant_incoming(web, b, Terms::keep, at(learned));
  ASSERT_TRUE(incoming);
  EXPECT_LT(incoming->after, cluster.token);
  EXPECT_EQ(incoming->source, (Holder{a, cluster.token}));
  auto to_b = cluster.book.renew(b, renewal(2), false, at(learned));
  ASSERT_EQ(to_b->grants.size(), 1U);
  EXPECT_EQ(to_b->grants[0].kind, GrantKind::incoming);
  EXPECT_FALSE(to_b->grants[0].may_start);
  EXPECT_FALSE(cluster.book.grant_incoming(web, c, Terms::keep, at(learned))) << "one at a time";
  cluster.book.node_off(a);
  to_b = cluster.book.renew(b, renewal(3), false, at(learned));
  EXPECT_EQ(to_b->grants[0].kind, GrantKind::run);
  EXPECT_TRUE(to_b->grants[0].may_start);
}

// --- the agent's side ---

struct Agent {
  Timing timing;
  LeaseKeeper keeper{{.node = a, .instance = 7, .watchdog = true}, timing, {}, {}, {}};
  Grant grant{.vm = web, .token = 4, .after = 0, .terms = Terms::stop, .may_start = true};

  void renew(BootTime now, BootTime answered) {
    const auto sent = keeper.tick(now, true).renew;
    ASSERT_TRUE(sent);
    keeper.answered({.instance = 7, .sequence = sent->sequence, .grants = {grant}, .recalled = {}, .settled = {}},
                    answered);
  }
  void run(BootTime now) {
    ASSERT_TRUE(keeper.begin_start(web, now));
    keeper.stamped(web);
    ASSERT_TRUE(keeper.may_run_now(web, now));
    keeper.started(web);
  }
};

TEST(LeaseKeeper, ALeaseCountsFromWhenItsRenewalWasSent) {
  Agent agent;
  agent.renew(at(100), at(107));
  EXPECT_EQ(agent.keeper.boot().ends.at({web, 4}), at(112));
  Agent late;
  late.renew(at(100), at(112));
  EXPECT_TRUE(late.keeper.record().held.empty()) << "such an answer is worth nothing";
}

TEST(LeaseKeeper, StopsTheGuestInTimeAndFeedsTheWatchdogNoLonger) {
  Agent agent;
  agent.renew(at(100), at(100));
  agent.run(at(101));
  EXPECT_TRUE(agent.keeper.needs_watchdog());
  EXPECT_TRUE(agent.keeper.blocks_sleep());
  EXPECT_TRUE(agent.keeper.tick(at(107), true).stop.empty());
  EXPECT_EQ(agent.keeper.tick(at(108), true).stop, std::vector{web});
  EXPECT_TRUE(agent.keeper.may_feed_watchdog(at(111)));
  EXPECT_FALSE(agent.keeper.may_feed_watchdog(at(112)));
  agent.keeper.stopped(web);
  EXPECT_FALSE(agent.keeper.needs_watchdog());
  EXPECT_TRUE(agent.keeper.may_feed_watchdog(at(113)));
}

TEST(LeaseKeeper, KeepsTheGuestByItsTermsHoweverLongTheManagerIsAway) {
  Agent agent;
  agent.grant.terms = Terms::keep;
  agent.renew(at(100), at(100));
  agent.run(at(101));
  EXPECT_TRUE(agent.keeper.tick(at(90'000), true).stop.empty());
  EXPECT_FALSE(agent.keeper.needs_watchdog());
  agent.keeper.stopped(web);
  EXPECT_FALSE(agent.keeper.begin_start(web, at(90'001))) << "to run on is one thing, to start another";
}

TEST(LeaseKeeper, ThePoolProlongsLeasesWhileNobodyClaimsThem) {
  Agent agent;
  agent.renew(at(100), at(100));
  agent.run(at(101));
  agent.keeper.pool_read({}, at(106), at(107));
  EXPECT_TRUE(agent.keeper.tick(at(113), true).stop.empty());
  agent.keeper.pool_read({99}, at(112), at(113));
  EXPECT_EQ(agent.keeper.tick(at(114), true).stop, std::vector{web});
  agent.keeper.pool_read({}, at(119), at(119));
  EXPECT_EQ(agent.keeper.tick(at(119), true).stop, std::vector{web}) << "what has ended stays ended";
}

TEST(LeaseKeeper, AfterARestartItGoesOnFromWhatWasKept) {
  Agent agent;
  agent.renew(at(100), at(100));
  agent.run(at(101));
  LeaseKeeper next({.node = a, .instance = 8, .watchdog = true}, agent.timing, agent.keeper.record(),
                   agent.keeper.boot(), {web});
  EXPECT_TRUE(next.tick(at(105), true).stop.empty());
  EXPECT_EQ(next.tick(at(109), true).stop, std::vector{web});
  // After a reboot nothing is kept of times: it may not start before the manager says so.
  LeaseKeeper booted({.node = a, .instance = 9, .watchdog = true}, agent.timing, agent.keeper.record(), {}, {});
  EXPECT_FALSE(booted.begin_start(web, at(1)));
}

TEST(LeaseKeeper, ARecalledGuestIsStoppedBeforeItIsGivenBack) {
  Agent agent;
  agent.renew(at(100), at(100));
  agent.run(at(101));
  const auto sent = agent.keeper.tick(at(103), true).renew;
  agent.keeper.answered(
      {.instance = 7, .sequence = sent->sequence, .grants = {}, .recalled = {{web, 4}}, .settled = {}}, at(103));
  EXPECT_EQ(agent.keeper.tick(at(103), true).stop, std::vector{web});
  EXPECT_TRUE(agent.keeper.record().released.empty());
  agent.keeper.stopped(web);
  EXPECT_TRUE(agent.keeper.record().released.contains({web, 4}));
  EXPECT_FALSE(agent.keeper.token(web));
}

// Between two starts a migration may have come and gone, with another's stamp.
TEST(LeaseKeeper, EachStartLooksAtTheStamp) {
  Agent agent;
  agent.renew(at(100), at(100));
  agent.run(at(101));
  agent.keeper.stopped(web);
  ASSERT_TRUE(agent.keeper.begin_start(web, at(102)));
  EXPECT_FALSE(agent.keeper.may_run_now(web, at(102)));
  agent.keeper.stamped(web);
  EXPECT_TRUE(agent.keeper.may_run_now(web, at(102)));
}

// Then the manager is another, and has let another node start the guest.
TEST(LeaseKeeper, AStartEndsWhenTheManagerNoLongerAllowsIt) {
  Agent agent;
  agent.renew(at(100), at(100));
  ASSERT_TRUE(agent.keeper.begin_start(web, at(101)));
  agent.grant.may_start = false;
  agent.renew(at(103), at(103));
  agent.keeper.stamped(web);
  EXPECT_FALSE(agent.keeper.may_run_now(web, at(103)));
}

TEST(LeaseKeeper, TermsGoToStopBeforeTheStampAndToKeepAfterIt) {
  Agent agent;
  agent.grant.terms = Terms::keep;
  agent.renew(at(100), at(100));
  agent.run(at(101));
  const auto held = [&] { return agent.keeper.record().held.at(web); };
  using model::LeaseTerms;
  const auto stamped = [](LeaseTerms terms) { return std::vector{Restamp{web, 4, terms}}; };
  EXPECT_EQ(agent.keeper.tick(at(101), true).restamp, stamped(LeaseTerms::keep)) << "perhaps it is of before";
  agent.keeper.restamped({web, 4, LeaseTerms::keep});

  agent.grant.terms = Terms::stop;
  agent.renew(at(104), at(104));
  EXPECT_EQ(held().grant.terms, Terms::stop);
  auto duties = agent.keeper.tick(at(107), true);
  EXPECT_EQ(duties.restamp, stamped(LeaseTerms::stop));
  EXPECT_EQ(duties.renew->held[0].terms, Terms::keep) << "the stamp doesn't say so yet";
  EXPECT_EQ(held().says, std::nullopt) << "from here on it may";
  EXPECT_TRUE(agent.keeper.tick(at(107), true).restamp.empty());
  EXPECT_EQ(agent.keeper.tick(at(110), true).restamp, stamped(LeaseTerms::stop)) << "tried again";
  agent.keeper.restamped({web, 3, LeaseTerms::stop});
  EXPECT_EQ(held().says, std::nullopt) << "another lease's";
  agent.keeper.restamped({web, 4, LeaseTerms::stop});
  EXPECT_EQ(agent.keeper.tick(at(110), true).renew->held[0].terms, Terms::stop);

  agent.renew(at(113), at(113));
  agent.grant.terms = Terms::keep;
  agent.renew(at(116), at(116));
  duties = agent.keeper.tick(at(119), true);
  EXPECT_EQ(duties.restamp, stamped(LeaseTerms::keep));
  EXPECT_EQ(duties.renew->held[0].terms, Terms::keep) << "nobody counts on it any more";
  EXPECT_TRUE(agent.keeper.needs_watchdog()) << "but it may be counted on by a manager with a backup";
  EXPECT_EQ(agent.keeper.tick(at(125), true).stop, std::vector{web});
  // Killed at this point: what it acts by is what it had.
  LeaseKeeper next({.node = a, .instance = 8, .watchdog = true}, agent.timing, agent.keeper.record(),
                   agent.keeper.boot(), {web});
  EXPECT_EQ(next.tick(at(119), true).restamp, stamped(LeaseTerms::stop));
  agent.keeper.restamped({web, 4, LeaseTerms::keep});
  EXPECT_FALSE(agent.keeper.needs_watchdog());
  EXPECT_TRUE(agent.keeper.tick(at(9'000), true).stop.empty());
  EXPECT_TRUE(agent.keeper.tick(at(9'000), true).restamp.empty());
}

TEST(LeaseKeeper, WhatWasBegunForOtherTermsIsDoneAnew) {
  Agent agent;
  agent.renew(at(100), at(100));
  agent.run(at(101));
  ASSERT_EQ(agent.keeper.tick(at(101), true).restamp.size(), 1U);
  agent.grant.terms = Terms::keep;
  agent.renew(at(104), at(104));
  agent.keeper.restamped({web, 4, model::LeaseTerms::stop});  // that was still on its way
  EXPECT_TRUE(agent.keeper.needs_watchdog());
  const auto duties = agent.keeper.tick(at(105), true);
  ASSERT_EQ(duties.restamp.size(), 1U);
  EXPECT_EQ(duties.restamp[0].terms, model::LeaseTerms::keep);
  EXPECT_EQ(duties.renew->held[0].terms, Terms::keep);
}

TEST(LeaseKeeper, GuestsThatMustStopNeedAWatchdog) {
  Agent agent;
  agent.keeper = LeaseKeeper({.node = a, .instance = 7, .watchdog = false}, agent.timing, {}, {}, {});
  agent.renew(at(100), at(100));
  EXPECT_FALSE(agent.keeper.begin_start(web, at(101)));
}

}  // namespace
}  // namespace bridgehead::availability
