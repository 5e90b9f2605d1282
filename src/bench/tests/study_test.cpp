#include "bench/study.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "bench/tests/sweeps.h"

namespace bridgehead::bench {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;

PoolFacts moosefs(unsigned servers = 5) { return {"fast", "moosefs", "", servers, 200e6, 0, 1}; }
PoolFacts nfs() { return {"nfs1", "nfs", "", 1, 200e6, 0, 1}; }

// Five servers of 200 Mbit/s: 125 MB/s; each of the clients gets 24 at most.
Record shaped_sweep(int nodes = 10) {
  auto record = record_of(nodes);
  record.pools.push_back(moosefs());
  add_runs(record, "fast", sweep(Bend{24e6, 118e6}, nodes, 3, 0.02, 3));
  return record;
}

TEST(Rate, IsWhatWasMovedFromTheFirstBeginToTheLastEnd) {
  bench::Run run{"p", "image-write", 2, 1, "", {}};
  run.parts.push_back({"a", 100, 1, 0.5, 9, 0, 0, {}, {}, ""});
  run.parts.push_back({"b", 300, 1, 0.0, 8, 0, 0, {}, {}, ""});
  EXPECT_DOUBLE_EQ(rate_of(run, large_write()), 400 / 9.5);
  EXPECT_DOUBLE_EQ(run.skew(), 0.5);
  EXPECT_TRUE(run.complete());
  run.parts[1].error = "gone";
  EXPECT_FALSE(run.complete());
  run.parts.pop_back();
  EXPECT_FALSE(run.complete()) << "a node without a figure was lost";
}

TEST(Groups, HoldRepetitionsInTheirOrderAndCountLostRuns) {
  auto record = record_of(2);
  record.pools = {nfs(), moosefs()};
  for (const double rate : {10e6, 11e6, 10.5e6, 10.2e6, 30e6}) {
    record.runs.push_back(run_of("fast", "image-write", 2, static_cast<unsigned>(record.runs.size() + 1), rate));
  }
  record.runs.push_back(run_of("nfs1", "image-write", 2, 1, 5e6));
  record.runs.back().parts.back().error = "the node was lost";
  const auto groups = groups_of(record);
  ASSERT_EQ(groups.size(), 2U);
  EXPECT_EQ(groups[0].pool, "nfs1") << "as the record names the pools";
  EXPECT_EQ(groups[0].lost, 1U);
  EXPECT_TRUE(groups[0].rates.empty());
  EXPECT_NEAR(groups[1].rate.median, 10.5e6, 1);
  EXPECT_THAT(groups[1].rate.outliers, testing::ElementsAre(4U));
  EXPECT_NEAR(*groups[1].cpu_busy, 0.2, 1e-9);
}

TEST(ComparePools, RatiosStandBesideTheNfsPool) {
  auto record = record_of(3);
  record.pools = {moosefs(), nfs()};
  for (unsigned i = 1; i <= 5; ++i) {
    record.runs.push_back(run_of("nfs1", "image-write", 3, i, 24e6 + 1e4 * i));
    record.runs.push_back(run_of("fast", "image-write", 3, i, 108e6 + 1e4 * i));
  }
  const auto rows = compare_pools(record);
  ASSERT_EQ(rows.size(), 1U);
  EXPECT_EQ(rows[0].a, "nfs1");
  ASSERT_TRUE(rows[0].ratio) << rows[0].refusal;
  EXPECT_NEAR(rows[0].ratio->value, 4.5, 0.05);
  EXPECT_TRUE(rows[0].ratio->distinct());
}

TEST(ComparePools, WhatWouldMisleadIsRefusedWithItsReason) {
  auto record = record_of(2);
  record.pools = {nfs(), moosefs()};
  for (unsigned i = 1; i <= 3; ++i) {
    record.runs.push_back(run_of("nfs1", "image-write", 2, i, 24e6));
    record.runs.push_back(run_of("fast", "image-write", 2, i, 48e6));
  }
  const auto refusal = [](const Record& of) {
    const auto rows = compare_pools(of);
    return rows.size() == 1 && !rows[0].ratio ? rows[0].refusal : "";
  };
  ASSERT_TRUE(compare_pools(record).at(0).ratio);
  auto busy = record;
  for (auto& run : busy.runs) {
    if (run.pool == "fast") run.parts[1].cpu_busy = 0.97;
  }
  EXPECT_THAT(refusal(busy), HasSubstr("CPUs were the limit (97 % busy)"));
  auto copies = record;
  copies.pools[1].copies = 2;
  EXPECT_THAT(refusal(copies), HasSubstr("1 copies of each block against 2"));
  auto lost = record;
  for (auto& run : lost.runs) {
    if (run.pool == "nfs1") run.parts.pop_back();
  }
  EXPECT_THAT(refusal(lost), HasSubstr("no run on nfs1 was complete"));
}

TEST(CompareRecords, OtherSettingsAndOtherHostsAreRefusedOthersWarned) {
  const auto a = shaped_sweep(3);
  auto b = a;
  b.name = "r2";
  b.nodes[0].kernel = "6.12.0";
  const auto same = compare_records(a, b);
  ASSERT_TRUE(same);
  ASSERT_EQ(same->rows.size(), 3U);
  EXPECT_NEAR(same->rows[0].ratio->value, 1, 0.05);
  EXPECT_FALSE(same->rows[0].ratio->distinct());
  EXPECT_THAT(same->warnings, Contains(HasSubstr("kernel")));

  auto blocks = b;
  blocks.workloads[0].block_bytes = 4096;
  EXPECT_EQ(compare_records(a, blocks)->rows[0].refusal, "blocks of another size");
  auto hosts = b;
  for (auto& node : hosts.nodes) node.cpus = 4;
  const auto other = compare_records(a, hosts);
  EXPECT_EQ(other->rows[0].refusal, "hosts of 8 CPUs against 4");
  EXPECT_FALSE(other->rows[0].ratio);

  auto nothing = b;
  nothing.runs.clear();
  const auto none = compare_records(a, nothing);
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code, ErrorCode::failed_precondition);
}

