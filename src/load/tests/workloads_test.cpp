#include "load/workloads.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace bridgehead::load {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

const Size kSize{64_MiB, std::chrono::seconds(20)};

std::vector<std::string> arguments(const std::string& name, const Size& size = kSize) {
  return fio_command(*workload_of(name, size), size, {"/pool/b1/host1", "/pool/b1/host2", "/tmp/gate"}, {}).arguments;
}

TEST(Workloads, WritesAreRandomDataThatIsSafeWhenItCounts) {
  const auto large = arguments("image-write");
  for (const char* one : {"--rw=write", "--refill_buffers=1", "--end_fsync=1", "--size=67108864", "--runtime=20",
                          "--directory=/pool/b1/host1", "--exec_prerun=read never; echo", "--chdir=/tmp/gate"}) {
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
  for (const char* name : {"image-read", "random-read"}) {
    EXPECT_THAT(arguments(name), Contains("--directory=/pool/b1/host2"));
    EXPECT_THAT(arguments(name), Contains("--allow_file_create=0"));
    EXPECT_THAT(arguments(name), Contains("--invalidate=1"));
  }
}

TEST(Workloads, FioEndsWithItsClientAndInTime) {
  const Timestamp at{std::chrono::seconds(7)};
  const auto command =
      fio_command(*workload_of("image-write", kSize), kSize, {"/p/b1/a:1", "/p/b1/b", "/tmp/gate"}, at);
  EXPECT_EQ(command.input_ends, at) << "it is ready before, and held";
  EXPECT_THAT(command.arguments, Contains("--directory=/p/b1/a\\:1"));
  EXPECT_EQ(command.program, "setpriv");
  EXPECT_EQ(command.arguments[0], "--pdeathsig");
  EXPECT_THAT(command.arguments, Contains("--thread=1"));
  EXPECT_GE(command.timeout, 2 * kSize.seconds);
  EXPECT_LE(command.timeout, std::chrono::minutes(3));
}

TEST(Workloads, WhatCantBeIsRefused) {
  EXPECT_THAT(workload_of("large-write", kSize).error().hint, HasSubstr("image-read"));
  EXPECT_FALSE(workload_of("image-write", {1_MiB, std::chrono::seconds(20)}));
  EXPECT_FALSE(workload_of("image-write", {64_MiB, std::chrono::seconds(0)}));
  EXPECT_FALSE(workload_of("image-write", {64_MiB, std::chrono::hours(25)}));
  EXPECT_FALSE(workload_of("image-write", {64_MiB, std::chrono::seconds(20), 0}));
  EXPECT_FALSE(workload_of("image-write", {64_MiB, std::chrono::seconds(20), 65}));
  EXPECT_FALSE(workload_of("image-write", {64_MiB, std::chrono::seconds(20), 4, 1_KiB}));
  for (const auto& name : workload_names()) EXPECT_TRUE(workload_of(name, kSize)) << name;
}

TEST(Workloads, UsersShareTheirNodesBytesAndItsRate) {
  const Size size{64_MiB, std::chrono::seconds(20), 4, 8_MiB};
  const auto users = arguments("users-write", size);
  for (const char* one : {"--numjobs=4", "--size=16777216", "--rate=2097152", "--filename_format=user.$jobnum"}) {
    EXPECT_THAT(users, Contains(one));
  }
  EXPECT_THAT(arguments("image-write", size), Contains("--rate=8388608"));
  EXPECT_THAT(arguments("users-read", size), Contains("--directory=/pool/b1/host2"));
  EXPECT_EQ(workload_of("users-read", size)->node_bytes, (64_MiB).count());
  EXPECT_EQ(prepared_by("users-read"), "users-write");
  EXPECT_EQ(prepared_by("random-read"), "image-write");
}

TEST(Workloads, OfFilesAllThreeBelongTogetherInTheirOrder) {
  EXPECT_THAT(*workloads_of({"file-delete", "image-read", "image-write"}),
              ElementsAre("image-write", "image-read", "file-create", "file-stat", "file-delete"));
  EXPECT_EQ(*workloads_of({"metadata"}), *workloads_of({"file-stat"}));
  EXPECT_THAT(arguments("file-create"), Contains("--nrfiles=500"));
  EXPECT_THAT(arguments("file-stat"), Contains("--ioengine=filestat"));
  EXPECT_TRUE(needs_small_files("file-delete"));
  EXPECT_FALSE(needs_small_files("file-create"));
  const Files some{"/pool/b1/host1", "/pool/b1/host2", "/tmp/gate", 123};
  EXPECT_THAT(fio_command(*workload_of("file-stat", kSize), kSize, some, {}).arguments, Contains("--nrfiles=123"));
  EXPECT_EQ(prepared_by("file-stat"), "");
  EXPECT_FALSE(workloads_of({}));
  EXPECT_THAT(workloads_of({"x"}).error().hint, HasSubstr("metadata"));
}

}  // namespace
}  // namespace bridgehead::load
