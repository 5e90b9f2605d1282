#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <thread>

#include "base/file.h"
#include "base/testing/fake_command_runner.h"
#include "lab/console.h"
#include "lab/lab.h"
#include "lab/lab_state.h"
#include "lab/machine_power.h"
#include "lab/process.h"
#include "lab/qmp.h"
#include "lab/removal.h"

namespace bridgehead::lab {
namespace {

using ::testing::HasSubstr;

class LabFiles : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(directory_); }
  Places places() const { return {directory_->path(), "lab1"}; }

  static LabState example() {
    LabState state{.name = "lab1",
                   .phase = Phase::up,
                   .created = *parse_rfc3339("2026-01-31T12:00:00.000Z"),
                   .boot_id = "b",
                   .subnet = *Subnet::parse("10.77.0.0/24"),
                   .upstream = Upstream::nat,
                   .forwarding_was_off = true,
                   .network_namespace_inode = 4026532000,
                   .accelerator = Accelerator::kvm,
                   .with_manager = true,
                   .manager_wanted = true,
                   .manager = {12, 34},
                   .netboot = true};
    state.machines.push_back({*make_machine("lab1", 1, {}), {56, 78}});
    state.machines.push_back({*make_machine("lab1", 2, {.firmware = Firmware::uefi_secure, .nics = 2}), {}});
    state.hosts.push_back({"host1", "10.77.0.10", 4026532001, {90, 12}});
    state.storage = {{StorageKind::nfs, {{"nfs", "10.77.0.11", 4026532002, {91, 12}}}, "nfs"},
                     {StorageKind::moosefs, {{"master", "10.77.0.12", 4026532003, {93, 12}}}, ""}};
    state.nic_mbit = 200;
    return state;
  }

  Result<TemporaryDirectory> directory_ = TemporaryDirectory::create("bridgehead-lab-test");
};

Daemon sleeping(const std::filesystem::path& log) {
  return {.command = {.program = "sleep", .arguments = {"1000"}}, .log = log};
}

TEST_F(LabFiles, StateIsKeptWhole) {
  const auto state = example();
  ASSERT_TRUE(make_directories(places().directory()));
  ASSERT_TRUE(save_state(places(), state));
  const auto loaded = load_state(places());
  ASSERT_TRUE(loaded) << loaded.error().describe();
  EXPECT_EQ(*loaded, state);
}

TEST_F(LabFiles, WhatIsNoRecordIsRefused) {
  const auto good = encode(example());
  for (const auto& [from, to] : std::map<std::string, std::string>{{"\"format\": 3", "\"format\": 2"},
                                                                   {"\"up\"", "\"down\""},
                                                                   {"\"m1\"", "\"../../etc\""},
                                                                   {"\"host1\"", "\"../../etc\""},
                                                                   {"[", "{"},
                                                                   {"\"10.77.0.0/24\"", "\"10.77\""}}) {
    auto bad = good;
    ASSERT_NE(bad.find(from), std::string::npos) << from;
    bad.replace(bad.find(from), from.size(), to);
    const auto decoded = decode(bad, "state.json");
    ASSERT_FALSE(decoded) << to;
    EXPECT_EQ(decoded.error().code, ErrorCode::data_corrupt);
  }
  EXPECT_EQ(load_state(places()).error().code, ErrorCode::not_found);
}

TEST_F(LabFiles, CrashesAreToldFromLabsThatRun) {
  auto state = example();
  const Found running{"b", 4026532000, true};
  EXPECT_EQ(why_crashed(state, running), "");
  EXPECT_EQ(why_crashed(state, {"c", 4026532000, true}), "the host was restarted");
  EXPECT_EQ(why_crashed(state, {"b", std::nullopt, true}), "its network namespace is gone");
  EXPECT_EQ(why_crashed(state, {"b", 4026532001, true}), "its network namespace is another one");
  EXPECT_EQ(why_crashed(state, {"b", 4026532000, false}), "its manager has ended");
  state.manager_wanted = false;  // after `manager stop`
  EXPECT_EQ(why_crashed(state, {"b", 4026532000, false}), "");
  state.phase = Phase::making;
  EXPECT_EQ(why_crashed(state, running), "'up' did not come to its end");
  state.phase = Phase::removing;
  EXPECT_EQ(why_crashed(state, running), "'down' did not come to its end");
}