TEST(CompareRecords, GuestsBesideNodesAreOnlyComparedWhereThatIsAskedFor) {
  const auto nodes = shaped_sweep(3);
  auto guests = nodes;
  guests.name = "through-guests";
  for (auto& node : guests.nodes) node.guest = "kvm";
  guests.workloads[0].what += "; in a guest";
  auto emulated = guests;
  for (auto& node : emulated.nodes) node.guest = "emulated";

  const auto refused = compare_records(nodes, guests);
  EXPECT_THAT(refused->rows[0].refusal, HasSubstr("through guests' disks, the other on the nodes"));
  EXPECT_FALSE(refused->rows[0].ratio);
  EXPECT_THAT(compare_records(guests, emulated)->rows[0].refusal, HasSubstr("emulated guests against"));
  const auto asked = compare_records(nodes, guests, true);
  EXPECT_EQ(asked->rows[0].refusal, "");
  EXPECT_TRUE(asked->rows[0].ratio);
  EXPECT_THAT(asked->warnings, Contains(HasSubstr("about that way, not about the storage")));

  for (auto& run : emulated.runs) {
    for (auto& part : run.parts) part.cpu_busy = 0.97;
  }
  EXPECT_THAT(compare_records(emulated, emulated)->rows[0].refusal, HasSubstr("the CPU of the emulated guests"));
  EXPECT_EQ(read_record(write_record(emulated))->nodes[0].guest, "emulated");
}

TEST(Study, TheServersLinksAreNamedAsTheBottleneck) {
  const auto scaling = study_scaling(shaped_sweep(), "image-write", "fast");
  ASSERT_TRUE(scaling) << scaling.error().message;
  EXPECT_EQ(scaling->form, Form::bend);
  EXPECT_EQ(scaling->diagnosis.bottleneck, "the servers' links");
  EXPECT_THAT(scaling->diagnosis.advice, HasSubstr("More storage servers"));
  EXPECT_NEAR(scaling->bend.bend.limit / 118e6, 1, 0.03);
  ASSERT_TRUE(scaling->validation);
  EXPECT_EQ(scaling->validation->fitted_up_to, 5);
  EXPECT_LT(scaling->validation->mean_error, 0.08) << "the bend is where the half ends; the servers' links are known";
}

TEST(Study, ClientsThatAreTheLimitAreNamed) {
  auto links = record_of(6);
  for (auto& node : links.nodes) node.link_bits = 200e6;
  links.pools.push_back(moosefs(50));
  add_runs(links, "fast", sweep(Usl{24e6, 0, 0}, 6, 3, 0.01, 5));
  EXPECT_EQ(study_scaling(links, "image-write", "fast")->diagnosis.bottleneck, "the clients' links");

  auto busy = shaped_sweep();
  for (auto& run : busy.runs) run.parts[0].cpu_busy = 0.98;
  const auto scaling = study_scaling(busy, "image-write", "fast");
  EXPECT_EQ(scaling->diagnosis.bottleneck, "the clients' CPUs");
  const auto prediction = predict(busy, *scaling, {.clients = 20});
  ASSERT_FALSE(prediction);
  EXPECT_THAT(prediction.error().message, HasSubstr("nothing of the storage"));
}

