#include "hypervisor/kvm_trial.h"

#include <gtest/gtest.h>

#include "base/testing/fake_command_runner.h"

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

}  // namespace
}  // namespace bridgehead::hypervisor
