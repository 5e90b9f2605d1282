#include "bench/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "bench/tests/sweeps.h"

namespace bridgehead::bench {
namespace {

using testing::HasSubstr;
using testing::Not;

Record two_pools() {
  auto record = record_of(8);
  record.pools = {{"nfs1", "nfs", "", 1, 200e6, 0, 1}, {"fast", "moosefs", "goal 1", 5, 200e6, 0, 1}};
  add_runs(record, "nfs1", sweep(Usl{23.7e6, 1, 0}, 8, 3, 0.01, 2));
  add_runs(record, "fast", sweep(Bend{23.7e6, 112e6}, 8, 3, 0.01, 3));
  auto lost = run_of("fast", "image-write", 8, 4, 50e6);
  lost.parts.back().error = "the node was lost";
  record.runs.push_back(lost);
  return record;
}

TEST(RecordFile, ComesBackAsItWas) {
  const auto record = two_pools();
  const auto again = read_record(write_record(record));
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(write_record(*again), write_record(record));
  EXPECT_EQ(again->runs.size(), record.runs.size());
  EXPECT_EQ(again->runs.back().parts.back().error, "the node was lost");
  EXPECT_EQ(again->pools[1].servers, 5U);
}

TEST(RecordFile, GarbageIsRefusedWithItsPlace) {
  for (const std::string wrong : {"", "[]", "{}", "{\"format\": 3}", "{\"format\": \"bridgehead-bench\", \"runs\": 4}",
                                  "{\"format\": \"bridgehead-bench\", \"runs\": [{\"parts\": [{}]}]}"}) {
    EXPECT_FALSE(read_record(wrong)) << wrong;
  }
  const auto refused = [](auto change) {
    auto record = two_pools();
    change(record);
    const auto read = read_record(write_record(record));
    return read ? std::string() : read.error().message;
  };
  EXPECT_THAT(refused([](Record& r) { r.runs[4].workload = "x"; }), HasSubstr("run 5: there is no workload 'x'"));
  EXPECT_THAT(refused([](Record& r) { r.runs[4].pool = "x"; }), HasSubstr("no pool"));
  EXPECT_THAT(refused([](Record& r) { r.runs[0].parts[0].seconds = -1; }), HasSubstr("can't be"));
  EXPECT_THAT(refused([](Record& r) { r.runs[0].parts[0].seconds = 0; }), HasSubstr("did nothing"));
  EXPECT_THAT(refused([](Record& r) { r.runs[0].parts[0].cpu_busy = 40; }), HasSubstr("can't be"));
  EXPECT_THAT(refused([](Record& r) { r.runs[5].parts.push_back(r.runs[5].parts[0]); }), HasSubstr("twice"));
  auto newer = nlohmann::json::parse(write_record(two_pools()));
  newer["format_version"] = 2;
  EXPECT_EQ(read_record(newer.dump()).error().code, ErrorCode::unsupported);
  const auto whole = write_record(two_pools());
  for (std::size_t length = 0; length + 2 < whole.size(); length += 997) {
    EXPECT_FALSE(read_record(whole.substr(0, length)));
  }
}

TEST(Link, RatesAreReadAsTheyAreSold) {
  EXPECT_EQ(*parse_link("25G"), 25e9);
  EXPECT_EQ(*parse_link("200Mbit/s"), 200e6);
  EXPECT_EQ(*parse_link("1.5gbit"), 1.5e9);
  EXPECT_EQ(*parse_link("1000"), 1000);
  for (const char* wrong : {"", "G", "-1G", "0", "25X", "25GB", "nan", "inf", "1e400"}) EXPECT_FALSE(parse_link(wrong));
}

TEST(Csv, HasALineForEachNodeInEachRun) {
  auto record = record_of(2);
  record.pools = {{"a,b", "nfs", "", 1, 0, 0, 1}};
  record.runs.push_back(run_of("a,b", "image-write", 2, 1, 20e6));
  const auto csv = write_csv(record);
  EXPECT_EQ(std::count(csv.begin(), csv.end(), '\n'), 3);
  EXPECT_THAT(csv, HasSubstr("\n\"a,b\",image-write,2,1,yes,20000000.0,bytes/s,host1,100000000,"));
}

TEST(Report, TellsRatiosCurvesBottleneckAndLostNodes) {
  const auto text = text_of(tell(two_pools()), 100);
  EXPECT_THAT(text, HasSubstr("A hard limit"));
  EXPECT_THAT(text, HasSubstr("Bottleneck: the servers' links"));
  EXPECT_THAT(text, HasSubstr("fast, 8 nodes: one run lost a node"));
  EXPECT_THAT(text, HasSubstr("4.7"));
  EXPECT_THAT(text, HasSubstr("bh bench scale --pool fast"));
  EXPECT_THAT(text, HasSubstr("off by"));
}

TEST(Report, WhatIsNoRateIsToldAsTimes) {
  Record record;
  record.pools = {{.name = "local"}, {.name = "fast"}};
  record.workloads = {{.name = "guest-create", .in_operations = true, .in_seconds = true}};
  for (unsigned n = 1; n <= 20; ++n) {
    const auto run = [&](const char* pool, double seconds) {
      record.runs.push_back({pool, "guest-create", 1, n, "", {{.node = "host1", .operations = 1, .seconds = seconds}}});
    };
    run("local", n / 10.0);
    run("fast", 2);
  }
  record.runs.back().parts[0].error = "it wasn't created";
  const auto text = text_of(tell(read_record(write_record(record)).value()), 200);
  EXPECT_THAT(text, testing::ContainsRegex("local +Bridgehead +20 +1.05 +0.6 to 1.5 .96 %. +1.91 +2 +0"));
  EXPECT_THAT(text, testing::ContainsRegex("fast +Bridgehead +19 +2 +2 to 2 .*1\n"));
  EXPECT_THAT(text, HasSubstr("0.53 times"));
  EXPECT_THAT(text, Not(HasSubstr("operations/s")));
}

TEST(Report, PeersStandBesideWhatTheyDo) {
  Record record;
  record.pools = {{.name = "fast"}};
  record.workloads = {
      {.name = "guest-create", .in_operations = true, .in_seconds = true},
      {.name = "guest-create by virt-install", .in_operations = true, .in_seconds = true, .peer_of = "guest-create"},
      {.name = "guest-create by virt-clone", .in_seconds = true, .peer_of = "guest-create"}};
  record.notes = {"No figures of virt-clone from then on: host1: virt-clone isn't installed."};
  for (unsigned n = 1; n <= 8; ++n) {
    for (const auto& [workload, seconds] :
         {std::pair{"guest-create", 0.5}, std::pair{"guest-create by virt-install", 3.0}}) {
      record.runs.push_back(
          {"fast", workload, 1, n, "", {{.node = "host1", .operations = 1, .seconds = seconds + n / 100.0}}});
    }
  }
  const auto again = read_record(write_record(record)).value();
  const auto text = text_of(tell(again), 200);
  EXPECT_THAT(text, testing::ContainsRegex("fast +virt-install +8 +3.0"));
  EXPECT_THAT(text, testing::ContainsRegex("fast +virt-install +Bridgehead +5.5[0-9] times, 5.[0-9]* to 5.[0-9]* .9"));
  EXPECT_THAT(text, HasSubstr("virt-clone isn't installed")) << "never a silent omission";
  EXPECT_EQ(json_report(again)["peers"].size(), 1U);
}

TEST(Report, WavesOfBootsAreToldByTheirSteps) {
  Record record;
  record.pools = {{.name = "debian-12:1", .driver = "nbd"}};
  record.workloads = {{.name = "node-boot", .in_operations = true, .in_seconds = true}};
  for (const unsigned size : {1U, 2U, 4U}) {
    bench::Run run{"debian-12:1", "node-boot", size, 1, "", {}};
    for (unsigned i = 0; i < size; ++i) {
      const double ready = 40.0 + 10 * size + i;
      run.parts.push_back({.node = fmt::format("node{}", i),
                           .operations = 1,
                           .seconds = ready,
                           .steps = {{"dhcp", 3}, {"kernel", 10.0 + size}, {"ready", ready}},
                           .http_bytes = 12'000'000,
                           .root_bytes = i == 0 ? std::optional<std::uint64_t>(20'000'000) : std::nullopt});
    }
    record.runs.push_back(run);
  }
  record.runs.back().parts[3] = {.node = "node3", .error = "no kernel", .steps = {{"dhcp", 3}}};
  const auto again = read_record(write_record(record)).value();
  EXPECT_EQ(write_record(again), write_record(record));
  const auto story = tell(again);
  const auto text = text_of(story, 200);
  EXPECT_THAT(text, testing::ContainsRegex(
                        "at once +boots +dhcp +kernel +ready, s +interval +longest +HTTP, MB +root, MB +failed"));
  EXPECT_THAT(text, testing::ContainsRegex("2 +2 +3 +12 +60.5 .* 61 +12 +20 +0"));
  EXPECT_THAT(text, testing::ContainsRegex("4 +3 +3 +14 +81 .* 82 +12 +20 +1"));
  EXPECT_THAT(text, HasSubstr("Of 6 boots 0 weren't counted by HTTP and 3 not by their root"));
  EXPECT_THAT(html_of(story), HasSubstr("<svg"));
  EXPECT_TRUE(json_report(again)["refused"].empty()) << "it is no curve of rates";
}

TEST(Report, TooFewNumbersOfNodesAreTold) {
  auto record = record_of(3);
  record.pools = {{"fast", "moosefs", "", 5, 200e6, 0, 1}};
  add_runs(record, "fast", sweep(Usl{20e6, 0, 0}, 3, 3, 0.01, 3));
  EXPECT_THAT(text_of(tell(record)), HasSubstr("a curve takes 4 numbers of nodes"));
  const auto json = json_report(record);
  EXPECT_TRUE(json["scaling"].empty());
  EXPECT_EQ(json["refused"].size(), 1U);
}

TEST(Report, MoreThanInProportionIsTold) {
  auto record = record_of(6);
  record.pools = {{"fast", "moosefs", "", 0, 0, 0, 1}};
  std::vector<ScalePoint> points;
  for (int n = 1; n <= 6; ++n) points.push_back({1.0 * n, 1e6 * std::pow(n, 1.5)});
  add_runs(record, "fast", points);
  EXPECT_THAT(text_of(tell(record)), HasSubstr("caches"));
}

TEST(Report, ThePageNeedsNothingFromElsewhereAndRunsNothing) {
  auto record = two_pools();
  record.pools[1].layout = "<script>alert(1)</script>";
  record.notes.push_back("\x1b[2Jgone");
  const auto story = tell(record);
  const auto html = html_of(story);
  EXPECT_THAT(html, HasSubstr("<svg"));
  EXPECT_THAT(html, HasSubstr("&lt;script&gt;"));
  for (const std::string none : {"<script", "src=", "href=", "@import", "url("})
    EXPECT_THAT(html, Not(HasSubstr(none)));
  EXPECT_THAT(text_of(story), Not(HasSubstr("\x1b")));
  const auto svgs = svgs_of(story);
  ASSERT_EQ(svgs.size(), 2U);
  EXPECT_EQ(svgs[1].first, "image-write-on-fast.svg");
}

TEST(Report, JsonHoldsWhatWasMeasuredAndWhatFollows) {
  const auto json = json_report(two_pools());
  ASSERT_EQ(json["scaling"].size(), 2U);
  EXPECT_EQ(json["scaling"][1]["form"], "hard_limit");
  EXPECT_EQ(json["scaling"][1]["bottleneck"], "the servers' links");
  EXPECT_EQ(json["comparisons"].size(), 8U);
  EXPECT_EQ(json["record"]["runs"].size(), 49U);
  EXPECT_FALSE(json.dump().empty());
}

TEST(Report, RecordsBesideEachOtherAndPredictions) {
  const auto a = two_pools();
  auto b = a;
  b.name = "r2";
  b.workloads[0].direct = true;
  const auto comparison = compare_records(a, b);
  ASSERT_TRUE(comparison);
  EXPECT_THAT(text_of(tell(a, b, *comparison)), HasSubstr("not comparable: one through the page cache"));
  const auto scaling = study_scaling(a, "image-write", "fast");
  const Sizes sizes{.clients = 40, .servers = 20};
  const auto prediction = predict(a, *scaling, sizes);
  ASSERT_TRUE(prediction);
  const auto text = text_of(tell(a, *scaling, sizes, *prediction));
  EXPECT_THAT(text, HasSubstr("40 clients"));
  EXPECT_THAT(text, HasSubstr("What this assumes"));
}

}  // namespace
}  // namespace bridgehead::bench
