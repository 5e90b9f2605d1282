#include "availability/lease_text.h"

#include <gtest/gtest.h>

namespace bridgehead::availability {
namespace {

TEST(LeaseText, ReadsWhatItWrote) {
  const model::VmId vm("web");
  const Holder other{model::NodeId("b"), 8};
  const Renewal renewal{.instance = 3,
                        .sequence = 4,
                        .heard = 2,
                        .watchdog = true,
                        .storage_well = false,
                        .claims = {5},
                        .held = {{.vm = vm,
                                  .token = 9,
                                  .terms = Terms::stop,
                                  .kind = GrantKind::incoming,
                                  .source = other,
                                  .stamped = true,
                                  .running = true}},
                        .released = {{.name = {vm, 7}, .stamped = true}},
                        .refused = {{.vm = vm, .token = 6, .found = {.holder = other, .source = other}}}};
  const auto again = renewal_from(text_of(renewal));
  ASSERT_TRUE(again) << again.error().describe();
  EXPECT_EQ(again->held, renewal.held);
  EXPECT_EQ(again->released, renewal.released);
  EXPECT_EQ(again->refused, renewal.refused);
  EXPECT_EQ(std::tuple(again->instance, again->sequence, again->heard, again->watchdog, again->storage_well),
            std::tuple(3U, 4U, 2U, true, false));
  EXPECT_EQ(again->claims, renewal.claims);
  BootRecord ends{{{GrantName{vm, 9}, BootTime(Span(1234))}}};
  EXPECT_EQ(*boot_record_from(text_of(ends, "boot"), "boot"), ends);
  EXPECT_TRUE(boot_record_from(text_of(ends, "boot"), "another")->ends.empty());
  EXPECT_FALSE(answer_from("[]"));
  EXPECT_FALSE(renewal_from(R"({"held":[{"vm":1}]})"));
}

}  // namespace
}  // namespace bridgehead::availability
