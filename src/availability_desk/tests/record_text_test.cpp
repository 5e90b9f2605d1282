#include "availability_desk/record_text.h"

#include <gtest/gtest.h>

namespace bridgehead::availability_desk {
namespace {

TEST(RecordText, ReadsWhatItWrote) {
  availability::AvailabilityRecord record;
  record.book.next = 12;
  auto& leases = record.book.guests[model::VmId("v")];
  leases.outstanding = {{.node = model::NodeId("n"),
                         .token = 9,
                         .after = 4,
                         .after_by_time = true,
                         .terms = availability::Terms::own,
                         .kind = availability::GrantKind::incoming,
                         .source = availability::Holder{model::NodeId("m"), 8},
                         .stamped = true,
                         .recalled = true,
                         .by_proof_only = true}};
  leases.over = 3;
  leases.by_time = model::NodeId("k");
  leases.ended = {{model::NodeId("m"), 5}};
  record.nodes[model::NodeId("n")] = {
      .fencing = true, .down = true, .distrusted = true, .finding = "it \"hangs\"", .claim = 5, .dead = true};
  record.guests[model::VmId("v")] = {.home = model::NodeId("n"), .deaths = 2, .given_up = true};
  const auto read = record_of(text_of(record));
  ASSERT_TRUE(read) << read.error().describe();
  EXPECT_EQ(*read, record);
  EXPECT_FALSE(record_of("{}"));
  EXPECT_FALSE(record_of("[1"));
}

}  // namespace
}  // namespace bridgehead::availability_desk
