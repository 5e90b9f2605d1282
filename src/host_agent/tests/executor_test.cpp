#include "host_agent/executor.h"

#include <gtest/gtest.h>

#include <future>
#include <set>

#include "base/testing/manual_clock.h"
#include "host_agent/testing/node_fixture.h"

namespace bridgehead::host_agent::testing {
namespace {

// Work that stands still until a test lets it go on.
class ExecutorTest : public ::testing::Test {
 protected:
  std::unique_ptr<Executor> executor() {
    return std::make_unique<Executor>(
        *journal_, clock_, [this](const model::Assignment& work, const Task& task) { return run(work, task); },
        [this](const AssignmentReport& report) {
          const std::lock_guard lock(mutex_);
          reports_.push_back(report);
        },
        [](const model::VmId&) {}, ExecutorOptions{.workers = 4, .import_workers = 1});
  }
  Outcome run(const model::Assignment& work, const Task& task) {
    std::unique_lock lock(mutex_);
    started_.push_back(work.operation);
    resumed_ = task.resumed;
    changed_.notify_all();
    progress_ = task.progress;
    changed_.wait(lock, task.stop, [&] { return go_on_.contains(work.operation); });
    return task.stop.stop_requested() ? failed(cancelled_error()) : Outcome{};
  }
  model::Assignment reboot(const model::VmId& vm) {
    return {.operation = make_id<model::OperationId>(random_), .body = model::RebootVm{.vm = vm}};
  }
  model::VmId vm() { return make_id<model::VmId>(random_); }
  void let_go_on(const model::Assignment& work) {
    const std::lock_guard lock(mutex_);
    go_on_.insert(work.operation);
    changed_.notify_all();
  }
  bool wait_started(std::size_t count) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(20), [&] { return started_.size() >= count; });
  }
  bool ended(const model::Assignment& work, AssignmentState state) {
    return eventually([&] {
      const std::lock_guard lock(mutex_);
      return std::any_of(reports_.begin(), reports_.end(), [&](const auto& report) {
        return report.operation == work.operation && report.state == state;
      });
    });
  }
  std::size_t report_count() {
    const std::lock_guard lock(mutex_);
    return reports_.size();
  }

  SeededRandom random_{3};
  bridgehead::testing::ManualClock clock_;
  std::unique_ptr<state::StateStore> store_ = state::make_memory_store();
  std::unique_ptr<Journal> journal_ = std::move(*Journal::open(*store_));
  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::vector<model::OperationId> started_;
  std::set<model::OperationId> go_on_;
  std::vector<AssignmentReport> reports_;
  ProgressSink progress_;
  bool resumed_ = false;
};

TEST_F(ExecutorTest, OneGuestOneAtATimeInOrderOthersBesideIt) {
  const auto executor = this->executor();
  const auto a = vm();
  const auto first = reboot(a);
  const auto second = reboot(a);
  const auto other = reboot(vm());
  executor->assign(first);
  executor->assign(second);
  executor->assign(other);
  ASSERT_TRUE(wait_started(2));
  EXPECT_EQ((std::set<model::OperationId>{started_[0], started_[1]}),
            (std::set<model::OperationId>{first.operation, other.operation}));
  let_go_on(other);
  ASSERT_TRUE(ended(other, AssignmentState::succeeded));
  EXPECT_EQ(started_.size(), 2U);
  let_go_on(first);
  ASSERT_TRUE(wait_started(3));
  EXPECT_EQ(started_[2], second.operation);
  let_go_on(second);
  EXPECT_TRUE(ended(second, AssignmentState::succeeded));
}

TEST_F(ExecutorTest, ADuplicateIsAnsweredAndNotDoneAgain) {
  const auto executor = this->executor();
  const auto work = reboot(vm());
  executor->assign(work);
  ASSERT_TRUE(wait_started(1));
  executor->assign(work);
  EXPECT_TRUE(ended(work, AssignmentState::running));
  let_go_on(work);
  ASSERT_TRUE(ended(work, AssignmentState::succeeded));
  const auto before = report_count();
  executor->assign(work);
  ASSERT_TRUE(eventually([&] { return report_count() == before + 1; }));
  EXPECT_EQ(reports_.back().state, AssignmentState::succeeded);
  EXPECT_EQ(started_.size(), 1U);
  ASSERT_EQ(executor->reports().size(), 1U);
  executor->acknowledge(work.operation);
  EXPECT_TRUE(executor->reports().empty());
}

