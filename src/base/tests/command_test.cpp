#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <thread>

#include "base/command.h"
#include "base/fd.h"

namespace bridgehead {
namespace {

TEST(Command, DescribesItselfQuoted) {
  const Command command{.program = "qemu-img", .arguments = {"info", "a b", "it's", ""}};
  EXPECT_EQ(command.describe(), "qemu-img info 'a b' 'it'\\''s' ''");
}

TEST(Command, ArgumentsNeverMeetAShell) {
  SystemCommandRunner runner;
  const auto output = runner.run({.program = "printf", .arguments = {"%s", "$(id); `id` 'x' \"y\" \n *"}});
  ASSERT_TRUE(output) << output.error().message;
  EXPECT_EQ(output->out, "$(id); `id` 'x' \"y\" \n *");
}

TEST(Command, FeedsLargeInputAndReadsLargeOutput) {
  SystemCommandRunner runner;
  const std::string input(1 << 20, 'x');
  const auto output = runner.run({.program = "cat", .input = input});
  ASSERT_TRUE(output);
  EXPECT_EQ(output->out, input);
}

TEST(Command, InputStaysOpenForAsLongAsItIsAsked) {
  SystemCommandRunner runner;
  const auto before = SystemClock().now();
  const auto output =
      runner.run({.program = "cat", .input = "an order\n", .input_ends = before + std::chrono::milliseconds(300)});
  ASSERT_TRUE(output) << output.error().message;
  EXPECT_EQ(output->out, "an order\n");
  EXPECT_GE(SystemClock().now() - before, std::chrono::milliseconds(300));
  // Who ends first isn't held up.
  const auto early = runner.run({.program = "head",
                                 .arguments = {"-n", "1"},
                                 .input = "an order\n",
                                 .input_ends = before + std::chrono::hours(1)});
  ASSERT_TRUE(early) << early.error().message;
  EXPECT_EQ(early->out, "an order\n");
}

TEST(Command, EnvironmentIsAdded) {
  SystemCommandRunner runner;
  const auto output = runner.run({.program = "env", .environment = {{"BH_TEST", "1=2"}}});
  ASSERT_TRUE(output);
  EXPECT_NE(output->out.find("BH_TEST=1=2\n"), std::string::npos);
  EXPECT_NE(output->out.find("PATH="), std::string::npos);
}

TEST(Command, OpenFilesStayBehind) {
  const UniqueFd ours(::open("/dev/null", O_RDONLY));
  ASSERT_EQ(::dup2(ours.get(), 57), 57);  // without O_CLOEXEC, as from whoever started us
  const UniqueFd inherited(57);
  SystemCommandRunner runner;
  const auto output = runner.run({.program = "ls", .arguments = {"/proc/self/fd"}});
  ASSERT_TRUE(output) << output.error().message;
  EXPECT_EQ(output->out, "0\n1\n2\n3\n") << "3 is the directory";
}

TEST(Command, FailuresSayWhy) {
  SystemCommandRunner runner;
  EXPECT_EQ(runner.run({.program = "no-such-program"}).error().code, ErrorCode::not_found);
  const auto failed = runner.run({.program = "ls", .arguments = {"/no/such/path"}});
  ASSERT_FALSE(failed);
  EXPECT_NE(failed.error().message.find("/no/such/path"), std::string::npos);
  const auto allowed = runner.run({.program = "ls", .arguments = {"/no/such/path"}, .success_codes = {0, 2}});
  ASSERT_TRUE(allowed);
  EXPECT_EQ(allowed->exit_code, 2);
}

TEST(Command, TimeoutKillsTheWholeGroup) {
  SystemCommandRunner runner;
  const auto start = std::chrono::steady_clock::now();
  const auto output = runner.run(
      {.program = "sh", .arguments = {"-c", "sleep 60 & sleep 60"}, .timeout = std::chrono::milliseconds(200)});
  ASSERT_FALSE(output);
  EXPECT_EQ(output.error().code, ErrorCode::timeout);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(20));
}

TEST(Command, StopCancels) {
  SystemCommandRunner runner;
  std::stop_source source;
  std::jthread stopper([&] { source.request_stop(); });
  const auto output = runner.run({.program = "sleep", .arguments = {"60"}}, source.get_token());
  ASSERT_FALSE(output);
  EXPECT_EQ(output.error().code, ErrorCode::cancelled);
}

}  // namespace
}  // namespace bridgehead
