// Benchmarks by REST: what is asked for, listed, shown and removed.
#include "control_api/testing/api_fixture.h"

namespace bridgehead::control_api::testing {
namespace {

using ::testing::HasSubstr;

class BenchApiTest : public ApiFixture {
 protected:
  void SetUp() override {
    fill_cluster();
    start_server();
  }
  nlohmann::json body() const {
    return {{"pools", {{{"pool", pool.name}, {"servers", 5}}}},
            {"nodes", {node.name}},
            {"file_size", "16MiB"},
            {"workloads", {"metadata", "mixed"}}};
  }
};

TEST_F(BenchApiTest, IsAskedForListedShownAndRemoved) {
  const auto results = path("/bench/results");
  EXPECT_EQ(send({.method = "POST", .path = results, .body = body().dump(), .token = viewer}).status, 403);
  EXPECT_EQ(post(results + "?dry_run=true", body()).status, 200);
  EXPECT_TRUE(inventory->all<model::Benchmark>().empty());
  const auto asked = post(results, body());
  ASSERT_EQ(asked.status, 202) << asked.body;
  EXPECT_EQ(asked.json()["operation"]["kind"], "bench.run");
  EXPECT_EQ(asked.json()["benchmark"]["runs"], 4 * 3) << "four workloads, three times, by one node";
  EXPECT_EQ(asked.json()["benchmark"]["settings"]["node_names"][0], node.name);

  const auto record = inventory->find_by_name<model::Benchmark>("bench-1");
  ASSERT_TRUE(record);
  auto benchmark = record->value;
  benchmark.state = model::BenchmarkState::done;
  benchmark.result = R"({"format": "bridgehead-bench"})";
  commit([&](state::Edit& edit) { edit.update(record, benchmark); });
  const auto list = send({.method = "GET", .path = results, .token = viewer}).json();
  ASSERT_EQ(list["items"].size(), 1U);
  EXPECT_EQ(list["items"][0]["measured"], true);
  EXPECT_FALSE(list["items"][0].contains("result")) << "it may be large";
  EXPECT_EQ(get(results + "/bench-1").json()["result"]["format"], "bridgehead-bench");

  EXPECT_EQ(send({.method = "DELETE", .path = results + "/bench-1", .token = viewer}).status, 403);
  EXPECT_EQ(send({.method = "DELETE", .path = results + "/bench-1", .token = operator_}).status, 200);
  EXPECT_EQ(get(results + "/bench-1").status, 404);
}

TEST_F(BenchApiTest, WhatBhMeasuredIsKeptAmongTheOthers) {
  const std::string result =
      R"({"format": "bridgehead-bench", "format_version": 1, "name": "x", "command": "bh bench create",
          "nodes": [{"name": ")" +
      node.name + R"("}, {"name": "elsewhere"}], "pools": [{"name": ")" + pool.name +
      R"("}], "workloads": [{"name": "guest-create", "in_seconds": true}],
          "runs": [{"pool": ")" +
      pool.name + R"(", "workload": "guest-create", "nodes": 1, "repetition": 1,
                    "parts": [{"node": "elsewhere", "operations": 1, "seconds": 2.5}]}]})";
  const auto records = path("/bench/records");
  const nlohmann::json body = {{"result", result}, {"runs", 3}, {"message", "it is under way"}};
  EXPECT_EQ(send({.method = "POST", .path = records, .body = body.dump(), .token = viewer}).status, 403);
  EXPECT_EQ(post(records + "?dry_run=true", body).status, 200);
  EXPECT_EQ(post(records, {{"result", "{}"}}).status, 400);
  EXPECT_TRUE(inventory->all<model::Benchmark>().empty());
  const auto kept = post(records, body);
  ASSERT_EQ(kept.status, 201) << kept.body;
  const auto benchmark = kept.json()["benchmark"];
  EXPECT_EQ(benchmark["name"], "bench-1");
  EXPECT_EQ(benchmark["state"], "stopped");
  EXPECT_EQ(benchmark["runs_done"], 1);
  EXPECT_EQ(benchmark["runs"], 3);
  EXPECT_EQ(benchmark["settings"]["pools"][0]["pool"], pool.id.str());
  EXPECT_EQ(benchmark["settings"]["nodes"][1]["node"], "") << "a name is all that is known of it";

  const auto one = path("/bench/results/bench-1");
  const auto put = [&](const std::string& where, const nlohmann::json& what) {
    return send({.method = "PUT", .path = where, .body = what.dump(), .token = operator_});
  };
  const auto more = put(one, {{"result", result}});
  ASSERT_EQ(more.status, 200) << more.body;
  EXPECT_EQ(more.json()["benchmark"]["state"], "done");
  EXPECT_EQ(get(one).json()["result"]["name"], "bench-1") << "by the name that it is found by";
  EXPECT_EQ(post(records, {{"result", result}, {"name", "bench-1"}}).status, 409);
  EXPECT_EQ(put(path("/bench/results/none"), {{"result", result}}).status, 404);
  ASSERT_EQ(post(path("/bench/results"), this->body()).status, 202);
  EXPECT_EQ(put(path("/bench/results/bench-2"), {{"result", result}}).status, 409) << "it is the manager's own";
  EXPECT_EQ(send({.method = "DELETE", .path = one, .token = operator_}).status, 200);
}

TEST_F(BenchApiTest, WhatCantBeIsRefused) {
  auto wrong = body();
  wrong["file_size"] = "1KiB";
  EXPECT_EQ(post(path("/bench/results"), wrong).status, 400);
  wrong = body();
  wrong["pools"][0]["colour"] = "red";
  EXPECT_THAT(post(path("/bench/results"), wrong).body, HasSubstr("pools[0].colour"));
  wrong = body();
  wrong["pools"] = {{{"pool", "nowhere"}}};
  EXPECT_EQ(post(path("/bench/results"), wrong).status, 404);
  EXPECT_TRUE(inventory->all<model::Benchmark>().empty());
}

}  // namespace
}  // namespace bridgehead::control_api::testing
