#include "model/lease.h"

#include <gtest/gtest.h>

#include "model/json.h"
#include "model/vm.h"

namespace bridgehead::model {
namespace {

const NodeId a("a");
const NodeId b("b");
const NodeId c("c");

LeaseClaim claim(const NodeId& node, std::uint64_t token, std::optional<PastLeases> past,
                 std::optional<LeaseHolder> source = {}) {
  return {.vm = VmId("vm"), .node = node, .token = token, .past = std::move(past), .source = std::move(source)};
}

LeaseStamp stamp(const NodeId& node, std::uint64_t token, std::optional<LeaseTerms> terms = {}) {
  return {.vm = VmId("vm"), .node = node, .token = token, .source = {}, .terms = terms};
}

TEST(StampTest, OnlyWhatIsKnownToBeOverIsReplaced) {
  const PastLeases past{.over = 4, .ended = {{b, 6}}};
  using enum StampVerdict;
  EXPECT_EQ(judge_stamp({}, claim(a, 9, past)), write);
  EXPECT_EQ(judge_stamp(stamp(a, 9), claim(a, 9, past)), good);
  EXPECT_EQ(judge_stamp(stamp(b, 9), claim(a, 9, past)), refuse);
  EXPECT_EQ(judge_stamp(stamp(b, 4), claim(a, 9, past)), write);
  EXPECT_EQ(judge_stamp(stamp(b, 5), claim(a, 9, past)), refuse);
  EXPECT_EQ(judge_stamp(stamp(b, 6), claim(a, 9, past)), write);
  EXPECT_EQ(judge_stamp(stamp(c, 6), claim(a, 9, past)), refuse) << "the same number, another node's";
  EXPECT_EQ(judge_stamp(stamp(a, 7), claim(a, 9, past)), refuse) << "its own, which it may not know of any more";
  EXPECT_EQ(judge_stamp(stamp(b, 10), claim(a, 9, {{.over = 20, .ended = {}}})), refuse) << "a token only grows";
}

TEST(StampTest, AGuestComesInFromItsSourceOnly) {
  const PastLeases past{.over = 4, .ended = {}};
  EXPECT_EQ(judge_stamp(stamp(b, 7), claim(a, 9, past, LeaseHolder{b, 7})), StampVerdict::write);
  EXPECT_EQ(judge_stamp(stamp(c, 7), claim(a, 9, past, LeaseHolder{b, 7})), StampVerdict::refuse);
  EXPECT_EQ(judge_stamp(stamp(b, 8), claim(a, 9, past, LeaseHolder{b, 7})), StampVerdict::refuse);
}

TEST(StampTest, ByAManagerOfBeforeEachHigherTokenCounts) {
  EXPECT_EQ(judge_stamp(stamp(b, 8), claim(a, 9, {})), StampVerdict::write);
  EXPECT_EQ(judge_stamp(stamp(b, 9), claim(a, 9, {})), StampVerdict::refuse);
}

TEST(StampTest, TimeEndsNoLeaseWhoseStampSaysThatItIsKept) {
  using enum StampVerdict;
  const PastLeases by_time{.over = 4, .ended = {{b, 6}}, .by_time = true};
  EXPECT_EQ(judge_stamp(stamp(b, 4, LeaseTerms::keep), claim(a, 9, by_time)), refuse);
  EXPECT_EQ(judge_stamp(stamp(c, 4, LeaseTerms::keep), claim(a, 9, by_time)), refuse) << "the same number, another's";
  EXPECT_EQ(judge_stamp(stamp(b, 4, LeaseTerms::stop), claim(a, 9, by_time)), write);
  EXPECT_EQ(judge_stamp(stamp(b, 4), claim(a, 9, by_time)), write) << "a stamp of before";
  EXPECT_EQ(judge_stamp(stamp(b, 3, LeaseTerms::keep), claim(a, 9, by_time)), write)
      << "the newer one's stamp replaced one that was over";
  EXPECT_EQ(judge_stamp(stamp(b, 6, LeaseTerms::keep), claim(a, 9, by_time)), write) << "that one was seen to be over";
  EXPECT_EQ(judge_stamp(stamp(a, 4, LeaseTerms::keep), claim(a, 9, by_time)), write) << "the node's own";
  EXPECT_EQ(judge_stamp(stamp(b, 4, LeaseTerms::keep), claim(a, 9, by_time, LeaseHolder{b, 4})), write)
      << "from there it comes in";
  EXPECT_EQ(judge_stamp(stamp(b, 4, LeaseTerms::keep), claim(a, 9, {})), write) << "by a manager of before";
  const PastLeases proven{.over = 4, .ended = {}};
  EXPECT_EQ(judge_stamp(stamp(b, 4, LeaseTerms::keep), claim(a, 9, proven)), write);
}

TEST(StampTest, NorOneFromWhichTheGuestWasComingIn) {
  const PastLeases by_time{.over = 4, .ended = {{c, 6}}, .by_time = true};
  auto coming = claim(c, 6, PastLeases{}, LeaseHolder{b, 4});
  EXPECT_EQ(judge_stamp(coming.stamp(stamp(b, 4, LeaseTerms::keep)), claim(a, 9, by_time)), StampVerdict::refuse);
  EXPECT_EQ(judge_stamp(coming.stamp(stamp(b, 4, LeaseTerms::stop)), claim(a, 9, by_time)), StampVerdict::write);
  EXPECT_EQ(judge_stamp(coming.stamp(stamp(b, 4)), claim(a, 9, by_time)), StampVerdict::write);
  EXPECT_EQ(coming.stamp(stamp(b, 3, LeaseTerms::keep)).source_terms, std::nullopt) << "that isn't its source";
}

TEST(PastLeasesTest, ProofEndsWhatTimeHasEnded) {
  PastLeases past{.over = 0, .ended = {{a, 3}}};
  end_lease(past, {b, 5}, false, LeaseEnd::time);
  EXPECT_EQ(past, (PastLeases{.over = 5, .ended = {}, .by_time = true})) << "it was held, so it was stamped";
  EXPECT_FALSE(is_over(past, stamp(b, 5, LeaseTerms::keep)));
  EXPECT_TRUE(is_over(past, stamp(b, 5, LeaseTerms::stop)));
  auto newer = past;
  end_lease(newer, {a, 6}, true);
  EXPECT_EQ(newer, (PastLeases{.over = 6, .ended = {}}));
  end_lease(past, {b, 5}, false);
  EXPECT_EQ(past, (PastLeases{.over = 5, .ended = {}}));
  end_lease(past, {b, 5}, false, LeaseEnd::time);
  EXPECT_FALSE(past.by_time) << "it was proven";

  Vm vm{.node = a, .lease = 7};
  end_lease(vm, LeaseEnd::time);
  EXPECT_EQ(vm.past_leases, (PastLeases{.over = 7, .ended = {}, .by_time = true})) << "a record of before";
  EXPECT_EQ(nlohmann::json(vm).get<Vm>(), vm);
  EXPECT_EQ(nlohmann::json::parse(R"({"over":7,"ended":[]})").get<PastLeases>(), (PastLeases{.over = 7, .ended = {}}));
}

TEST(PastLeasesTest, AStampedOneEndsAllBeforeIt) {
  PastLeases past;
  end_lease(past, {a, 3}, false);
  end_lease(past, {b, 5}, false);
  end_lease(past, {b, 5}, false);
  EXPECT_EQ(past, (PastLeases{.over = 0, .ended = {{a, 3}, {b, 5}}}));
  end_lease(past, {a, 4}, true);
  EXPECT_EQ(past, (PastLeases{.over = 4, .ended = {{b, 5}}}));
  end_lease(past, {a, 4}, false);
  EXPECT_EQ(past, (PastLeases{.over = 4, .ended = {{b, 5}}}));
}

TEST(PastLeasesTest, AGuestOfBeforeStartsWithAllThatWas) {
  Vm vm{.node = a, .lease = 7};
  end_lease(vm);
  EXPECT_EQ(vm.lease, 0U);
  EXPECT_EQ(vm.past_leases, (PastLeases{.over = 7, .ended = {}}));
  Vm revoked{.node = a};  // by a manager of before: nobody knows its last token any more
  end_lease(revoked);
  note_ended(revoked, {b, 9}, false);
  EXPECT_FALSE(revoked.past_leases) << "so each older one stays over";
}

TEST(PastLeasesTest, ALeaseThatWasSeenWasStamped) {
  Vm vm{.node = a, .lease = 7, .past_leases = PastLeases{}};
  vm.status.lease = 7;
  end_lease(vm);
  EXPECT_EQ(vm.past_leases, (PastLeases{.over = 7, .ended = {}}));
  vm.lease = 9;
  end_lease(vm);
  EXPECT_EQ(vm.past_leases, (PastLeases{.over = 7, .ended = {{a, 9}}}));
  EXPECT_EQ(nlohmann::json(vm).get<Vm>(), vm);
}

}  // namespace
}  // namespace bridgehead::model
