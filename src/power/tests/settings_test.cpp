#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include "base/testing/fake_command_runner.h"
#include "power/fence_agent_driver.h"
#include "power/ipmi_driver.h"
#include "power/lab_driver.h"
#include "power/power_settings.h"
#include "power/wol_driver.h"

namespace bridgehead::power {
namespace {

class SettingsTest : public ::testing::Test {
 protected:
  std::string refusal(const PowerSettings& settings, std::string_view password = "secret") {
    const auto opened = open_driver(settings, password, {.runner = runner_});
    if (opened) return "";
    EXPECT_EQ(opened.error().code, ErrorCode::invalid_argument) << opened.error().describe();
    EXPECT_EQ(opened.error().describe().find("secret"), std::string::npos);
    return opened.error().message;
  }

  bridgehead::testing::FakeCommandRunner runner_;
};

TEST_F(SettingsTest, AreCheckedBeforeAnythingIsDone) {
  const PowerSettings ipmi{.driver = "ipmi", .address = "10.0.0.1", .user = "bh"};
  EXPECT_EQ(refusal(ipmi), "");
  const auto with = [&](const std::string& name, const std::string& value) {
    auto settings = ipmi;
    settings.options[name] = value;
    return refusal(settings);
  };
  EXPECT_EQ(with("cipher", "3"), "");
  EXPECT_NE(with("cipher", "0").find("17, 3, 8, 12"), std::string::npos) << "0 takes any password";
  EXPECT_NE(with("privilege", "root"), "");
  EXPECT_NE(with("ciper", "3").find("cipher"), std::string::npos);
  EXPECT_NE(refusal(ipmi, ""), "");
  EXPECT_NE(refusal(ipmi, "123456789012345678901"), "") << "21 bytes";
  EXPECT_NE(refusal({.driver = "ipmi", .address = "-oProxy", .user = "bh"}), "");
  EXPECT_NE(refusal({.driver = "ipmi", .address = "10.0.0.1", .user = "-v"}), "");
  EXPECT_NE(refusal({.driver = "redfish", .address = "h/@x", .user = "bh"}), "");
  EXPECT_NE(refusal({.driver = "redfish", .address = "h", .user = "bh", .options = {{"pin", "/etc/passwd"}}}), "");
  EXPECT_NE(refusal({.driver = "wol", .options = {{"mac", "52:54:00:12:34"}}}, ""), "");
  EXPECT_NE(refusal({.driver = "lab", .options = {{"machine", "--help"}}}, ""), "");
  EXPECT_NE(refusal({.driver = "fence_../../bin/sh"}), "");
  EXPECT_NE(refusal({.driver = "ssh"}), "");
  EXPECT_TRUE(runner_.commands.empty());
}

TEST_F(SettingsTest, IpmitoolGetsThePasswordOnItsStandardInput) {
  const auto driver =
      open_driver({.driver = "ipmi", .address = "10.0.0.1", .user = "bh"}, "secret", {.runner = runner_}).value();
  runner_.answers.push_back(CommandOutput{.out = "Chassis Power is on\n"});
  EXPECT_EQ(driver->read({}).value(), PowerState::on);
  const auto& command = runner_.commands.front();
  EXPECT_EQ(command.program, "ipmitool");
  EXPECT_EQ(command.input, "secret");
  EXPECT_EQ(command.describe().find("secret"), std::string::npos);
  for (const auto& [name, value] : command.environment) EXPECT_EQ(value.find("secret"), std::string::npos) << name;
  const auto& words = command.arguments;
  const auto cipher = std::find(words.begin(), words.end(), "-C");
  ASSERT_NE(cipher, words.end());
  EXPECT_EQ(*(cipher + 1), "17");
}

TEST(Ipmitool, ItsWordsBecomeReasons) {
  const IpmiConfig config{.address = "10.0.0.1", .user = "bh"};
  const auto code = [&](std::string_view said) { return explain_ipmitool(said, config).code; };
  constexpr auto kEnd = "Error: Unable to establish IPMI v2 / RMCP+ session\n";
  EXPECT_EQ(code(fmt::format("> RAKP 2 HMAC is invalid\n{}", kEnd)), ErrorCode::unauthenticated);
  EXPECT_EQ(code(fmt::format("RAKP 2 message indicates an error : unauthorized name\n{}", kEnd)),
            ErrorCode::unauthenticated);
  EXPECT_EQ(code(fmt::format("Error in open session response message : invalid authentication algorithm\n\n{}", kEnd)),
            ErrorCode::unsupported);
  EXPECT_EQ(code(fmt::format("Get Auth Capabilities error\nError issuing Get Channel Authentication Capabilities "
                             "request\n{}",
                             kEnd)),
            ErrorCode::unavailable);
  EXPECT_EQ(code("Address lookup for bmc failed\nCould not open socket!\n"), ErrorCode::unavailable);
  EXPECT_EQ(code("Set Chassis Power Control to Up/On failed: Insufficient privilege level\n"),
            ErrorCode::permission_denied);
  EXPECT_EQ(code("Invalid completion code received: Insufficient privilege level\nSet Chassis Power Control to Up/On "
                 "failed: Command not supported in present state\n"),
            ErrorCode::failed_precondition)
      << "what it merely tried doesn't count";
  EXPECT_EQ(code("Set Chassis Power Control to Up/On failed: Node busy\n"), ErrorCode::resource_exhausted);
  EXPECT_EQ(code("something new"), ErrorCode::io_error);
  EXPECT_NE(explain_ipmitool(kEnd, config).message.find("10.0.0.1"), std::string::npos);
}

TEST(Ipmitool, TheClockIsReadOrWasNeverSet) {
  const auto time = parse_sel_time("01/31/2026 12:00:05 UTC");
  ASSERT_TRUE(time);
  EXPECT_EQ(to_rfc3339(*time), "2026-01-31T12:00:05.000Z");
  EXPECT_FALSE(parse_sel_time("S+ 16:38:01"));
  EXPECT_FALSE(parse_sel_time("02/31/2026 12:00:05"));
}

// As ipmitool 1.8.19 prints it.
TEST(Ipmitool, WattsAreReadWhereTheyAreMeasured) {
  const std::string said =
      "\n    Instantaneous power reading:                   220 Watts\n"
      "    Minimum during sampling period:                  2 Watts\n"
      "    Maximum during sampling period:                368 Watts\n"
      "    Average power reading over sample period:      213 Watts\n"
      "    IPMI timestamp:                           Sat Jan  1 00:00:00 2026\n"
      "    Sampling period:                          00000001 Seconds.\n"
      "    Power reading state is:                   activated\n\n\n";
  EXPECT_EQ(parse_dcmi_watts(said), 220);
  auto off = said;
  off.replace(off.find("activated"), 9, "deactivated");
  EXPECT_FALSE(parse_dcmi_watts(off));
  EXPECT_FALSE(parse_dcmi_watts("Power reading state is: activated"));
  EXPECT_FALSE(parse_dcmi_watts(""));
}

TEST_F(SettingsTest, TheLabIsAskedByItsProgram) {
  const auto driver = open_driver({.driver = "lab", .options = {{"machine", "node1"}, {"lab", "rack"}}}, "",
                                  {.runner = runner_, .lab_program = "/usr/bin/bridgehead-lab"})
                          .value();
  runner_.answers = {CommandOutput{.out = "on\n"}, CommandOutput{}, CommandOutput{.out = "what\n"}};
  EXPECT_EQ(driver->read({}).value(), PowerState::on);
  EXPECT_TRUE(driver->request(PowerRequest::off, {}));
  EXPECT_EQ(runner_.commands[1].describe(), "/usr/bin/bridgehead-lab --name rack power node1 off");
  EXPECT_EQ(driver->read({}).error().code, ErrorCode::io_error);
}

constexpr char kMetadata[] = R"(<?xml version="1.0" ?>
<resource-agent name="fence_x" shortdesc="A power strip"><parameters>
<parameter name="action" required="1"><content type="string" default="reboot" /></parameter>
<parameter name="ip" required="1" obsoletes="ipaddr"><content type="string" /></parameter>
<parameter name="ipaddr" required="1" deprecated="1"><content type="string" /></parameter>
<parameter name="auth" required="0"><content type="select"><option value="md5" /><option value="none" /></content></parameter>
<parameter name="password" required="0"><content type="string" /></parameter>
<parameter name="password_script" required="0"><content type="string" /></parameter>
<parameter name="debug_file" required="0"><content type="string" /></parameter>
<parameter name="gnutlscli_path" required="0"><content type="string" /></parameter>
</parameters><actions><action name="on" /><action name="off" /><action name="status" /></actions></resource-agent>)";

TEST(FenceAgent, ItsMetadataSaysWhatItTakes) {
  const auto metadata = parse_fence_agent_metadata(kMetadata).value();
  const auto refusal = [&](std::map<std::string, std::string> parameters, std::string password = "secret") {
    const auto good = check_fence_agent_config(
        {.program = "/usr/sbin/fence_x", .parameters = std::move(parameters), .password = std::move(password)},
        metadata);
    return good ? std::string() : good.error().message;
  };
  EXPECT_EQ(refusal({{"ip", "10.0.0.1"}}), "");
  EXPECT_EQ(refusal({{"ip", "10.0.0.1"}, {"auth", "md5"}}), "");
  EXPECT_NE(refusal({}).find("ip is missing"), std::string::npos);
  EXPECT_NE(refusal({{"ip", "h"}, {"auth", "sha"}}).find("md5, none"), std::string::npos);
  EXPECT_NE(refusal({{"ip", "h"}, {"ipaddr", "h"}}).find("is called ip now"), std::string::npos);
  EXPECT_NE(refusal({{"ip", "h"}, {"plug", "1"}}).find("no parameter plug"), std::string::npos);
  EXPECT_NE(refusal({{"ip", "h\naction=on"}}), "");
  EXPECT_NE(refusal({{"ip", "h"}}, "a\nb"), "");
  for (const auto* ours :
       {"action", "password", "password_script", "debug_file", "gnutlscli_path", "secret_key", "token"}) {
    EXPECT_NE(refusal({{"ip", "h"}, {ours, "/tmp/x"}}).find("can't be set"), std::string::npos) << ours;
  }
  EXPECT_FALSE(parse_fence_agent_metadata("<html/>"));
  EXPECT_FALSE(parse_fence_agent_metadata("<resource-agent/>"));
}

TEST_F(SettingsTest, AFenceAgentGetsAllOnItsStandardInput) {
  runner_.answers.push_back(CommandOutput{.out = kMetadata});
  const auto driver =
      open_driver({.driver = "fence_x", .address = "10.0.0.1"}, " secret\"", {.runner = runner_}).value();
  runner_.answers = {CommandOutput{.exit_code = 2},
                     CommandOutput{.exit_code = 1, .err = "ERROR: Unable to connect/login with  secret\"\n"}};
  EXPECT_EQ(driver->read({}).value(), PowerState::off);
  const auto& command = runner_.commands.back();
  EXPECT_EQ(command.program, "/usr/sbin/fence_x");
  EXPECT_TRUE(command.arguments.empty());
  EXPECT_EQ(command.input, "action=status\nip=10.0.0.1\npassword=\" secret\"\"\n");
  const auto off = driver->request(PowerRequest::off, {});
  ASSERT_FALSE(off);
  EXPECT_EQ(off.error().code, ErrorCode::unauthenticated);
  EXPECT_EQ(off.error().message.find("secret\""), std::string::npos) << off.error().message;
}

TEST(WakeOnLan, ThePacketIsSentToWhereItIsTold) {
  const UniqueFd in(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  ASSERT_EQ(::bind(in.get(), generic, length), 0);
  ASSERT_EQ(::getsockname(in.get(), generic, &length), 0);
  SystemCommandRunner runner;
  const auto driver =
      open_driver({.driver = "wol",
                   .port = ntohs(address.sin_port),
                   .options = {{"mac", "52:54:00:12:34:56"}, {"broadcast", "127.0.0.1"}, {"interface", "lo"}}},
                  "01:23:45:67:89:ab", {.runner = runner})
          .value();
  ASSERT_TRUE(driver->request(PowerRequest::on, {}));
  char buffer[256];
  const auto got = ::recv(in.get(), buffer, sizeof buffer, 0);
  std::string expected(6, '\xFF');
  for (int i = 0; i < 16; ++i) expected += std::string("\x52\x54\x00\x12\x34\x56", 6);
  expected += "\x01\x23\x45\x67\x89\xab";
  EXPECT_EQ(std::string(buffer, static_cast<std::size_t>(got)), expected);
  EXPECT_EQ(driver->request(PowerRequest::off, {}).error().code, ErrorCode::unsupported);
  EXPECT_FALSE(parse_mac("01:00:5e:00:00:01")) << "a group";

  PowerCheck check;
  WolDriver({.mac = {}, .interface = "nosuch"}).inspect({}, check);
  EXPECT_FALSE(check.good());
}

}  // namespace
}  // namespace bridgehead::power
