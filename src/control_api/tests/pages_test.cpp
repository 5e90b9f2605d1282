// The dashboard's cookie and files: when the cookie counts, and how files are sent.
#include "control_api/pages/dashboard.h"
#include "control_api/pages/own_page.h"
#include "control_api/testing/api_fixture.h"

namespace bridgehead::control_api {
namespace {

using ::testing::HasSubstr;
using testing::HttpAnswer;
using ::testing::Not;

class PagesTest : public testing::ApiFixture {
 protected:
  void SetUp() override {
    fill_cluster();
    start_server();
    make_vm("run", true);
  }
  std::string origin() const { return fmt::format("https://localhost:{}", server->port()); }
  HttpAnswer begin(const std::string& token, std::vector<std::string> headers = {}) {
    return send({.method = "POST",
                 .path = path("/session"),
                 .body = nlohmann::json{{"token", token}}.dump(),
                 .token = "-",
                 .headers = std::move(headers)});
  }
  HttpAnswer with_cookie(const std::string& method, const std::string& below, const std::string& token,
                         std::vector<std::string> headers) {
    headers.push_back("Cookie: other=1; __Host-bridgehead=" + token);
    return send({.method = method, .path = path(below), .token = "-", .headers = std::move(headers)});
  }
};

TEST_F(PagesTest, LoginSetsACookieThatScriptsCannotRead) {
  const auto answer = begin(operator_, {"Origin: " + origin(), "Sec-Fetch-Site: same-origin"});
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.json()["role"], "operator");
  EXPECT_THAT(answer.headers,
              HasSubstr("Set-Cookie: __Host-bridgehead=" + operator_ + "; Path=/; Secure; HttpOnly; SameSite=Strict"));
  EXPECT_EQ(begin("bh_wrong", {"Origin: " + origin()}).status, 401);
  EXPECT_THAT(begin("bh_wrong", {"Origin: " + origin()}).headers, Not(HasSubstr("Set-Cookie")));
  const auto ended =
      send({.method = "DELETE", .path = path("/session"), .token = "-", .headers = {"Origin: " + origin()}});
  EXPECT_THAT(ended.headers, HasSubstr("__Host-bridgehead=; Max-Age=0"));
}

TEST_F(PagesTest, OtherSitesLogNobodyInOrOut) {
  EXPECT_EQ(begin(operator_, {"Origin: https://evil.test"}).status, 403);
  EXPECT_EQ(begin(operator_, {"Origin: null"}).status, 403);
  EXPECT_EQ(begin(operator_).status, 403) << "a change without either header comes from no browser's page";
  EXPECT_EQ(
      send({.method = "DELETE", .path = path("/session"), .token = "-", .headers = {"Sec-Fetch-Site: cross-site"}})
          .status,
      403);
}

TEST_F(PagesTest, WrongTokensAreThrottled) {
  long last = 0;
  for (int n = 0; n < 30; ++n) last = begin("bh_wrong", {"Origin: " + origin()}).status;
  EXPECT_EQ(last, 429);
  EXPECT_EQ(begin(viewer, {"Origin: " + origin()}).status, 200);
}

TEST_F(PagesTest, TheCookieCountsInRequestsOfOurOwnPageOnly) {
  const std::vector<std::string> own = {"Origin: " + origin(), "Sec-Fetch-Site: same-origin"};
  EXPECT_EQ(with_cookie("GET", "/vms", viewer, {"Sec-Fetch-Site: same-origin"}).status, 200);
  EXPECT_EQ(with_cookie("GET", "/vms", viewer, {"Sec-Fetch-Site: none"}).status, 200) << "a typed address";
  EXPECT_EQ(with_cookie("GET", "/vms", viewer, {"Sec-Fetch-Site: cross-site"}).status, 401);
  EXPECT_EQ(with_cookie("GET", "/vms", viewer, {"Sec-Fetch-Site: same-site"}).status, 401) << "another port";
  EXPECT_EQ(with_cookie("POST", "/vms/run/pause", operator_, own).status, 202);
  EXPECT_EQ(with_cookie("POST", "/vms/run/stop", operator_, {}).status, 401);
  EXPECT_EQ(with_cookie("POST", "/vms/run/stop", operator_, {"Sec-Fetch-Site: none"}).status, 401);
  EXPECT_EQ(with_cookie("POST", "/vms/run/stop", operator_, {"Origin: https://127.0.0.1:1"}).status, 401);
  EXPECT_EQ(with_cookie("POST", "/vms/run/stop", viewer, own).status, 403) << "roles hold";
  EXPECT_EQ(with_cookie("GET", "/vms", "bh_wrong", own).status, 401);
}

TEST_F(PagesTest, AnotherSiteOpensNoConsole) {
  const std::vector<std::string> upgrade = {"Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
                                            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="};
  for (const auto& from : {"Origin: https://evil.test", "Sec-Fetch-Site: none"}) {
    auto headers = upgrade;
    headers.emplace_back(from);
    EXPECT_EQ(with_cookie("GET", "/vms/run/console", operator_, headers).status, 401) << from;
  }
}

TEST_F(PagesTest, FilesComeCompressedAndGuarded) {
  if (page_files().empty()) GTEST_SKIP() << "built without the dashboard";
  const auto page = send({.method = "GET", .path = "/", .token = "-"});
  EXPECT_EQ(page.status, 200);
  EXPECT_EQ(page.content_type, "text/html; charset=utf-8");
  EXPECT_THAT(page.body, HasSubstr("<title>Bridgehead</title>"));
  EXPECT_THAT(page.body, Not(HasSubstr("<style")));
  EXPECT_THAT(page.headers,
              HasSubstr("Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self';"));
  EXPECT_THAT(page.headers, HasSubstr("frame-ancestors 'none'"));
  EXPECT_THAT(page.headers, HasSubstr("Cache-Control: no-cache"));
  const auto tag = page.headers.substr(page.headers.find("W/\""), 20);
  EXPECT_EQ(send({.method = "GET",
                  .path = "/",
                  .token = "-",
                  .headers = {"If-None-Match: " + tag.substr(0, tag.rfind('"') + 1)}})
                .status,
            304);
  for (const auto& file : page_files()) {
    const std::string path(file.path);
    for (const auto& [accept, body] : {std::pair{"Accept-Encoding: gzip, deflate, br", file.brotli},
                                       {"Accept-Encoding: gzip;q=1.0, br;q=0", file.gzip},
                                       {"Accept-Encoding: identity", file.plain}}) {
      const auto answer = send({.method = "GET", .path = path, .token = "-", .headers = {accept}});
      EXPECT_EQ(answer.status, 200) << path;
      EXPECT_EQ(answer.body, body) << path << " with " << accept;
    }
    if (path.starts_with("/assets/")) {
      EXPECT_THAT(send({.method = "HEAD", .path = path, .token = "-"}).headers, HasSubstr("immutable"));
    }
  }
  EXPECT_EQ(send({.method = "POST", .path = "/", .body = "{}", .token = "-"}).status, 404);
  EXPECT_EQ(send({.method = "GET", .path = "/assets/none.js", .token = "-"}).status, 404);
}

}  // namespace
}  // namespace bridgehead::control_api