TEST_F(ExecutorTest, CancelOfRunningWaitingAndUnknownWork) {
  const auto executor = this->executor();
  const auto a = vm();
  const auto running = reboot(a);
  const auto waiting = reboot(a);
  const auto unknown = reboot(a);
  executor->assign(running);
  executor->assign(waiting);
  ASSERT_TRUE(wait_started(1));
  executor->cancel(waiting.operation);
  executor->cancel(unknown.operation);
  EXPECT_TRUE(ended(unknown, AssignmentState::cancelled));
  executor->cancel(running.operation);
  EXPECT_TRUE(ended(running, AssignmentState::cancelled));
  EXPECT_TRUE(ended(waiting, AssignmentState::cancelled));
}

TEST_F(ExecutorTest, ProgressIsThinnedOut) {
  const auto executor = this->executor();
  const auto work = reboot(vm());
  executor->assign(work);
  ASSERT_TRUE(wait_started(1));
  for (std::uint64_t i = 0; i < 1000; ++i) {
    progress_({.phase = "copy", .done = i, .total = 1000});
    clock_.advance(std::chrono::milliseconds(1));
  }
  EXPECT_EQ(report_count(), 5U);  // 1000 reports in one second
  progress_({.phase = "verify"});
  EXPECT_EQ(report_count(), 6U);  // a new phase is told at once
  EXPECT_EQ(executor->reports().at(0).progress.phase, "verify");
  let_go_on(work);
  ASSERT_TRUE(ended(work, AssignmentState::succeeded));
  progress_({.phase = "late"});  // from a call that was given up on
  EXPECT_EQ(reports_.back().state, AssignmentState::succeeded);
}

TEST_F(ExecutorTest, StoppingIsNoEndAndTheNextRunTakesItUp) {
  const auto work = reboot(vm());
  {
    const auto executor = this->executor();
    executor->assign(work);
    ASSERT_TRUE(wait_started(1));
    EXPECT_FALSE(resumed_);
    executor->stop();
    EXPECT_TRUE(journal_->is_unfinished(work.operation));
  }
  journal_ = std::move(*Journal::open(*store_));
  const auto executor = this->executor();
  executor->recover();
  let_go_on(work);
  EXPECT_TRUE(ended(work, AssignmentState::succeeded));
  EXPECT_TRUE(resumed_);
}

TEST_F(ExecutorTest, AGuestThatWaitsForTheManagerIsNotStartedByTheJournal) {
  model::EnsureVm ensure;
  ensure.vm.id = vm();
  ensure.vm.spec.ha = model::HaMode::restart;
  const model::Assignment work{.operation = make_id<model::OperationId>(random_), .body = ensure};
  ensure.vm.id = vm();
  const model::Assignment unwanted{.operation = make_id<model::OperationId>(random_), .body = ensure};
  ensure.vm.id = vm();
  ensure.vm.spec.ha = model::HaMode::none;
  const model::Assignment other{.operation = make_id<model::OperationId>(random_), .body = ensure};
  for (const auto& one : {work, unwanted, other}) ASSERT_TRUE(journal_->receive(one));
  const auto executor = this->executor();
  executor->recover();
  let_go_on(other);
  ASSERT_TRUE(ended(other, AssignmentState::succeeded));
  EXPECT_EQ(started_.size(), 1U);
  EXPECT_EQ(executor->reports().size(), 3U);  // the manager hears of all
  let_go_on(work);
  executor->assign(work);
  EXPECT_TRUE(ended(work, AssignmentState::succeeded));
  EXPECT_TRUE(resumed_);
  executor->cancel(unwanted.operation);
  EXPECT_TRUE(ended(unwanted, AssignmentState::cancelled));
}

TEST_F(ExecutorTest, AJournalThatCannotBeWrittenRefusesTheWork) {
  class FullStore final : public state::StateStore {
   public:
    Result<state::Entry> get(std::string_view) const override { return fail(ErrorCode::not_found, "none"); }
    Result<std::vector<state::Entry>> list(std::string_view, std::size_t) const override {
      return std::vector<state::Entry>{};
    }
    Result<state::Revision> commit(const state::Transaction&) override {
      return fail(ErrorCode::resource_exhausted, "no space left on device");
    }
    state::Revision revision() const override { return 0; }
    std::unique_ptr<Watch> watch(state::Watcher) override { return nullptr; }
  } full;
  journal_ = std::move(*Journal::open(full));
  const auto executor = this->executor();
  const auto work = reboot(vm());
  executor->assign(work);
  ASSERT_TRUE(ended(work, AssignmentState::failed));
  EXPECT_EQ(reports_[0].error->code, ErrorCode::resource_exhausted);
  EXPECT_TRUE(started_.empty());
}

