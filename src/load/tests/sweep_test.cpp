#include "load/sweep.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <mutex>
#include <set>

#include "base/testing/manual_clock.h"

namespace bridgehead::load {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class SweepTest : public ::testing::Test {
 protected:
  SweepTest() {
    plan_.name = "b1";
    plan_.pools = {{{.name = "nfs1", .driver = "nfs"}, "/mnt/nfs"}, {{.name = "fast"}, "/mnt/fast"}};
    plan_.nodes = {"h1", "h2", "h3"};
    plan_.counts = {1, 2, 3};
    plan_.workloads = {"image-write", "image-read"};
    plan_.size = {4_MiB, std::chrono::seconds(5)};
    plan_.repetitions = 2;
  }
  Result<bench::Record> run(std::stop_token stop = {}, const BeforeRun& before = {}) {
    return carry_out(
        plan_,
        [this](const std::string& node, const ClientOrder& order, const std::stop_token&) -> Result<ClientAnswer> {
          const std::lock_guard lock(mutex_);
          asked_.emplace_back(node, order);
          if (fails_ && fails_(node, order)) return fail(code_, "the link broke");
          ClientAnswer answer{.facts = {.name = node, .kernel = "6.1"}, .fio = "fio-3.33"};
          if (order.action == ClientOrder::Action::run) {
            answer.part = {.node = node, .bytes = 4 << 20, .operations = 4, .seconds = 1};
            if (node == "h3") answer.part.began = apart_;
          }
          return answer;
        },
        clock_, [this](std::size_t done, std::size_t all, const bench::Record&) { steps_.emplace_back(done, all); },
        std::move(stop), before);
  }
  std::size_t count(ClientOrder::Action action) const {
    return static_cast<std::size_t>(
        std::count_if(asked_.begin(), asked_.end(), [&](const auto& one) { return one.second.action == action; }));
  }

