#include <gtest/gtest.h>

#include "base/file.h"
#include "cli/power_words.h"

namespace bridgehead::cli {
namespace {

TEST(PowerWords, SayWhoVouches) {
  nlohmann::json object = {{"power", {{"state", "unknown"}, {"evidence", "none"}, {"time", ""}}}};
  EXPECT_EQ(proof_text(object, "/power"), "") << "nothing was ever switched";
  object["power"] = {{"state", "off"}, {"evidence", "bmc"}, {"time", "2020-01-01T00:00:00.000Z"}};
  EXPECT_TRUE(proof_text(object, "/power").starts_with("off, says its BMC alone, ")) << proof_text(object, "/power");
  object["power"]["state"] = "unknown";
  EXPECT_NE(proof_text(object, "/power").find("may be on or off"), std::string::npos);
}

TEST(PowerWords, ReportWhatCameOfAChange) {
  nlohmann::json operation = {{"target_name", "rack1-07"}, {"parameters", nlohmann::json::object()}};
  EXPECT_EQ(report_text(operation), "");
  operation["parameters"]["report"] = {
      {"state", "off"}, {"evidence", "bmc_and_others"}, {"changed", true}, {"confirmed_ms", 12345}};
  EXPECT_EQ(report_text(operation), "rack1-07 is off, say its BMC and its silent agent; it took 12.3 s");
  operation["parameters"]["report"]["changed"] = false;
  EXPECT_NE(report_text(operation).find("as it was"), std::string::npos);
}

TEST(PowerWords, SettingsAreNamesAndValues) {
  EXPECT_EQ(parse_setting("cipher=3").value(), std::pair(std::string("cipher"), std::string("3")));
  EXPECT_EQ(parse_setting("pin=sha256//ab=").value().second, "sha256//ab=");
  EXPECT_FALSE(parse_setting("cipher"));
  EXPECT_FALSE(parse_setting("=3"));
  EXPECT_FALSE(parse_setting("ca=@/does/not/exist"));
  const auto directory = TemporaryDirectory::create("bridgehead-cli").value();
  ASSERT_TRUE(write_file_atomic(directory.path() / "ca.pem", "-----BEGIN"));
  EXPECT_EQ(parse_setting(fmt::format("ca=@{}", (directory.path() / "ca.pem").native()))->second, "-----BEGIN");
  EXPECT_EQ(settings_text({{"options", {{"cipher", "3"}, {"privilege", "OPERATOR"}}}}), "cipher=3, privilege=OPERATOR");
}

}  // namespace
}  // namespace bridgehead::cli
