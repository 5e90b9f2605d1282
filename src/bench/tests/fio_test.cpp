#include "bench/fio.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace bridgehead::bench {
namespace {

using testing::HasSubstr;

// As fio 3.33 writes it, without what isn't read.
constexpr const char* kOutput = R"({
  "fio version" : "fio-3.33",
  "timestamp" : 1795943160,
  "timestamp_ms" : 1795943160130,
  "jobs" : [
    {
      "jobname" : "a", "error" : 0,
      "read" : { "io_bytes" : 0, "total_ios" : 0, "runtime" : 0, "clat_ns" : { "min" : 0 } },
      "write" : { "io_bytes" : 5242880, "bw_bytes" : 2028978, "total_ios" : 5, "runtime" : 2584,
        "clat_ns" : { "N" : 5, "percentile" : { "50.000000" : 312475648, "99.000000" : 826277888 } } },
      "trim" : { "io_bytes" : 0, "total_ios" : 0, "runtime" : 0 },
      "sync" : { "total_ios" : 0, "lat_ns" : { "N" : 0 } },
      "job_runtime" : 2583
    },
    {
      "jobname" : "b", "error" : 0,
      "write" : { "io_bytes" : 3145728, "total_ios" : 3, "runtime" : 3100,
        "clat_ns" : { "percentile" : { "50.000000" : 112475648, "99.000000" : 126277888 } } },
      "sync" : { "total_ios" : 3, "lat_ns" : { "percentile" : { "50.000000" : 1000000, "99.000000" : 900000000 } } }
    }
  ]
})";

TEST(Fio, JobsAddUpAndTheSlowestCounts) {
  const auto figures = read_fio(kOutput);
  ASSERT_TRUE(figures) << figures.error().message;
  EXPECT_EQ(figures->version, "fio-3.33");
  EXPECT_EQ(figures->bytes, 8388608U);
  EXPECT_EQ(figures->operations, 8U);
  EXPECT_DOUBLE_EQ(figures->seconds, 3.1);
  EXPECT_DOUBLE_EQ(figures->ended, 1795943160.130);
  EXPECT_NEAR(figures->p50_ms, 312.475648, 1e-9);
  EXPECT_NEAR(figures->p99_ms, 900, 1e-9);
}

TEST(Fio, WarningsBeforeTheFiguresAreSkipped) {
  EXPECT_TRUE(read_fio("fio: clock setaffinity failed {maybe}\nnote: both iodepth >= 1\n" + std::string(kOutput)));
}

TEST(Fio, WhatIsntFiguresIsTold) {
  const auto said = read_fio("fio: pid=0, err=28/file:filesetup.c:240, func=write, error=No space left on device");
  ASSERT_FALSE(said);
  EXPECT_THAT(said.error().message, HasSubstr("No space left"));
  for (const std::string wrong : {"", "{}", "{\"jobs\": []}", "{\"jobs\": [3]}", "{\"jobs\": {}}", "[]", "\n{"}) {
    const auto figures = read_fio(wrong);
    ASSERT_FALSE(figures) << wrong;
    EXPECT_EQ(figures.error().code, ErrorCode::data_corrupt) << wrong;
  }
  const std::string whole = kOutput;
  for (std::size_t length = 0; length < whole.size(); length += 7) EXPECT_FALSE(read_fio(whole.substr(0, length)));
}

TEST(Fio, AJobThatFailedOrDidNothingIsNoMeasurement) {
  const auto failed = read_fio(R"({"jobs": [{"error": 28, "write": {"io_bytes": 1, "total_ios": 1, "runtime": 5}}]})");
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code, ErrorCode::io_error);
  EXPECT_THAT(failed.error().message, HasSubstr("No space left"));
  const auto nothing = read_fio(R"({"jobs": [{"error": 0, "write": {"io_bytes": 0, "total_ios": 0, "runtime": 0}}]})");
  ASSERT_FALSE(nothing);
  EXPECT_EQ(nothing.error().code, ErrorCode::failed_precondition);
  EXPECT_FALSE(read_fio(R"({"jobs": [{"write": {"io_bytes": -4, "total_ios": 1, "runtime": 5}}]})"));
}

}  // namespace
}  // namespace bridgehead::bench
