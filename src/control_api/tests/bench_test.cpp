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
