// High availability by REST: what is asked, who may answer, and what of it is a problem.
#include "control_api/testing/api_fixture.h"

namespace bridgehead::control_api::testing {
namespace {

using ::testing::HasSubstr;

class AvailabilityApiTest : public ApiFixture {
 protected:
  void SetUp() override {
    fill_cluster();
    availability.now.nodes = {{.node = node.id,
                               .stage = "a person is asked",
                               .text = "it isn't heard",
                               .silent_for = std::chrono::seconds(40),
                               .power_control = true,
                               .distrusted = true,
                               .question = "Is it off?"}};
    start_server();
  }
};

TEST_F(AvailabilityApiTest, AQuestionIsAProblemUntilItIsAnswered) {
  const auto status = get(path("/ha"));
  ASSERT_EQ(status.status, 200) << status.body;
  const auto asked = status.json()["nodes"].at(0);
  EXPECT_EQ(asked["node_name"], "node1");
  EXPECT_EQ(asked["question"], "Is it off?");
  EXPECT_EQ(asked["silent_seconds"], 40);
  EXPECT_THAT(get(path("/status")).body, HasSubstr("bh ha confirm-off node1"));
  EXPECT_THAT(get(path("/status")).body, HasSubstr("bh ha trust-power node1"));

  EXPECT_EQ(send({.method = "POST", .path = path("/nodes/node1/confirm-off"), .body = "{}", .token = viewer}).status,
            403);
  EXPECT_EQ(post(path("/nodes/nowhere/confirm-off"), {}).status, 404);
  const auto answered =
      send({.method = "POST", .path = path("/nodes/node1/confirm-off"), .body = "{}", .token = operator_});
  ASSERT_EQ(answered.status, 200) << answered.body;
  EXPECT_EQ(availability.confirmed_by, "worker");
  EXPECT_EQ(post(path("/nodes/node1/confirm-off"), {}).status, 409);
  EXPECT_EQ(get(path("/status")).body.find("confirm-off"), std::string::npos);
}

TEST_F(AvailabilityApiTest, OnlyAnAdministratorTrustsAPowerControlAgain) {
  EXPECT_EQ(send({.method = "POST", .path = path("/nodes/node1/bmc/trust"), .body = "{}", .token = operator_}).status,
            403);
  EXPECT_EQ(post(path("/nodes/node1/bmc/trust"), {}).status, 200);
  EXPECT_EQ(post(path("/ha/go-on"), {}).status, 409);
}

}  // namespace
}  // namespace bridgehead::control_api::testing
