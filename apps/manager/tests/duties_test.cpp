#include <gtest/gtest.h>

#include <atomic>
#include <latch>

#include "base/file.h"
#include "base/testing/manual_clock.h"
#include "manager/duties/reissue_certificate.h"
#include "manager/duties/trim_history.h"
#include "manager/periodic.h"
#include "pki/certificate.h"
#include "state/memory_store.h"

namespace bridgehead::manager {
namespace {

TEST(CertificateDuty, ReissuesOnlyNearTheEndAndTriesAgain) {
  const auto directory = TemporaryDirectory::create();
  ASSERT_TRUE(directory);
  testing::ManualClock clock;
  SystemRandom random;
  const auto authority = pki::CertificateAuthority::open(directory->path(), clock, random);
  ASSERT_TRUE(authority);
  const auto issue = [&] { return (*authority)->issue_server({"m"}, {}, server_certificate_validity); };
  int served = 0;
  bool works = false;
  std::string serving;
  CertificateDuty duty(clock, issue().value(), issue, [&](const pki::Identity& identity) -> Status {
    ++served;
    serving = identity.chain_pem;
    if (!works) return fail(ErrorCode::io_error, "not today");
    return {};
  });
  duty.run();
  EXPECT_EQ(served, 0);
  clock.advance(server_certificate_validity - reissue_before_end - std::chrono::hours(1));
  duty.run();
  EXPECT_EQ(served, 0);
  clock.advance(std::chrono::hours(2));
  duty.run();
  EXPECT_EQ(served, 1);
  works = true;
  duty.run();
  EXPECT_EQ(served, 2);
  EXPECT_GT(pki::certificate_expiry(serving).value() - clock.now(), std::chrono::days(390));
  duty.run();
  EXPECT_EQ(served, 2);
}

TEST(TrimHistory, KeepsTheNewest) {
  testing::ManualClock clock;
  SystemRandom random;
  const auto store = state::make_memory_store();
  const auto inventory = state::Inventory::open(*store, clock).value();
  for (int n = 0; n < 20; ++n) {
    auto edit = inventory->edit();
    model::Operation operation;
    operation.id = make_id<model::OperationId>(random);
    operation.state = model::OperationState::succeeded;
    operation.created = clock.now();
    operation.finished = clock.now();
    edit.create(operation);
    edit.event({.kind = "operation.finished", .object_kind = "operation", .object = operation.id.str()});
    ASSERT_TRUE(inventory->commit(std::move(edit)));
    clock.advance(std::chrono::seconds(1));
  }
  trim_history(*inventory, 5);
  EXPECT_EQ(inventory->all<model::Operation>().size(), 5U);
  EXPECT_EQ(store->list("event/").value().size(), 5U);
}

TEST(Periodic, RunsUntilItIsDestroyed) {
  std::latch three(3);
  std::atomic<int> runs = 0;
  {
    Periodic periodic(std::chrono::milliseconds(0), std::chrono::milliseconds(1), [&] {
      if (runs.fetch_add(1) < 3) three.count_down();
    });
    three.wait();
  }
  const int at_end = runs;
  EXPECT_GE(at_end, 3);
  EXPECT_EQ(runs, at_end);
  // One that waits long ends at once.
  Periodic patient(std::chrono::hours(1), std::chrono::hours(1), [] {});
}

}  // namespace
}  // namespace bridgehead::manager