TEST(Pools, AHungPoolIsGivenUpOnAndOthersGoOn) {
  // A pool whose calls hang until the test ends.
  struct Gate {
    std::mutex mutex;
    std::condition_variable changed;
    bool open = false;
    void wait() {
      std::unique_lock lock(mutex);
      changed.wait(lock, [this] { return open; });
    }
  };
  const auto gate = std::make_shared<Gate>();
  class HungPool final : public FakePool {
   public:
    HungPool(const model::Pool& pool, std::shared_ptr<Gate> held) : FakePool(pool), gate_(std::move(held)) {}
    model::PoolOnNode attach() override {
      gate_->wait();
      return FakePool::attach();
    }

   private:
    std::shared_ptr<Gate> gate_;
  };
  SeededRandom random(5);
  const model::Pool hung{.id = make_id<model::PoolId>(random), .name = "hung", .path = "/hung"};
  const model::Pool fine{.id = make_id<model::PoolId>(random), .name = "fine", .path = "/fine"};
  PoolRegistry pools(
      [&](const model::Pool& pool) -> Result<std::unique_ptr<storage::ImagePool>> {
        if (pool.id == hung.id) return std::make_unique<HungPool>(pool, gate);
        return std::make_unique<FakePool>(pool);
      },
      [](const model::OperationId&) { return false; }, {.attach = std::chrono::milliseconds(50)});
  const auto refused = pools.ensure(hung);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::timeout);
  EXPECT_EQ(refused.error().message, "pool hung does not answer");
  EXPECT_TRUE(pools.ensure(fine));
  pools.mend();
  pools.measure();
  EXPECT_FALSE(pools.statuses().at(hung.id).ready);
  EXPECT_NE(pools.statuses().at(hung.id).message, "");
  EXPECT_TRUE(pools.statuses().at(fine.id).ready);
  {
    const std::lock_guard lock(gate->mutex);
    gate->open = true;
    gate->changed.notify_all();
  }
  EXPECT_TRUE(eventually([&] {
    pools.mend();
    pools.measure();
    return pools.statuses().at(hung.id).ready;
  }));
}

// A long import is no call that hangs.
TEST(Pools, ABrokenPoolIsMendedWhileAnImportRunsInIt) {
  SeededRandom random(5);
  const model::Pool record{.id = make_id<model::PoolId>(random), .name = "busy", .path = "/busy"};
  FakePool* pool = nullptr;
  PoolRegistry pools(
      [&](const model::Pool& opened) -> Result<std::unique_ptr<storage::ImagePool>> {
        auto made = std::make_unique<FakePool>(opened);
        pool = made.get();
        return made;
      },
      [](const model::OperationId&) { return false; });
  const auto handle = pools.ensure(record);
  ASSERT_TRUE(handle);
  pool->hold_imports(true);
  const model::Image image{.id = make_id<model::ImageId>(random), .name = "a"};
  auto import = handle->begin<storage::StoredImage>([image](storage::ImagePool& images) {
    return images.import_golden({.operation = model::OperationId("o"), .image = image}, {}, {});
  });
  ASSERT_TRUE(pool->detach());  // it is lost
  pools.measure();
  ASSERT_FALSE(pools.statuses().at(record.id).ready);
  pools.mend();
  EXPECT_TRUE(pools.statuses().at(record.id).ready);
  pool->hold_imports(false);
  EXPECT_TRUE(import.wait(std::chrono::seconds(20)));
}

TEST(DeadlineCall, TooManyHangingCallsAreRefusedAtOnce) {
  const auto limit = std::make_shared<CallLimit>(2);
  std::promise<void> release;
  const auto released = release.get_future().share();
  std::vector<PendingCall<int>> calls;
  for (int i = 0; i < 3; ++i) {
    calls.emplace_back(limit, "pool x", [released]() -> Result<int> {
      released.wait();
      return 7;
    });
  }
  const auto third = calls[2].wait(std::chrono::milliseconds(0));
  ASSERT_FALSE(third);
  EXPECT_EQ(third.error().code, ErrorCode::unavailable);
  release.set_value();
  EXPECT_EQ(calls[0].wait(std::chrono::seconds(20)), 7);
  EXPECT_EQ(calls[1].wait(std::chrono::seconds(20)), 7);
  EXPECT_EQ(limit->open(), 0);
}

}  // namespace
}  // namespace bridgehead::host_agent::testing