TEST(Study, WhatGrowsStillAndWhatFallsIsTold) {
  auto record = record_of(8);
  record.pools.push_back(moosefs(500));
  add_runs(record, "fast", sweep(Usl{20e6, 0, 0}, 8, 3, 0.01, 5));
  EXPECT_EQ(study_scaling(record, "image-write", "fast")->diagnosis.bottleneck, "nothing yet");
  record.runs.clear();
  add_runs(record, "fast", sweep(Usl{20e6, 0.1, 0.1}, 8, 3, 0.01, 5));
  EXPECT_EQ(study_scaling(record, "image-write", "fast")->diagnosis.bottleneck, "the nodes hinder each other");
  EXPECT_EQ(study_scaling(record, "image-read", "fast").error().code, ErrorCode::not_found);
}

TEST(Study, ARunThatLostANodeIsLeftOut) {
  auto record = shaped_sweep();
  const auto whole = study_scaling(record, "image-write", "fast");
  auto lost = run_of("fast", "image-write", 10, 4, 60e6);
  lost.parts.pop_back();
  record.runs.push_back(lost);
  const auto scaling = study_scaling(record, "image-write", "fast");
  ASSERT_TRUE(scaling && whole);
  EXPECT_EQ(scaling->fit.left_out, 1U);
  EXPECT_DOUBLE_EQ(scaling->bend.bend.limit, whole->bend.bend.limit);
}

TEST(Predict, ServersAndLinksScaleTheLimitThatTheyWere) {
  const auto record = shaped_sweep();
  const auto scaling = study_scaling(record, "image-write", "fast");
  ASSERT_TRUE(scaling);
  // Enough clients: four times the servers, four times the rate.
  const auto four = predict(record, *scaling, {.clients = 40, .servers = 20});
  ASSERT_TRUE(four) << four.error().message;
  EXPECT_NEAR(four->rate / (4 * 118e6), 1, 0.03);
  EXPECT_LE(four->interval.low, 4 * 118e6);
  EXPECT_GE(four->interval.high, 4 * 118e6);
  EXPECT_EQ(four->limited_by, "the servers");
  EXPECT_NEAR(four->best_clients, 20, 1);
  EXPECT_THAT(four->assumptions, Contains(HasSubstr("Each of 20 servers")));
  EXPECT_THAT(four->assumptions, Contains(HasSubstr("more than three times")));
  // Few clients: their own pace.
  const auto few = predict(record, *scaling, {.clients = 5, .servers = 20, .server_bits = 25e9});
  ASSERT_TRUE(few);
  EXPECT_NEAR(few->rate / (5 * 24e6), 1, 0.03);
  EXPECT_EQ(few->limited_by, "each client's own pace");
  const auto slow = predict(record, *scaling, {.clients = 5, .client_bits = 80e6});
  EXPECT_NEAR(slow->rate / 50e6, 1, 1e-6) << "5 links of 10 MB/s";
}

TEST(Predict, TheTruthLiesInTheIntervalAsOftenAsItSays) {
  int covered = 0;
  constexpr int kSeeds = 40;
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    auto record = record_of(10);
    record.pools.push_back(moosefs(100));
    const Usl truth{20e6, 0.06, 0.001};
    add_runs(record, "fast", sweep(truth, 10, 3, 0.03, seed));
    const auto scaling = study_scaling(record, "image-write", "fast", {.resamples = 200, .seed = seed});
    ASSERT_TRUE(scaling);
    const auto prediction = predict(record, *scaling, {.clients = 14});
    ASSERT_TRUE(prediction);
    covered += truth.at(14) >= prediction->interval.low && truth.at(14) <= prediction->interval.high;
  }
  EXPECT_GE(covered, kSeeds * 85 / 100);
}

TEST(Predict, WhatIsntKnownIsAskedFor) {
  auto record = shaped_sweep();
  record.pools[0].servers = 0;
  const auto scaling = study_scaling(record, "image-write", "fast");
  ASSERT_TRUE(scaling);
  const auto servers = predict(record, *scaling, {.clients = 40, .servers = 20});
  ASSERT_FALSE(servers);
  EXPECT_THAT(servers.error().hint, HasSubstr("--measured-servers"));
  record.pools[0].server_link_bits = 0;
  EXPECT_THAT(predict(record, *scaling, {.clients = 40, .server_bits = 1e9}).error().hint, HasSubstr("--measured-nic"));
  EXPECT_EQ(predict(record, *scaling, {.clients = 0}).error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(predict(record, *scaling, {.clients = 5, .servers = 0}).error().code, ErrorCode::invalid_argument);

  auto endless = record_of(6);
  endless.pools.push_back({"fast", "moosefs", "", 0, 0, 0, 0});
  add_runs(endless, "fast", sweep(Usl{20e6, 0, 0}, 6, 3, 0.0, 5));
  const auto grows = study_scaling(endless, "image-write", "fast");
  ASSERT_TRUE(grows);
  const auto guess = predict(endless, *grows, {.clients = 400});
  ASSERT_FALSE(guess);
  EXPECT_THAT(guess.error().message, HasSubstr("nothing held the rate"));
}

}  // namespace
}  // namespace bridgehead::bench
