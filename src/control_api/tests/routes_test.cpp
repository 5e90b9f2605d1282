// What holds for all routes: who may use them, what bad requests are told, lists, metrics.
#include "control_api/routes.h"
#include "control_api/testing/api_fixture.h"
#include "model/enum_names.h"
#include "pki/tokens.h"

namespace bridgehead::control_api::testing {
namespace {

using ::testing::HasSubstr;

class RoutesTest : public ApiFixture {
 protected:
  void SetUp() override {
    fill_cluster();
    start_server();
  }
};

TEST_F(RoutesTest, RolesAreEnforcedOnEveryRoute) {
  make_vm("run", true);
  for (const auto& route : all_routes()) {
    if (route.access == Access::none || route.access == Access::viewer_or_loopback) continue;
    std::string concrete(route.pattern);
    for (auto open = concrete.find('{'); open != std::string::npos; open = concrete.find('{')) {
      concrete.replace(open, concrete.find('}', open) - open + 1, "run");
    }
    const std::string method(to_string(route.method));
    EXPECT_EQ(send({method, concrete, "", "-"}).status, 401) << method << concrete;
    if (route.access == Access::operator_ || route.access == Access::admin) {
      EXPECT_EQ(send({method, concrete, "", viewer}).status, 403) << method << concrete;
    }
    if (route.access == Access::admin) {
      EXPECT_EQ(send({method, concrete, "", operator_}).status, 403) << method << concrete;
    }
    clock.advance(std::chrono::minutes(2));  // or the throttle answers
  }
  const nlohmann::json by_path = {
      {"name", "x"}, {"pool", "local"}, {"source", {{"kind", "path"}, {"location", "/etc/shadow"}}}};
  EXPECT_EQ(send({"POST", path("/images"), by_path.dump(), operator_}).status, 403);
}

TEST_F(RoutesTest, TokensThatDoNotCount) {
  const auto expired = make_token("old", model::Role::admin, clock.now() + std::chrono::hours(1));
  EXPECT_EQ(send({"GET", path("/whoami"), "", expired}).status, 200);
  clock.advance(std::chrono::hours(2));
  const auto refused = send({"GET", path("/whoami"), "", expired});
  EXPECT_EQ(refused.status, 401);
  EXPECT_THAT(refused.headers, HasSubstr("WWW-Authenticate: Bearer"));
  std::string wrong = admin;
  wrong.back() = wrong.back() == '0' ? '1' : '0';
  EXPECT_EQ(send({"GET", path("/whoami"), "", wrong}).status, 401);
  EXPECT_EQ(send({"GET", path("/whoami"), "", "bh_x_y"}).status, 401);
  EXPECT_EQ(
      send({.method = "GET", .path = path("/whoami"), .token = "-", .headers = {"Authorization: Basic YTpi"}}).status,
      401);
  long last = 0;
  for (int i = 0; i < 30; ++i) last = send({"GET", path("/whoami"), "", wrong}).status;
  EXPECT_EQ(last, 429);
  EXPECT_EQ(get(path("/whoami")).status, 200) << "a right token is let in from a throttled address";
  clock.advance(std::chrono::minutes(2));
  EXPECT_EQ(send({"GET", path("/whoami"), "", wrong}).status, 401);
}

TEST_F(RoutesTest, ErrorsNameTheField) {
  const auto field_of = [&](const nlohmann::json& body) {
    const auto answer = post(path("/vms"), body);
    EXPECT_EQ(answer.status, 400) << answer.body;
    return answer.json().value("field", "");
  };
  EXPECT_EQ(field_of({{"name", "a"}, {"image", "debian-12"}, {"memory", true}}), "memory");
  EXPECT_EQ(field_of({{"name", "a"}, {"image", "debian-12"}, {"disks", {{{"size", "1GiB"}}, {{"size", "lots"}}}}}),
            "disks[1].size");
  EXPECT_EQ(field_of({{"name", "a"}, {"image", "debian-12"}, {"colour", "red"}}), "colour");
  EXPECT_EQ(field_of({{"name", "a"}, {"image", "debian-12"}, {"cpus", -1}}), "cpus");
  EXPECT_EQ(field_of({{"name", "a"}, {"image", "debian-12"}, {"cpus", 100'000}}), "cpus");
  EXPECT_EQ(field_of({{"image", "debian-12"}}), "name");
  EXPECT_EQ(field_of({{"name", "a"}, {"image", "debian-12"}, {"cloud_init", {{"user", 5}}}}), "cloud_init.user");
  EXPECT_THAT(post(path("/vms"), {{"name", "a"}, {"memory", 1.5}}).body,
              HasSubstr("must be a string like 2GiB or a number of bytes"));
  EXPECT_EQ(get(path("/vms/none")).status, 404);
  EXPECT_EQ(get(path("/vms?colour=red")).status, 400);
  EXPECT_EQ(get(path("/vms?summary=maybe")).status, 400);
  const auto not_allowed = send({"PUT", path("/vms"), "{}"});
  EXPECT_EQ(not_allowed.status, 405);
  EXPECT_THAT(not_allowed.headers, HasSubstr("Allow: GET, POST"));
  EXPECT_EQ(send({"POST", path("/vms"), "{\"name\":\"a\",\"name\":\"b\"}"}).status, 400);
}

TEST_F(RoutesTest, IdempotencyKeyRepeatsTheAnswer) {
  const nlohmann::json body = {{"name", "once"}, {"image", "debian-12"}};
  const HttpRequest request{
      .method = "POST", .path = path("/vms"), .body = body.dump(), .headers = {"Idempotency-Key: k1"}};
  const auto first = send(request);
  const auto second = send(request);
  ASSERT_EQ(first.status, 202) << first.body;
  ASSERT_EQ(second.status, 202) << second.body;
  EXPECT_EQ(first.json()["operations"][0]["id"], second.json()["operations"][0]["id"]);
  EXPECT_EQ(inventory->all<model::Vm>().size(), 1U);
  auto other = request;
  other.body = nlohmann::json{{"name", "twice"}, {"image", "debian-12"}}.dump();
  EXPECT_EQ(send(other).status, 409);
  EXPECT_EQ(post(path("/vms"), body).status, 409) << "without a key the name is taken";
}

TEST_F(RoutesTest, ListsAreTaggedAndFiltered) {
  make_vm("a", true);
  make_vm("b", false);
  const auto all = get(path("/vms?summary=true"));
  EXPECT_EQ(all.json()["items"].size(), 2U);
  EXPECT_EQ(all.json()["items"][0]["node"], "node1");
  EXPECT_EQ(all.json()["items"][0]["ip"], "192.168.120.7");
  EXPECT_EQ(get(path("/vms?state=stopped")).json()["items"].size(), 1U);
  EXPECT_EQ(get(path("/vms?label=a%3Db")).json()["items"].size(), 0U);
  EXPECT_EQ(get(path("/vms?node=unknown")).status, 404);
  const auto tag = fmt::format("If-None-Match: \"{}\"", all.json()["revision"].get<std::uint64_t>());
  EXPECT_EQ(send({.method = "GET", .path = path("/vms?summary=true"), .headers = {tag}}).status, 304);
  make_vm("c", false);
  EXPECT_EQ(send({.method = "GET", .path = path("/vms?summary=true"), .headers = {tag}}).status, 200);
  const auto head = send({.method = "HEAD", .path = path("/vms")});
  EXPECT_EQ(head.status, 200);
  EXPECT_EQ(head.body, "");
}

TEST_F(RoutesTest, MetricsTellOfRequestsAndRecords) {
  make_vm("a", true);
  get(path("/vms"));
  const auto text = send({"GET", "/metrics", "", "-"}).body;
  EXPECT_THAT(text, HasSubstr("bridgehead_vms{phase=\"running\"} 1"));
  EXPECT_THAT(text, HasSubstr("bridgehead_nodes{state=\"ready\"} 1"));
  EXPECT_THAT(text, HasSubstr("route=\"/api/v1/vms\""));
  EXPECT_THAT(text, HasSubstr("process_resident_memory_bytes"));
}

// Printed, not asserted: the machine of a test run is shared and this build isn't a release.
TEST_F(RoutesTest, SummaryOfTwentyThousand) {
  for (int i = 0; i < 20'000; i += 1000) {
    commit([&](state::Edit& edit) {
      for (int j = i; j < i + 1000; ++j) {
        model::Vm vm;
        vm.id = make_id<model::VmId>(random);
        vm.name = fmt::format("guest-{:05}", j);
        vm.node = node.id;
        vm.created = clock.now();
        edit.create(vm);
      }
    });
  }
  get(path("/vms?summary=true"));
  const auto begin = std::chrono::steady_clock::now();
  const auto answer = get(path("/vms?summary=true"));
  const auto took = std::chrono::steady_clock::now() - begin;
  EXPECT_EQ(answer.json()["items"].size(), 20'000U);
  fmt::print("20,000 guests: {} ms, {} bytes, client and TLS included\n",
             std::chrono::duration_cast<std::chrono::milliseconds>(took).count(), answer.body.size());
}

}  // namespace
}  // namespace bridgehead::control_api::testing