TEST_F(LabFiles, OneWorksOnALabAtATime) {
  {
    const auto lock = LabLock::acquire(places(), LabLock::Directory::create, std::chrono::seconds(0));
    ASSERT_TRUE(lock);
    EXPECT_TRUE(lock->created());
    EXPECT_TRUE(is_locked(places()));
    const auto second = LabLock::acquire(places(), LabLock::Directory::create, std::chrono::seconds(0));
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code, ErrorCode::conflict);
  }
  EXPECT_FALSE(is_locked(places()));
  const auto again = LabLock::acquire(places(), LabLock::Directory::must_exist, std::chrono::seconds(0));
  ASSERT_TRUE(again);
  EXPECT_FALSE(again->created());
  const auto other = LabLock::acquire({directory_->path(), "lab2"}, LabLock::Directory::must_exist, {});
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().code, ErrorCode::not_found);
  EXPECT_EQ(list_labs(directory_->path()), std::vector<std::string>{"lab1"});
}

TEST_F(LabFiles, DirectoriesOfOthersAreLeftAlone) {
  ASSERT_TRUE(make_directories(places().directory()));
  ASSERT_TRUE(write_file_atomic(places().directory() / "thesis", "years of work"));
  const auto removed = remove_unrecorded(places());
  ASSERT_FALSE(removed);
  EXPECT_THAT(removed.error().message, HasSubstr("no lab's record"));
  EXPECT_TRUE(std::filesystem::exists(places().directory() / "thesis"));
  ASSERT_TRUE(remove_file(places().directory() / "thesis"));
  ASSERT_TRUE(write_file_atomic(places().state_file().native() + ".new", "{"));
  EXPECT_TRUE(remove_unrecorded(places()));
  EXPECT_FALSE(std::filesystem::exists(places().directory()));
}

TEST_F(LabFiles, AfterARestartOnlyFilesAreRemoved) {
  auto state = example();  // of another boot: its numbers are somebody else's now
  state.machines[0].process = *identify(::getpid());
  state.forwarding_was_off = true;
  ASSERT_TRUE(make_directories(places().machine("m1")));
  testing::FakeCommandRunner runner;
  ASSERT_TRUE(remove_lab(runner, places(), state));
  EXPECT_TRUE(runner.commands.empty());
  EXPECT_FALSE(std::filesystem::exists(places().directory()));
}

TEST(Process, StartTimeTellsTwoApart) {
  const auto self = identify(::getpid());
  ASSERT_TRUE(self);
  EXPECT_TRUE(is_running(*self));
  EXPECT_FALSE(is_running({self->pid, self->start_ticks + 1}));
  EXPECT_FALSE(is_running({}));
  // Not ended: it is another one's number.
  EXPECT_TRUE(end_process({self->pid, self->start_ticks + 1}, SIGKILL, {}));
}

TEST_F(LabFiles, DaemonsAreRecordedBeforeTheyRunAndEnd) {
  const auto log = directory_->path() / "log";
  ProcessId recorded;
  std::string command_then;
  const auto started = start_daemon(sleeping(log), [&](const ProcessId& process) -> Status {
    recorded = process;
    command_then = read_file(fmt::format("/proc/{}/comm", process.pid)).value_or("");
    return {};
  });
  ASSERT_TRUE(started) << started.error().describe();
  EXPECT_EQ(*started, recorded);
  EXPECT_NE(command_then, "sleep\n");
  EXPECT_EQ(read_file(fmt::format("/proc/{}/comm", recorded.pid)).value_or(""), "sleep\n");
  EXPECT_TRUE(is_running(recorded));
  EXPECT_NE(::getsid(recorded.pid), ::getsid(0));
  EXPECT_TRUE(end_process(recorded, SIGTERM, std::chrono::seconds(5)));
  EXPECT_FALSE(is_running(recorded));
}

TEST_F(LabFiles, ADaemonThatCannotBeRecordedNeverRuns) {
  const auto file = directory_->path() / "ran";
  ProcessId seen;
  const auto started =
      start_daemon({.command = {.program = "touch", .arguments = {file.native()}}, .log = directory_->path() / "log"},
                   [&](const ProcessId& process) -> Status {
                     seen = process;
                     return fail(ErrorCode::resource_exhausted, "the disk is full");
                   });
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().message, "the disk is full");
  EXPECT_TRUE(wait_for_end(seen, std::chrono::seconds(10)));
  EXPECT_FALSE(std::filesystem::exists(file));
}

TEST_F(LabFiles, AProgramThatIsNotThereIsNamed) {
  const auto started = start_daemon({.command = {.program = "/no/such/qemu"}, .log = directory_->path() / "log"},
                                    [](const ProcessId&) { return Status(); });
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().code, ErrorCode::not_found);
  EXPECT_THAT(started.error().message, HasSubstr("/no/such/qemu"));
}

