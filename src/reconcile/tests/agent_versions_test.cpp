// Which version is older, and which work together.
#include "reconcile/agent_versions.h"

#include <gtest/gtest.h>

namespace bridgehead::reconcile {
namespace {

TEST(AgentVersions, AreComparedNumberByNumber) {
  EXPECT_TRUE(is_older("0.1.0", "0.2.0"));
  EXPECT_TRUE(is_older("0.9.0", "0.10.0"));
  EXPECT_TRUE(is_older("1.2", "1.2.1"));
  EXPECT_FALSE(is_older("0.2.0", "0.2.0"));
  EXPECT_FALSE(is_older("0.2.0-1", "0.2.0")) << "what comes after the numbers doesn't count";
  EXPECT_FALSE(is_older("2.0.0", "1.9.9"));
  EXPECT_FALSE(is_older("", "1.0.0")) << "nobody knows";
  EXPECT_FALSE(is_older("1.0.0", "devel"));
}

TEST(AgentVersions, OneApartWorkTogether) {
  EXPECT_TRUE(work_together("0.1.0", "0.1.7"));
  EXPECT_TRUE(work_together("0.2.5", "0.1.0"));
  EXPECT_FALSE(work_together("0.1.0", "0.3.0"));
  EXPECT_TRUE(work_together("1.7.0", "2.0.0"));
  EXPECT_FALSE(work_together("1.0.0", "3.0.0"));
  EXPECT_FALSE(work_together("", "0.1.0"));
}

}  // namespace
}  // namespace bridgehead::reconcile
