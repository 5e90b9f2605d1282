// Drivers that run programs, with the real ipmitool and ipmi_sim, real fence agents, and scripts that misbehave.
#include "power/fence_agent_driver.h"
#include "power/lab_driver.h"
#include "power/power_settings.h"
#include "power/testing/driver_conformance.h"
#include "power/testing/ipmi_rig.h"
#include "power/testing/redfish_simulator.h"

namespace bridgehead::power::testing {
namespace {

INSTANTIATE_TEST_SUITE_P(Ipmi, DriverConformance, ::testing::Values(rig_of<IpmiRig>()));

// An agent of our own, since Debian's can't be told to misbehave.
class FenceAgentRig final : public BmcRig {
 public:
  FenceAgentRig() {
    agent_ = machine_.write_script(
        "fence_rig",
        fmt::format(
            "if [ \"$1 $2\" = '-o metadata' ]; then cat <<'END'\n"
            "<resource-agent name=\"fence_rig\" shortdesc=\"A test's power strip\"><parameters>"
            "<parameter name=\"ip\" required=\"1\"/><parameter name=\"password\"/></parameters>"
            "<actions><action name=\"on\"/><action name=\"off\"/><action name=\"status\"/></actions>"
            "</resource-agent>\nEND\nexit 0; fi\n"
            "while read -r line; do case $line in action=*) action=${{line#*=}} ;; password={}) known=1 ;; esac; done\n"
            "[ \"$known\" ] || {{ echo 'ERROR: Unable to connect/login to fencing device' >&2; exit 1; }}\n"
            "case $action in status) [ $(get) = on ] && exit 0; exit 2 ;; on|off) switch $action ;; esac\n",
            kPassword));
  }
  std::unique_ptr<PowerDriver> driver(const std::string& password) override {
    // Opened while nothing is wrong: what is tried is how it behaves afterwards.
    machine_.set_trouble(Trouble::none);
    auto opened =
        FenceAgentDriver::open({.program = agent_, .parameters = {{"ip", "strip"}}, .password = password}, runner_);
    machine_.set_trouble(trouble_);
    require(opened.has_value(), "the rig's agent can't be opened");
    return std::move(*opened);
  }
  bool is_on() override { return machine_.is_on(); }
  void set_on(bool on) override { machine_.set_on(on); }
  unsigned times_off() override { return machine_.times_off(); }
  void set_trouble(Trouble trouble) override { machine_.set_trouble(trouble_ = trouble); }

 private:
  MachineFiles machine_;
  Trouble trouble_ = Trouble::none;
  std::filesystem::path agent_;
  SystemCommandRunner runner_;
};
INSTANTIATE_TEST_SUITE_P(FenceAgent, DriverConformance, ::testing::Values(rig_of<FenceAgentRig>()));

class LabRig final : public BmcRig {
 public:
  LabRig() {
    program_ = machine_.write_script("bridgehead-lab",
                                     "[ \"$1 $2 $3 $4\" = '--name rack power node1' ] || exit 2\n"
                                     "case $5 in status) get ;; on|off) switch $5 ;; esac\n");
  }
  std::unique_ptr<PowerDriver> driver(const std::string&) override {
    return std::make_unique<LabDriver>(LabConfig{.program = program_, .lab = "rack", .machine = "node1"}, runner_);
  }
  bool is_on() override { return machine_.is_on(); }
  void set_on(bool on) override { machine_.set_on(on); }
  unsigned times_off() override { return machine_.times_off(); }
  void set_trouble(Trouble trouble) override { machine_.set_trouble(trouble); }
  bool checks_password() const override { return false; }

