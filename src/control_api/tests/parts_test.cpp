// The small parts on their own: targets, strict JSON, problems, written JSON.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "control_api/auth.h"
#include "control_api/http/message.h"
#include "control_api/json/strict_json.h"
#include "control_api/json/writer.h"
#include "control_api/problem.h"
#include "control_api/routes.h"
#include "control_api/views.h"

namespace bridgehead::control_api {
namespace {

using ::testing::HasSubstr;

TEST(Target, IsDecodedOnceAndChecked) {
  const auto target = http::parse_target("/api/v1/vms/a%2Fb%20c?x=1&x=%C3%A9+z&flag");
  ASSERT_TRUE(target);
  EXPECT_EQ(target->segments, (std::vector<std::string>{"api", "v1", "vms", "a/b c"}));
  EXPECT_EQ(target->query, (http::Fields{{"x", "1"}, {"x", "\xC3\xA9 z"}, {"flag", ""}}));
  EXPECT_EQ(http::parse_target("/%252e%252e")->segments.front(), "%2e%2e");
  for (const auto* bad : {"", "x", "/../x", "/%2e%2e/x", "/a//b", "/%", "/%4", "/%zz", "/%00", "/%0a", "/%ff",
                          "/%c0%af", "/?a=%00", "/%ed%a0%80"}) {
    EXPECT_FALSE(http::parse_target(bad)) << bad;
  }
  EXPECT_TRUE(http::parse_target("/")->segments.empty());
}

TEST(Head, KeepsLineBreaksOutOfHeaders) {
  http::Response response;
  response.with("Location", "/x\r\nSet-Cookie: a=b");
  EXPECT_EQ(http::serialize_head(response, 0, true).find("\r\nSet-Cookie"), std::string::npos);
}

TEST(StrictJson, TakesWhatIsRight) {
  const auto json = parse_strict_json(R"({"a":[1,{"b":null}],"c":"ü","d":-1.5e3,"e":{"a":1}})");
  ASSERT_TRUE(json);
  EXPECT_EQ(*json, nlohmann::json::parse(R"({"a":[1,{"b":null}],"c":"ü","d":-1.5e3,"e":{"a":1}})"));
}

TEST(StrictJson, RefusesWhatIsNot) {
  EXPECT_THAT(parse_strict_json(R"({"a":1,"a":2})").error().message, HasSubstr("'a' is given twice"));
  EXPECT_THAT(parse_strict_json(std::string(17, '[') + std::string(17, ']')).error().message,
              HasSubstr("nested deeper"));
  EXPECT_TRUE(parse_strict_json(std::string(16, '[') + std::string(16, ']')));
  std::string many = "[";
  for (int i = 0; i < 30'000; ++i) many += "1,";
  EXPECT_THAT(parse_strict_json(many + "1]").error().message, HasSubstr("more than 20000 values"));
  for (const auto* bad :
       {"", "{", "nul", "[1,]", "{\"a\"}", "\"\xff\"", "1e999", "[1] 2", "{\"a\":01}", "'a'", "\"\t\""}) {
    const auto read = parse_strict_json(bad);
    ASSERT_FALSE(read) << bad;
    EXPECT_EQ(read.error().code, ErrorCode::invalid_argument);
  }
}

TEST(Writer, EqualsWhatALibraryWrites) {
  for (const std::string text : {"plain", "with \"quotes\" and \\", "line\nbreak\x01", "größe \xF0\x9F\x90\x84", ""}) {
    std::string out;
    append_json_string(out, text);
    EXPECT_EQ(out, nlohmann::json(text).dump());
  }
  std::string damaged;
  append_json_string(damaged, "a\xff");
  EXPECT_EQ(damaged, "\"a\xEF\xBF\xBD\"");
  std::string time;
  append_json_time(time, parse_rfc3339("2026-01-31T12:34:56.789Z").value());
  EXPECT_EQ(time, "\"2026-01-31T12:34:56.789Z\"");
}

TEST(Problems, NameTheFieldAndTheStatus) {
  EXPECT_EQ(field_of("disks[1].size: must be ..."), "disks[1].size");
  EXPECT_EQ(field_of("The body: is wrong"), "");
  EXPECT_EQ(field_of("no field here"), "");
  const auto response = problem({ErrorCode::resource_exhausted, "full", "Make room."}, "/x");
  EXPECT_EQ(response.status, 507U);
  const auto json = nlohmann::json::parse(response.body);
  EXPECT_EQ(json["type"], "urn:bridgehead:error:resource_exhausted");
  EXPECT_EQ(json["hint"], "Make room.");
  EXPECT_FALSE(json.contains("field"));
}

TEST(Views, HideSecrets) {
  EXPECT_EQ(without_password("https://u:p@h/x@y"), "https://***@h/x@y");
  EXPECT_EQ(without_password("https://h/x?u=a@b"), "https://h/x?u=a@b");
  EXPECT_EQ(without_password("/var/lib/x@y"), "/var/lib/x@y");
}

TEST(Routes, PreferNothingButTheWholePath) {
  EXPECT_NE(find_route(http::Method::get, {"api", "v1", "vms", "x"}).route, nullptr);
  EXPECT_EQ(find_route(http::Method::get, {"api", "v1", "vms", "x"}).parameters, std::vector<std::string>{"x"});
  EXPECT_EQ(find_route(http::Method::get, {"api", "v1", "vms", "x", "y"}).route, nullptr);
  EXPECT_EQ(find_route(http::Method::get, {}).route, nullptr);
  EXPECT_EQ(find_route(http::Method::put, {"api", "v1", "vms", "x"}).allowed, "GET, PATCH, DELETE");
  EXPECT_EQ(find_route(http::Method::head, {"api", "v1", "events", "stream"}).route, nullptr);
}

TEST(Auth, KnowsLoopback) {
  EXPECT_TRUE(is_loopback("127.0.0.1"));
  EXPECT_TRUE(is_loopback("::ffff:127.0.0.1"));
  EXPECT_FALSE(is_loopback("10.127.0.1"));
}

}  // namespace
}  // namespace bridgehead::control_api