  bridgehead::testing::ManualClock clock_;
  Plan plan_;
  std::mutex mutex_;
  std::vector<std::pair<std::string, ClientOrder>> asked_;
  std::vector<std::pair<std::size_t, std::size_t>> steps_;
  std::function<bool(const std::string&, const ClientOrder&)> fails_;
  ErrorCode code_ = ErrorCode::io_error;
  double apart_ = 0;  // h3, from the others
};

TEST_F(SweepTest, MeasuresEveryCombinationOnceAndCleansUp) {
  const auto record = run();
  ASSERT_TRUE(record) << record.error().message;
  EXPECT_EQ(record->runs.size(), 2U * 3 * 2 * 2);
  std::set<std::tuple<std::string, std::string, unsigned, unsigned>> seen;
  for (const auto& run : record->runs) {
    seen.emplace(run.pool, run.workload, run.nodes, run.repetition);
    EXPECT_TRUE(run.complete());
    EXPECT_EQ(run.parts.size(), run.nodes);
  }
  EXPECT_EQ(seen.size(), record->runs.size());
  EXPECT_EQ(count(ClientOrder::Action::clean), 2U * 3);
  EXPECT_EQ(asked_.back().second.action, ClientOrder::Action::clean);
  EXPECT_EQ(asked_.back().second.directory, "/mnt/fast/bridgehead-bench-b1");
  EXPECT_EQ(steps_.back(), std::pair(record->runs.size(), record->runs.size()));
  EXPECT_TRUE(bench::read_record(bench::write_record(*record)));
  ASSERT_EQ(record->nodes.size(), 3U);
  EXPECT_EQ(record->nodes[2].name, "h3");
}

TEST_F(SweepTest, AllOfARunBeginAtOneMomentAndReadWhatAnotherWrote) {
  ASSERT_TRUE(run());
  for (const auto& [node, order] : asked_) {
    if (order.action != ClientOrder::Action::run) continue;
    EXPECT_NE(order.other, node);
    EXPECT_EQ(order.at, clock_.now() + plan_.least_lead);
  }
}

TEST_F(SweepTest, TheOrderIsBySeed) {
  const auto order = [&](std::uint64_t seed) {
    plan_.seed = seed;
    std::string text;
    const auto record = run();
    for (const auto& run : record->runs) text += fmt::format("{}{}{} ", run.pool, run.nodes, run.repetition);
    return text;
  };
  const auto first = order(1);
  EXPECT_EQ(order(1), first);
  EXPECT_NE(order(2), first);
}

TEST_F(SweepTest, ANodeThatIsLostOnceIsInTheRecord) {
  bool lost = false;
  fails_ = [&](const std::string& node, const ClientOrder& order) {
    // Its file is there by then.
    const bool now = !lost && node == "h2" && order.workload == "image-read";
    lost = lost || now;
    return now && order.action == ClientOrder::Action::run;
  };
  const auto record = run();
  ASSERT_TRUE(record) << record.error().message;
  EXPECT_EQ(std::count_if(record->runs.begin(), record->runs.end(), [](const auto& run) { return !run.complete(); }),
            1);
}

TEST_F(SweepTest, AfterThreeInARowItEndsAndCleansUp) {
  fails_ = [&](const std::string&, const ClientOrder& order) {
    return order.action == ClientOrder::Action::run && steps_.size() >= 4;
  };
  const auto record = run();
  ASSERT_FALSE(record);
  EXPECT_THAT(record.error().message, HasSubstr("3 runs in a row"));
  EXPECT_THAT(record.error().message, HasSubstr("the link broke"));
  EXPECT_EQ(count(ClientOrder::Action::clean), 2U * 3);
}

TEST_F(SweepTest, ACancelledOneCleansUp) {
  std::stop_source stop;
  fails_ = [&](const std::string&, const ClientOrder&) {
    if (steps_.size() == 3) stop.request_stop();
    return false;
  };
  const auto record = run(stop.get_token());
  ASSERT_FALSE(record);
  EXPECT_EQ(record.error().code, ErrorCode::cancelled);
  EXPECT_EQ(count(ClientOrder::Action::clean), 2U * 3);
}

TEST_F(SweepTest, ANodeThatCantBeginEndsItBeforeAnythingIsMeasured) {
  fails_ = [](const std::string& node, const ClientOrder& order) {
    return node == "h3" && order.action == ClientOrder::Action::facts;
  };
  EXPECT_THAT(run().error().message, HasSubstr("h3: the link broke"));
  fails_ = [](const std::string& node, const ClientOrder& order) {
    return node != "h1" && order.action == ClientOrder::Action::facts;
  };
  EXPECT_THAT(run().error().message, HasSubstr("h2: the link broke; h3: the link broke"));
  fails_ = [](const std::string& node, const ClientOrder& order) {
    return node == "h3" && order.action == ClientOrder::Action::run;
  };
  EXPECT_THAT(run().error().message, HasSubstr("h3 on nfs1: the link broke"));
  EXPECT_TRUE(steps_.empty());
}

TEST_F(SweepTest, ItEndsAtOnceWhereGuestsSuffer) {
  fails_ = [&](const std::string& node, const ClientOrder& order) {
    return node == "h2" && order.action == ClientOrder::Action::run && !steps_.empty();
  };
  code_ = ErrorCode::resource_exhausted;
  const auto record = run();
  ASSERT_FALSE(record);
  EXPECT_EQ(record.error().code, ErrorCode::resource_exhausted);
  EXPECT_THAT(record.error().message, HasSubstr("h2: the link broke"));
}

TEST_F(SweepTest, WhereClientsBeginLateTheNextOnesGetMoreTime) {
  apart_ = 0.2;
  ASSERT_TRUE(run());
  auto latest = clock_.now();
  for (const auto& [node, order] : asked_) {
    if (order.action == ClientOrder::Action::run) latest = std::max(latest, order.at);
  }
  EXPECT_EQ(latest, clock_.now() + std::chrono::seconds(8)) << "but not without end";
}

TEST_F(SweepTest, ItTellsWhatItDoes) {
  std::vector<std::string> told;
  ASSERT_TRUE(run({}, [&](const std::string& what, std::size_t, std::size_t) { told.push_back(what); }));
  EXPECT_EQ(told.size(), 2 + runs_of(plan_));
  EXPECT_EQ(told.front(), "first files on nfs1");
}

TEST_F(SweepTest, PlansThatCantBeAreRefusedBeforeAnybodyIsAsked) {
  const auto refused = [&](auto change) {
    const auto before = plan_;
    change(plan_);
    const auto record = run();
    plan_ = before;
    return !record && record.error().code == ErrorCode::invalid_argument && asked_.empty();
  };
  EXPECT_TRUE(refused([](Plan& plan) { plan.counts = {4}; }));
  EXPECT_TRUE(refused([](Plan& plan) { plan.nodes = {"h1", "h1"}; }));
  EXPECT_TRUE(refused([](Plan& plan) { plan.pools[1].facts.name = "nfs1"; }));
  EXPECT_TRUE(refused([](Plan& plan) { plan.pools[1].path = "mnt"; }));
  EXPECT_TRUE(refused([](Plan& plan) { plan.workloads = {"x"}; }));
  EXPECT_TRUE(refused([](Plan& plan) { plan.repetitions = 0; }));
}

TEST(Counts, AreReadAsRanges) {
  EXPECT_THAT(*parse_counts("1-3,5", 8), ElementsAre(1, 2, 3, 5));
  EXPECT_THAT(*parse_counts("2,2,1", 8), ElementsAre(1, 2));
  for (const char* wrong : {"", "0", "3-1", "1-9", "a", "1,", "-2", "1--2"})
    EXPECT_FALSE(parse_counts(wrong, 8)) << wrong;
}

}  // namespace
}  // namespace bridgehead::load
