#include "power/redfish_driver.h"

#include "power/testing/driver_conformance.h"
#include "power/testing/redfish_simulator.h"

namespace bridgehead::power::testing {
namespace {

template <bool kBasic>
class RedfishRig final : public BmcRig {
 public:
  std::unique_ptr<PowerDriver> driver(const std::string& password) override {
    return std::make_unique<RedfishDriver>(RedfishConfig{.address = "127.0.0.1",
                                                         .port = simulator_.port(),
                                                         .user = "operator",
                                                         .password = password,
                                                         .pin = simulator_.pin(),
                                                         .basic_auth = kBasic});
  }
  bool is_on() override { return simulator_.is_on(); }
  void set_on(bool on) override { simulator_.set_on(on); }
  unsigned times_off() override { return simulator_.times_off(); }
  void set_trouble(Trouble trouble) override { simulator_.set_trouble(trouble); }

 private:
  RedfishSimulator simulator_;
};

INSTANTIATE_TEST_SUITE_P(RedfishBySession, DriverConformance, ::testing::Values(rig_of<RedfishRig<false>>()));
INSTANTIATE_TEST_SUITE_P(RedfishByUser, DriverConformance, ::testing::Values(rig_of<RedfishRig<true>>()));

RedfishConfig config_for(const RedfishSimulator& simulator) {
  return {.address = "127.0.0.1",
          .port = simulator.port(),
          .user = "operator",
          .password = kPassword,
          .pin = simulator.pin()};
}

TEST(Redfish, SendsThePasswordOnlyToWhoeverHasTheKey) {
  RedfishSimulator simulator;
  auto config = config_for(simulator);
  config.pin = RedfishSimulator().pin();
  RedfishDriver other(config);
  EXPECT_EQ(other.read({}).error().code, ErrorCode::unauthenticated);
  config.pin = "";
  RedfishDriver unknown(config);
  EXPECT_EQ(unknown.read({}).error().code, ErrorCode::unauthenticated) << "no CA vouches for it";
  config.ca = simulator.certificate_pem();
  RedfishDriver vouched(config);
  EXPECT_EQ(vouched.read({}).value(), PowerState::off);
  EXPECT_EQ(simulator.refused_logins(), 0U);
  PowerCheck check;
  other.inspect({}, check);
  ASSERT_FALSE(check.good());
  EXPECT_NE(check.findings.front().message.find(simulator.pin()), std::string::npos) << "to be compared and pinned";
}

TEST(Redfish, OpensOneSessionAndEndsIt) {
  RedfishSimulator simulator;
  {
    RedfishDriver driver(config_for(simulator));
    for (int i = 0; i < 3; ++i) EXPECT_TRUE(driver.read({}));
    EXPECT_EQ(simulator.open_sessions(), 1U);
    simulator.forget_sessions();
    EXPECT_TRUE(driver.read({})) << "opens another";
    EXPECT_EQ(simulator.open_sessions(), 1U);
  }
  EXPECT_EQ(simulator.open_sessions(), 0U);
}

TEST(Redfish, FindsTheSystemAmongSeveral) {
  RedfishSimulator simulator({.systems = {"left", "right"}});
  auto config = config_for(simulator);
  RedfishDriver unsure(config);
  const auto refused = unsure.read({});
  EXPECT_EQ(refused.error().code, ErrorCode::invalid_argument);
  EXPECT_NE(refused.error().hint.find("left, right"), std::string::npos) << refused.error().hint;
  for (const auto* name : {"left", "/redfish/v1/Systems/right", "uuid-of-right"}) {
    config.system = name;
    RedfishDriver sure(config);
    EXPECT_TRUE(sure.read({})) << name;
  }
  config.system = "middle";
  RedfishDriver wrong(config);
  EXPECT_FALSE(wrong.read({}));
}

TEST(Redfish, AsksForTheResetsThatAreAllowed) {
  for (const bool by_action_info : {false, true}) {
    RedfishSimulator simulator({.resets = {"ForceOn", "ForceOff"}, .resets_by_action_info = by_action_info});
    RedfishDriver driver(config_for(simulator));
    const auto on = driver.request(PowerRequest::on, {});
    EXPECT_TRUE(on) << on.error().describe();
    EXPECT_TRUE(simulator.is_on());
    EXPECT_TRUE(driver.request(PowerRequest::off, {}));
    EXPECT_FALSE(simulator.is_on());
    EXPECT_EQ(driver.request(PowerRequest::off, {}).error().code, ErrorCode::failed_precondition);
  }
  RedfishSimulator soft({.resets = {"On", "GracefulShutdown"}});
  soft.set_on(true);
  RedfishDriver driver(config_for(soft));
  EXPECT_EQ(driver.request(PowerRequest::off, {}).error().code, ErrorCode::unsupported);
  PowerCheck check;
  driver.inspect({}, check);
  EXPECT_FALSE(check.good());
  EXPECT_TRUE(soft.is_on());
}

TEST(Redfish, ReadsTheWattsOfTheSystemsChassis) {
  RedfishSimulator simulator;
  RedfishDriver driver(config_for(simulator));
  EXPECT_EQ(driver.watts({}).error().code, ErrorCode::unsupported) << "it has no chassis";
  simulator.answer_with("/redfish/v1/Systems/System.1",
                        R"({"PowerState": "On", "Links": {"Chassis": [{"@odata.id": "/redfish/v1/Chassis/1"}]}})");
  EXPECT_EQ(driver.watts({}).error().code, ErrorCode::unsupported) << "that measures nothing";
  const std::string power = "/redfish/v1/Chassis/1/Power";
  simulator.answer_with(power, R"({"PowerControl": [{"MemberId": "0", "PowerConsumedWatts": 344.5}]})");
  EXPECT_EQ(driver.watts({}).value(), 344.5);
  for (const auto* answer : {R"({"PowerControl": [{"PowerConsumedWatts": null}]})", R"({"PowerControl": []})",
                             R"({"PowerControl": [5]})", R"({"PowerControl": "none"})", "{}"}) {
    simulator.answer_with(power, answer);
    EXPECT_EQ(driver.watts({}).error().code, ErrorCode::unsupported) << answer;
  }
}

TEST(Redfish, SurvivesWhatABmcMaySay) {
  RedfishSimulator simulator;
  RedfishDriver driver(config_for(simulator));
  const std::string system = "/redfish/v1/Systems/System.1";
  const std::vector<std::string> answers{
      "",
      "[]",
      "no JSON",
      R"({"PowerState": 5})",
      R"({"PowerState": null, "Actions": []})",
      "\"On\"",
      std::string(2 << 20, ' '),
  };
  ASSERT_TRUE(driver.read({}));
  for (const auto& answer : answers) {
    simulator.answer_with(system, answer.empty() ? " " : answer);
    EXPECT_FALSE(driver.read({})) << answer.substr(0, 50);
    EXPECT_FALSE(driver.request(PowerRequest::off, {})) << answer.substr(0, 50);
  }
  simulator.answer_with(system, R"({"PowerState": "PoweringOff"})");
  EXPECT_EQ(driver.read({}).value(), PowerState::unknown);
  for (const auto* target : {"https://elsewhere/", "//elsewhere/x", "x", "/a b"}) {
    simulator.answer_with(
        system,
        fmt::format(R"({{"PowerState":"On","Actions":{{"#ComputerSystem.Reset":{{"target":"{}"}}}}}})", target));
    EXPECT_EQ(driver.request(PowerRequest::off, {}).error().code, ErrorCode::unsupported) << target;
  }
}

TEST(Redfish, SaysThatItHasNoSessions) {
  RedfishSimulator simulator({.has_sessions = false});
  auto config = config_for(simulator);
  EXPECT_FALSE(RedfishDriver(config).read({}));
  config.basic_auth = true;
  EXPECT_TRUE(RedfishDriver(config).read({}));
}

}  // namespace
}  // namespace bridgehead::power::testing
