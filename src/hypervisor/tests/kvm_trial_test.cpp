#include "hypervisor/kvm_trial.h"

#include <gtest/gtest.h>

#include "base/testing/fake_command_runner.h"
#include "hypervisor/kvm_run.h"

namespace bridgehead::hypervisor {
namespace {

using bridgehead::testing::FakeCommandRunner;
using model::Virtualization;

KvmTrialOptions with_device() { return {.device = "/dev/null"}; }

TEST(KvmTrial, SuccessOnKvmIsEnough) {
  FakeCommandRunner commands;
  const auto result = try_kvm(commands, with_device());
  EXPECT_EQ(result.virtualization, Virtualization::kvm);
  EXPECT_EQ(result.message, "");
  ASSERT_EQ(commands.commands.size(), 1u);
  EXPECT_EQ(commands.commands[0].success_codes, std::vector<int>{85});
}

TEST(KvmTrial, FailureOnKvmFallsBackAndSaysWhy) {
  FakeCommandRunner commands;
  commands.answers.push_back(fail(ErrorCode::io_error, "qemu ended with 134:\nKVM internal error. Suberror: 1\n"));
  const auto result = try_kvm(commands, with_device());
  EXPECT_EQ(result.virtualization, Virtualization::tcg);
  EXPECT_NE(result.message.find("KVM internal error"), std::string::npos) << result.message;
}

TEST(KvmTrial, AHangIsAFailure) {
  FakeCommandRunner commands;
  commands.answers.push_back(fail(ErrorCode::timeout, "killed"));
  EXPECT_EQ(try_kvm(commands, with_device()).virtualization, Virtualization::tcg);
}

TEST(KvmTrial, NoDeviceIsEmulation) {
  FakeCommandRunner commands;
  const auto result = try_kvm(commands, {.device = "/nonexistent/kvm"});
  EXPECT_EQ(result.virtualization, Virtualization::tcg);
  EXPECT_NE(result.message.find("/nonexistent/kvm"), std::string::npos);
  ASSERT_EQ(commands.commands.size(), 1u);  // that emulation works is tried too
}

TEST(KvmTrial, NoQemuIsNone) {
  FakeCommandRunner commands;
  commands.answers.push_back(fail(ErrorCode::not_found, "no such program"));
  const auto result = try_kvm(commands, with_device());
  EXPECT_EQ(result.virtualization, Virtualization::none);
  EXPECT_NE(result.message.find("qemu-system-x86"), std::string::npos);
}

// The real payload on the real QEMU: emulation always runs it, so a "no" of KVM's is KVM's.
TEST(KvmTrial, PayloadReachesItsEndUnderEmulation) {
  SystemCommandRunner commands;
  const auto result = try_kvm(commands, {.device = "/nonexistent/kvm", .timeout = std::chrono::seconds(60)});
  EXPECT_EQ(result.virtualization, Virtualization::tcg) << result.message;
}

// No program of the machine's is QEMU here, but "true" is one.
TEST(KvmWithoutQemu, WhatIsNotThereOrIsNotKvmIsRefused) {
  const auto code = [](const KvmTrialOptions& options) { return try_kvm_without_qemu(options).error().code; };
  EXPECT_EQ(code({.qemu = "true", .device = "/nonexistent/kvm"}), ErrorCode::not_found);
  EXPECT_EQ(code({.qemu = "true", .device = "/dev/null"}), ErrorCode::unsupported);
  const auto no_qemu = try_kvm_without_qemu({.qemu = "no-such-qemu", .device = "/dev/null"});
  EXPECT_EQ(no_qemu.error().code, ErrorCode::not_found);
  EXPECT_NE(no_qemu.error().message.find("no-such-qemu"), std::string::npos) << no_qemu.error().message;
}

// Without QEMU between, KVM gives the same answer.
TEST(KvmWithoutQemu, AgreesWithQemu) {
  SystemCommandRunner commands;
  const KvmTrialOptions options{.timeout = std::chrono::seconds(60)};
  const auto direct = try_kvm_without_qemu(options);
  // It was the guest that failed, not the way it was made.
  if (!direct) {
    EXPECT_NE(direct.error().code, ErrorCode::invalid_argument) << direct.error().message;
  }
  const auto with_qemu = try_kvm(commands, options);
  EXPECT_EQ(direct.has_value(), with_qemu.virtualization == Virtualization::kvm)
      << (direct ? "" : direct.error().message) << " / " << with_qemu.message;
}

}  // namespace
}  // namespace bridgehead::hypervisor
