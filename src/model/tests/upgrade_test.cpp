// What manager and agent say to each other of an upgrade.
#include "model/upgrade.h"

#include <gtest/gtest.h>

namespace bridgehead::model {
namespace {

TEST(Upgrade, OrdersAndAnswersComeAcrossWhole) {
  const UpgradeOrder order{.operation = OperationId("7"),
                           .install = AgentPackage{.version = "0.2.0", .size = 5, .sha256 = "ab"},
                           .before = AgentPackage{.version = "0.1.0", .size = 4, .sha256 = "cd"}};
  EXPECT_EQ(upgrade_order_from(text_of(order)), order);
  const UpgradeOrder question{.operation = OperationId("7")};
  EXPECT_EQ(upgrade_order_from(text_of(question)), question);
  EXPECT_EQ(text_of(order).find('\n'), std::string::npos);
  for (const auto state : {UpgradeState::none, UpgradeState::installing, UpgradeState::done, UpgradeState::failed}) {
    const UpgradeAnswer answer{.state = state, .message = "it\nsays \"why\""};
    EXPECT_EQ(upgrade_answer_from(text_of(answer)), answer);
    EXPECT_EQ(text_of(answer).find('\n'), std::string::npos);
  }
}

TEST(Upgrade, WhatIsNoSuchWordIsRefused) {
  for (const char* text :
       {"", "{", "[1]", "3", R"({"operation": 5})", R"({"operation": "a", "install": {"size": "x"}})"}) {
    const auto read = upgrade_order_from(text);
    ASSERT_FALSE(read) << text;
    EXPECT_EQ(read.error().code, ErrorCode::data_corrupt);
  }
  EXPECT_FALSE(upgrade_answer_from("x"));
}

TEST(Upgrade, ANewerOnesWordsAreTakenAsFarAsTheyAreKnown) {
  EXPECT_EQ(upgrade_answer_from(R"({"state": "thinking", "more": 1})"), (UpgradeAnswer{}));
  EXPECT_EQ(upgrade_order_from(R"({"operation": "7", "more": [1]})"), (UpgradeOrder{.operation = OperationId("7")}));
}

}  // namespace
}  // namespace bridgehead::model
