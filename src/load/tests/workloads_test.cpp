#include "load/workloads.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace bridgehead::load {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;

const Size kSize{64_MiB, std::chrono::seconds(20)};

std::vector<std::string> arguments(const std::string& name) {
  return fio_command(*workload_of(name, kSize), {"/pool/bridgehead-bench-b1", "host1", "host2"}).arguments;
}

TEST(Workloads, WritesAreRandomDataThatIsSafeWhenItCounts) {
  const auto large = arguments("large-write");
  for (const char* one : {"--rw=write", "--refill_buffers=1", "--end_fsync=1", "--size=67108864", "--runtime=20",
                          "--filename=/pool/bridgehead-bench-b1/host1.data"}) {
    EXPECT_THAT(large, Contains(one));
  }
  EXPECT_THAT(large, Not(Contains("--time_based=1"))) << "it ends when all is through";
  for (const char* name : {"random-write", "mixed"}) {
    EXPECT_THAT(arguments(name), Contains("--fsync=1"));
    EXPECT_THAT(arguments(name), Contains("--refill_buffers=1"));
    EXPECT_THAT(arguments(name), Contains("--time_based=1"));
  }
}

TEST(Workloads, ReadsAreOfAnotherClientsFileAndMakeNone) {
  for (const char* name : {"large-read", "random-read"}) {
    EXPECT_THAT(arguments(name), Contains("--filename=/pool/bridgehead-bench-b1/host2.data"));
    EXPECT_THAT(arguments(name), Contains("--allow_file_create=0"));
    EXPECT_THAT(arguments(name), Contains("--invalidate=1"));
  }
}

TEST(Workloads, FioEndsWithItsClientAndInTime) {
  const auto command = fio_command(*workload_of("large-write", kSize), {"/p/bridgehead-bench-b1", "a", "b"});
  EXPECT_EQ(command.program, "setpriv");
  EXPECT_EQ(command.arguments[0], "--pdeathsig");
  EXPECT_THAT(command.arguments, Contains("--thread=1"));
  EXPECT_GE(command.timeout, 2 * kSize.seconds);
  EXPECT_LE(command.timeout, std::chrono::minutes(3));
}

TEST(Workloads, WhatCantBeIsRefused) {
  EXPECT_THAT(workload_of("huge-write", kSize).error().hint, HasSubstr("large-read"));
  EXPECT_FALSE(workload_of("large-write", {1_MiB, std::chrono::seconds(20)}));
  EXPECT_FALSE(workload_of("large-write", {64_MiB, std::chrono::seconds(0)}));
  EXPECT_FALSE(workload_of("large-write", {64_MiB, std::chrono::hours(25)}));
  for (const auto& name : workload_names()) EXPECT_TRUE(workload_of(name, kSize)) << name;
}

}  // namespace
}  // namespace bridgehead::load