 private:
  MachineFiles machine_;
  std::filesystem::path program_;
  SystemCommandRunner runner_;
};
INSTANTIATE_TEST_SUITE_P(Lab, DriverConformance, ::testing::Values(rig_of<LabRig>()));

TEST(Ipmi, SaysWhyItFails) {
  IpmiRig rig;
  const auto code = [&](const std::string& user, const std::string& password, const std::string& cipher,
                        const std::string& privilege) {
    const auto asked = rig.driver_for(user, password, cipher, privilege)
                           ->request(PowerRequest::on, {.timeout = std::chrono::seconds(20)});
    return asked ? ErrorCode::internal : asked.error().code;
  };
  EXPECT_EQ(code("operator", "wrong", "3", "OPERATOR"), ErrorCode::unauthenticated);
  EXPECT_EQ(code("nobody", kPassword, "3", "OPERATOR"), ErrorCode::unauthenticated);
  EXPECT_EQ(code("operator", kPassword, "17", "OPERATOR"), ErrorCode::unsupported) << "ipmi_sim doesn't have it";
  EXPECT_EQ(code("looker", kPassword, "3", "USER"), ErrorCode::permission_denied);
  EXPECT_FALSE(rig.is_on());
  EXPECT_EQ(code("operator", kPassword, "3", "OPERATOR"), ErrorCode::internal) << "it works";
  EXPECT_TRUE(rig.is_on());
}

TEST(Ipmi, ChecksThePrivilege) {
  IpmiRig rig;
  SystemClock clock;
  for (const auto* privilege : {"OPERATOR", "USER"}) {
    VerifiedPower power("machine", rig.driver_for("operator", kPassword, "3", privilege), clock);
    const auto check = power.check({.deadline = std::chrono::minutes(4), .attempt = std::chrono::minutes(1)});
    EXPECT_EQ(check.good(), std::string_view(privilege) == "OPERATOR");
    const auto found = std::find_if(check.findings.begin(), check.findings.end(),
                                    [](const Finding& finding) { return finding.subject == "privilege"; });
    ASSERT_NE(found, check.findings.end());
    EXPECT_NE(found->message.find(privilege), std::string::npos) << found->message;
  }
}

TEST(DebiansFenceAgents, FenceDummyIsSwitched) {
  MachineFiles machine;
  SystemCommandRunner runner;
  SystemClock clock;
  auto opened =
      open_driver({.driver = "fence_dummy", .options = {{"status_file", (machine.path() / "power").native()}}}, "",
                  {.runner = runner});
  ASSERT_TRUE(opened) << opened.error().describe();
  VerifiedPower power("machine", std::move(*opened), clock);
  const auto on = power.on({});
  ASSERT_TRUE(on) << on.error().describe();
  EXPECT_TRUE(machine.is_on());
  ASSERT_TRUE(power.off({}));
  EXPECT_FALSE(machine.is_on());
}

TEST(DebiansFenceAgents, FenceRedfishIsSwitched) {
  RedfishSimulator simulator;
  SystemCommandRunner runner;
  SystemClock clock;
  auto opened = open_driver({.driver = "fence_redfish",
                             .address = "127.0.0.1",
                             .port = simulator.port(),
                             .user = "operator",
                             .options = {{"ssl_insecure", "1"}, {"redfish_uri", "/redfish/v1/"}}},
                            kPassword, {.runner = runner});
  ASSERT_TRUE(opened) << opened.error().describe();
  VerifiedPower power("machine", std::move(*opened), clock);
  const auto on = power.on({});
  ASSERT_TRUE(on) << on.error().describe();
  EXPECT_TRUE(simulator.is_on());
  ASSERT_TRUE(power.off({}));
  EXPECT_FALSE(simulator.is_on());
}

TEST(DebiansFenceAgents, ThoseThatShowThePasswordAreRefused) {
  SystemCommandRunner runner;
  for (const auto* agent : {"fence_ipmilan", "fence_idrac", "fence_amt", "fence_apc_snmp"}) {
    const auto opened =
        open_driver({.driver = agent, .address = "127.0.0.1", .user = "u"}, kPassword, {.runner = runner});
    ASSERT_FALSE(opened) << agent;
    EXPECT_EQ(opened.error().code, ErrorCode::unsupported) << opened.error().describe();
  }
  EXPECT_EQ(open_driver({.driver = "fence_nosuch"}, "", {.runner = runner}).error().code, ErrorCode::not_found);
}

}  // namespace
}  // namespace bridgehead::power::testing
