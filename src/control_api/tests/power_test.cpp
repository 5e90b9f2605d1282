// The power of nodes' machines by REST: passwords go in and never come out, and what is refused.
#include "control_api/testing/api_fixture.h"

namespace bridgehead::control_api::testing {
namespace {

using ::testing::HasSubstr;

class PowerApiTest : public ApiFixture {
 protected:
  void SetUp() override {
    fill_cluster();
    start_server();
  }
  nlohmann::json bmc() const {
    return {{"driver", "ipmi"}, {"address", "10.0.0.7"}, {"user", "operator"}, {"password", "hush-hush"}};
  }
  HttpAnswer put(const nlohmann::json& body, const std::string& token = {}) {
    return send({.method = "PUT", .path = path("/nodes/node1/bmc"), .body = body.dump(), .token = token});
  }
};

TEST_F(PowerApiTest, APasswordIsSealedForItsNodeAndNeverComesBack) {
  EXPECT_EQ(put(bmc(), operator_).status, 403);
  const auto set = put(bmc());
  ASSERT_EQ(set.status, 200) << set.body;
  EXPECT_EQ(set.json()["bmc"]["password"], "(set)");
  const auto sealed = inventory->find<model::Bmc>(node.id)->value.password;
  EXPECT_EQ(secret_box->unseal(sealed, pki::record_label("bmc", node.id.str(), "password")).value(), "hush-hush");
  EXPECT_FALSE(secret_box->unseal(sealed, pki::record_label("bmc", "another", "password")));
  post(path("/nodes/node1/power"), {{"action", "on"}});
  for (const auto& answer : {set, get(path("/nodes/node1/bmc")), get(path("/nodes/node1/power")), get(path("/nodes")),
                             get(path("/nodes/node1/bmc/check")), get(path("/events")), get(path("/operations"))}) {
    ASSERT_EQ(answer.status, 200) << answer.body;
    EXPECT_EQ(answer.body.find("hush-hush"), std::string::npos) << answer.body;
    EXPECT_EQ(answer.body.find(sealed), std::string::npos) << answer.body;
  }
  for (const auto& entry : store->list("").value()) {
    EXPECT_EQ(entry.value.find("hush-hush"), std::string::npos) << entry.key;
  }
}

TEST_F(PowerApiTest, AKeptPasswordIsSentNowhereElse) {
  ASSERT_EQ(put(bmc()).status, 200);
  auto other = bmc();
  other.erase("password");
  other["options"] = {{"cipher", "3"}};
  EXPECT_EQ(put(other).status, 200) << "the same place, with another option";
  EXPECT_EQ(inventory->find<model::Bmc>(node.id)->value.options.at("cipher"), "3");
  other["address"] = "10.0.0.66";
  const auto refused = put(other);
  EXPECT_EQ(refused.status, 400);
  EXPECT_EQ(refused.json()["field"], "password");
  EXPECT_EQ(inventory->find<model::Bmc>(node.id)->value.address, "10.0.0.7");
}

TEST_F(PowerApiTest, AMachinesConsoleIsAWebSocketForOneAtATime) {
  EXPECT_EQ(get(path("/nodes/node1/console")).status, 426);
  EXPECT_THAT(RawClient(server->port()).upgrade(path("/nodes/node1/console"), viewer), HasSubstr("403"));
  RawClient client(server->port());
  ASSERT_THAT(client.upgrade(path("/nodes/node1/console"), operator_), HasSubstr("101"));
  client.send_frame(2, "root\r");
  EXPECT_EQ(client.read_frame().payload, "root\r");
  EXPECT_THAT(RawClient(server->port()).upgrade(path("/nodes/node1/console"), operator_), HasSubstr("409"));
  RawClient second(server->port());
  ASSERT_THAT(second.upgrade(path("/nodes/node1/console?take_over=true"), operator_), HasSubstr("101"));
  EXPECT_EQ(client.read_frame().payload.substr(0, 2), std::string("\x0f\xa0", 2)) << "4000";
  power.consoles.end_all();
  EXPECT_EQ(second.read_frame().payload.substr(0, 2), std::string("\x03\xe8", 2)) << "1000";

  // A page is told no more than that an answer wasn't a WebSocket.
  power.consoles.set_script({.at_once = Error{ErrorCode::unavailable, "nobody answers IPMI at 10.0.0.7", ""}});
  RawClient third(server->port());
  ASSERT_THAT(third.upgrade(path("/nodes/node1/console"), operator_), HasSubstr("101"));
  EXPECT_THAT(third.read_frame().payload, HasSubstr("nobody answers IPMI"));
}

TEST_F(PowerApiTest, WhatTheDriverRefusesIsNotKept) {
  auto wrong = bmc();
  wrong["driver"] = "carrier-pigeon";
  EXPECT_EQ(put(wrong).status, 400);
  EXPECT_FALSE(inventory->find<model::Bmc>(node.id));
  EXPECT_EQ(get(path("/nodes/node1")).json()["bmc"], nlohmann::json());
}

TEST_F(PowerApiTest, WhatABmcSaysIsToldWithItsErrors) {
  ASSERT_EQ(put(bmc()).status, 200);
  const auto state = get(path("/nodes/node1/power")).json();
  EXPECT_EQ(state["state"], "on");
  EXPECT_EQ(state["last_change"]["time"], "");
  EXPECT_EQ(send({.method = "GET", .path = path("/nodes/node1/power"), .token = viewer}).status, 403);
  power.reading = fail(ErrorCode::timeout, "the BMC at 10.0.0.7 didn't answer within 10000 ms");
  const auto silent = get(path("/nodes/node1/power"));
  EXPECT_EQ(silent.status, 504);
  EXPECT_THAT(silent.body, HasSubstr("didn't answer"));
}

TEST_F(PowerApiTest, APersonIsAskedWhereNothingIsProven) {
  ASSERT_EQ(put(bmc()).status, 200);
  const auto problems_with = [&](model::MachinePower state, std::chrono::minutes ago = {}) {
    const auto record = inventory->find<model::Bmc>(node.id);
    auto known = record->value;
    known.power = {.state = state, .time = clock.now() - ago};
    commit([&](state::Edit& edit) { edit.update(record, known); });
    return get(path("/status")).json()["problems"].dump();
  };
  inventory->note_node_state(node.id, model::NodeState::unreachable, "");
  EXPECT_THAT(problems_with(model::MachinePower::unknown), HasSubstr("may be on or off"));
  EXPECT_THAT(problems_with(model::MachinePower::on, std::chrono::minutes(16)), HasSubstr("no connection"));
  EXPECT_THAT(problems_with(model::MachinePower::off), ::testing::Not(HasSubstr("node1"))) << "as somebody wanted it";
}

TEST_F(PowerApiTest, ThePlugIsntPulledUnderGuests) {
  ASSERT_EQ(put(bmc()).status, 200);
  make_vm("web", true);
  const auto refused = post(path("/nodes/node1/power"), {{"action", "cycle"}});
  EXPECT_EQ(refused.status, 409);
  EXPECT_THAT(refused.body, HasSubstr("web"));
  EXPECT_EQ(post(path("/nodes/node1/power"), {{"action", "sleep"}, {"force", true}}).status, 400);
  const auto forced = post(path("/nodes/node1/power"), {{"action", "cycle"}, {"force", true}});
  ASSERT_EQ(forced.status, 202) << forced.body;
  EXPECT_EQ(forced.json()["operation"]["kind"], "node.power");
  EXPECT_EQ(post(path("/nodes/node1/power"), {{"action", "on"}}).status, 409) << "one after the other";
  EXPECT_EQ(put(bmc()).status, 409);
}

}  // namespace
}  // namespace bridgehead::control_api::testing