// Plays QEMU's part of one conversation: each line that comes in is answered by the next text.
class FakeQmp {
 public:
  FakeQmp(const std::filesystem::path& path, std::vector<std::string> answers)
      : listener_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.c_str(), path.native().size() + 1);
    EXPECT_EQ(::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(::listen(listener_.get(), 1), 0);
    thread_ = std::jthread([this, answers = std::move(answers)] {
      const UniqueFd peer(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      for (const auto& answer : answers) {
        if (!write_all(peer.get(), answer, "peer")) return;
        char buffer[4096];
        const auto got = ::read(peer.get(), buffer, sizeof buffer);
        if (got <= 0) return;
        received.append(buffer, static_cast<std::size_t>(got));
      }
    });
  }
  std::string received;

 private:
  UniqueFd listener_;
  std::jthread thread_;
};

constexpr char kGreeting[] = "{\"QMP\": {\"version\": {}, \"capabilities\": []}}\r\n";

TEST_F(LabFiles, QmpSkipsEventsAndTellsRefusals) {
  const auto socket = directory_->path() / "qmp.sock";
  {
    FakeQmp qemu(socket,
                 {kGreeting, "{\"return\": {}}\r\n", "{\"event\": \"RESET\"}\r\n{\"return\": {\"running\": true}}\r\n",
                  "{\"error\": {\"class\": \"GenericError\", \"desc\": \"not now\"}}\r\n"});
    auto qmp = Qmp::connect(socket);
    ASSERT_TRUE(qmp) << qmp.error().describe();
    const auto status = qmp->execute("query-status");
    ASSERT_TRUE(status) << status.error().describe();
    EXPECT_TRUE(status->at("running").get<bool>());
    const auto refused = qmp->execute("system_reset");
    ASSERT_FALSE(refused);
    EXPECT_THAT(refused.error().message, HasSubstr("not now"));
  }
  EXPECT_EQ(Qmp::connect(socket).error().code, ErrorCode::unavailable);
}

TEST_F(LabFiles, QmpWaitsNoLongerThanAllowed) {
  const auto socket = directory_->path() / "qmp.sock";
  FakeQmp qemu(socket, {kGreeting, ""});
  const auto qmp = Qmp::connect(socket, std::chrono::milliseconds(50));
  ASSERT_FALSE(qmp);
  EXPECT_EQ(qmp.error().code, ErrorCode::timeout);
}

TEST_F(LabFiles, AMachineWhoseProcessEndedIsOff) {
  auto machine = LabMachine{*make_machine("lab1", 1, {}), {}};
  EXPECT_FALSE(is_on(machine));
  machine.process = *identify(::getpid());
  EXPECT_TRUE(is_on(machine));
  ++machine.process.start_ticks;
  EXPECT_FALSE(is_on(machine));
  const auto refused = reset(places(), machine);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::failed_precondition);
  int saved = 0;
  ASSERT_TRUE(switch_off(places(), machine, [&] {
    ++saved;
    return Status();
  }));
  EXPECT_EQ(saved, 1);
  EXPECT_EQ(machine.process, ProcessId{});
}

TEST_F(LabFiles, LogsEndAtTheLineThatWasWaitedFor) {
  const auto log = directory_->path() / "serial.log";
  EXPECT_EQ(show_log(log, {}).error().code, ErrorCode::not_found);
  ASSERT_TRUE(write_file_atomic(log, "one\n--- bridgehead-lab: m1 switched on at x ---\ntwo\n"));
  EXPECT_TRUE(show_log(log, {.last = true}));
  EXPECT_TRUE(show_log(log, {.follow = true, .until = "^tw[o]$"}));
  EXPECT_EQ(show_log(log, {.follow = true, .until = "three", .timeout = std::chrono::seconds(1)}).error().code,
            ErrorCode::timeout);
  EXPECT_EQ(show_log(log, {.until = "["}).error().code, ErrorCode::invalid_argument);
}

TEST_F(LabFiles, BadWishesChangeNothing) {
  testing::FakeCommandRunner runner;
  const auto nothing = [](const std::string&) {};
  const Places bad(directory_->path(), "Lab");
  EXPECT_EQ(bring_up(runner, bad, {}, nothing).error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(bring_up(runner, places(), {.subnet = "10.77.0.1/24"}, nothing).error().code, ErrorCode::invalid_argument);
  const UpOptions twins{.machines = {{.name = "a"}, {.name = "a"}}};
  EXPECT_EQ(bring_up(runner, places(), twins, nothing).error().code, ErrorCode::invalid_argument);
  EXPECT_TRUE(runner.commands.empty());
  EXPECT_TRUE(std::filesystem::is_empty(directory_->path()));
}

}  // namespace
}  // namespace bridgehead::lab
