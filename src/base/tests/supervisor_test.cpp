#include "base/supervisor.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <mutex>
#include <thread>

#include "base/file.h"

namespace bridgehead {
namespace {

using namespace std::chrono_literals;

bool eventually_so(const std::function<bool()>& condition, std::chrono::milliseconds within = 60s) {
  const auto deadline = std::chrono::steady_clock::now() + within;
  while (std::chrono::steady_clock::now() < deadline) {
    if (condition()) return true;
    std::this_thread::sleep_for(5ms);
  }
  return condition();
}

bool process_lives(int pid) {
  if (::kill(pid, 0) != 0) return false;
  const auto stat = read_file(fmt::format("/proc/{}/stat", pid));
  return stat && stat->find(") Z ") == std::string::npos;
}

ServiceSpec shell(std::string name, std::string script) {
  ServiceSpec spec{.name = std::move(name), .command = {.program = "sh", .arguments = {"-c", std::move(script)}}};
  spec.restart_first = 20ms;
  spec.restart_last = 100ms;
  spec.stop_grace = 300ms;
  return spec;
}

struct Lines {
  std::mutex mutex;
  std::vector<std::string> lines;
  void operator()(std::string_view line) {
    const std::lock_guard lock(mutex);
    lines.emplace_back(line);
  }
  std::size_t count(std::string_view line) {
    const std::lock_guard lock(mutex);
    return static_cast<std::size_t>(std::count(lines.begin(), lines.end(), line));
  }
};

class SupervisorTest : public ::testing::Test {
 protected:
  SystemClock clock;
  Lines lines;
  Supervisor supervisor{clock};
};

TEST_F(SupervisorTest, ReadsLinesOfBothStreams) {
  auto spec = shell("talker", "echo out; echo err >&2; printf 'no end'; exec sleep 60");
  spec.on_line = std::ref(lines);
  ASSERT_TRUE(supervisor.start(spec));
  EXPECT_TRUE(eventually_so([&] { return lines.count("out") == 1 && lines.count("err") == 1; }));
  const auto status = supervisor.status("talker");
  ASSERT_TRUE(status);
  EXPECT_EQ(status->state, ServiceState::running);
  EXPECT_TRUE(process_lives(status->pid));
  EXPECT_EQ(status->restarts, 0u);
  supervisor.stop("talker");
  EXPECT_EQ(lines.count("no end"), 1u) << "what it said last isn't lost";
  EXPECT_FALSE(process_lives(status->pid));
  EXPECT_FALSE(supervisor.status("talker"));
}

TEST_F(SupervisorTest, StartsAgainWhatIsKilledOrEnds) {
  auto spec = shell("victim", "echo up; exec sleep 60");
  spec.on_line = std::ref(lines);
  ASSERT_TRUE(supervisor.start(spec));
  ASSERT_TRUE(eventually_so([&] { return lines.count("up") == 1; }));
  const int first = supervisor.status("victim")->pid;
  ::kill(first, SIGKILL);
  ASSERT_TRUE(eventually_so([&] {
    const auto status = supervisor.status("victim");
    return status->state == ServiceState::running && status->restarts == 1;
  }));
  EXPECT_EQ(supervisor.status("victim")->last_exit, "killed by signal 9: up");
  EXPECT_NE(supervisor.status("victim")->pid, first);
}

TEST_F(SupervisorTest, WaitsLongerEachTime) {
  auto spec = shell("failing", "echo bad configuration; exit 3");
  spec.on_line = std::ref(lines);
  const auto begin = std::chrono::steady_clock::now();
  ASSERT_TRUE(supervisor.start(spec));
  ASSERT_TRUE(eventually_so([&] { return lines.count("bad configuration") >= 7; }));
  // Before the second and later starts: 20, 40, 80, 100, 100, 100 ms. How long the starts take is the machine's.
  EXPECT_GE(std::chrono::steady_clock::now() - begin, 440ms);
  EXPECT_EQ(supervisor.status("failing")->last_exit, "exit code 3: bad configuration");
}

TEST_F(SupervisorTest, KillsWhatIgnoresSigterm) {
  auto spec = shell("stubborn", "trap '' TERM; echo up; while :; do sleep 0.05; done");
  spec.on_line = std::ref(lines);
  ASSERT_TRUE(supervisor.start(spec));
  ASSERT_TRUE(eventually_so([&] { return lines.count("up") == 1; }));
  const int pid = supervisor.status("stubborn")->pid;
  supervisor.stop("stubborn");
  EXPECT_FALSE(process_lives(pid));
}

TEST_F(SupervisorTest, SignalsReachIt) {
  auto spec = shell("reloading", "trap 'echo reloaded' HUP; echo up; while :; do sleep 0.02; done");
  spec.on_line = std::ref(lines);
  ASSERT_TRUE(supervisor.start(spec));
  ASSERT_TRUE(eventually_so([&] { return lines.count("up") == 1; }));
  ASSERT_TRUE(supervisor.signal("reloading", SIGHUP));
  EXPECT_TRUE(eventually_so([&] { return lines.count("reloaded") == 1; }));
  EXPECT_EQ(supervisor.signal("nobody", SIGHUP).error().code, ErrorCode::not_found);
}

TEST_F(SupervisorTest, RestartIsAtOnceAndTheSameSpecIsLeftAlone) {
  auto spec = shell("one", "exec sleep 60");
  spec.restart_first = 30s;
  ASSERT_TRUE(supervisor.start(spec));
  const int first = supervisor.status("one")->pid;
  ASSERT_TRUE(supervisor.start(spec));
  EXPECT_EQ(supervisor.status("one")->pid, first);
  ASSERT_TRUE(supervisor.restart("one"));
  ASSERT_TRUE(eventually_so([&] { return supervisor.status("one")->restarts == 1; }));
  const int second = supervisor.status("one")->pid;
  EXPECT_NE(second, first);
  spec.command.environment["CHANGED"] = "1";
  ASSERT_TRUE(supervisor.start(spec));
  EXPECT_NE(supervisor.status("one")->pid, second);
  EXPECT_FALSE(process_lives(second));
}

TEST_F(SupervisorTest, WhatCannotStartIsSaidAndNotKept) {
  ServiceSpec spec{.name = "ghost", .command = {.program = "no-such-program-anywhere"}};
  const auto started = supervisor.start(spec);
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().code, ErrorCode::not_found) << started.error().describe();
  EXPECT_TRUE(supervisor.all().empty());
  spec = shell("nobody", "true");
  spec.run_as = RunAs{.user = "no-such-user"};
  EXPECT_EQ(supervisor.start(spec).error().code, ErrorCode::not_found);
}

// A process with a Supervisor is killed by SIGKILL: what it ran must end, even as another user.
TEST(SupervisorDeath, ServicesDieWithUs) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  const bool as_root = ::geteuid() == 0;
  const pid_t child = ::fork();
  if (child == 0) {
    const SystemClock clock;
    Supervisor supervisor(clock);
    // It asks to live on, as nbdkit does in its way; that must not help it.
    auto spec = shell("orphan", "exec setpriv --pdeathsig clear sleep 60");
    if (as_root) spec.run_as = RunAs{.user = "nobody", .capabilities = {10}};  // CAP_NET_BIND_SERVICE
    const auto started = supervisor.start(spec);
    const int pid = started ? supervisor.status("orphan")->pid : -1;
    if (::write(ends[1], &pid, sizeof pid) != sizeof pid) ::_exit(1);
    ::pause();
    ::_exit(0);
  }
  int pid = -1;
  ASSERT_EQ(::read(ends[0], &pid, sizeof pid), static_cast<ssize_t>(sizeof pid));
  ::close(ends[0]);
  ::close(ends[1]);
  ASSERT_GT(pid, 0);
  EXPECT_TRUE(process_lives(pid));
  if (as_root) {
    const auto status = read_file(fmt::format("/proc/{}/status", pid));
    ASSERT_TRUE(status);
    EXPECT_NE(status->find("Uid:\t65534\t65534"), std::string::npos) << *status;
    EXPECT_NE(status->find("CapEff:\t0000000000000400"), std::string::npos) << *status;
  }
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  EXPECT_TRUE(eventually_so([&] { return !process_lives(pid); }));
}

}  // namespace
}  // namespace bridgehead
