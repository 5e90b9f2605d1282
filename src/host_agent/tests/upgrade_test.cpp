// What an agent takes of an order to upgrade it, and what the installer makes of that; dpkg and systemd are played.
#include "host_agent/upgrade/agent_upgrade.h"

#include <gtest/gtest.h>

#include <functional>

#include "base/file.h"
#include "host_agent/upgrade/upgrade_install.h"
#include "storage/digest.h"

namespace bridgehead::host_agent {
namespace {

using model::UpgradeState;

std::string digest_of(const std::string& bytes) {
  storage::Sha256 digest;
  digest.update(std::string_view(bytes));
  return digest.hex();
}

// A Debian machine: what its programs say and do.
class Machine final : public CommandRunner {
 public:
  Result<CommandOutput> run(const Command& command, std::stop_token) override {
    const auto& arguments = command.arguments;
    const auto said = [](std::string text) { return CommandOutput{.out = std::move(text) + "\n"}; };
    told.push_back(command);
    if (command.program == "/usr/bin/dpkg-query") return said(status);
    if (command.program == "/usr/bin/dpkg" && arguments[0] == "--print-architecture") return said("amd64");
    if (command.program == "/usr/bin/dpkg-deb") return said(field(arguments[1], arguments[2]));
    if (command.program == "/usr/bin/systemctl" && arguments[0] == "is-active") {
      return installing ? Result<CommandOutput>(CommandOutput{}) : fail(ErrorCode::io_error, "inactive");
    }
    if (command.program == "/usr/bin/systemd-run") {
      if (!systemd_works) return fail(ErrorCode::io_error, "systemd-run ended with 1");
      installing = true;
    }
    if (command.program == "/usr/bin/dpkg") return install(*read_file(arguments.back()));
    return CommandOutput{};
  }

  // A package says what it is in its first words: "bridgehead-agent 0.2.0 amd64".
  std::string field(const std::string& path, const std::string& name) const {
    const auto content = *read_file(path);
    const auto first = content.find(' ');
    const auto second = content.find(' ', first + 1);
    if (name == "Package") return content.substr(0, first);
    if (name == "Version") return content.substr(first + 1, second - first - 1);
    if (name == "Architecture") return content.substr(second + 1, content.find('\n') - second - 1);
    return installed_kib;
  }
  std::size_t count(const std::string& program) const {
    return static_cast<std::size_t>(
        std::count_if(told.begin(), told.end(), [&](const auto& one) { return one.program == program; }));
  }

  std::vector<Command> told;
  std::string status = "installed";
  std::string installed_kib = "20000";
  bool systemd_works = true;
  bool installing = false;
  std::function<Result<CommandOutput>(const std::string&)> install = [](const std::string&) { return CommandOutput{}; };
};

class AgentUpgradeTest : public ::testing::Test {
 protected:
  AgentUpgradeTest() {
    EXPECT_TRUE(make_directories(directory_.path() / "run/systemd/system"));
    EXPECT_TRUE(make_directories(directory_.path() / "usr"));
    options_.state_dir = directory_.path() / "state";
    options_.root = directory_.path();
    options_.program = kInstalledAgent;
    options_.version = "0.1.0";
    agent_ = std::make_unique<AgentUpgrade>(options_, machine_);
  }
  model::UpgradeOrder order() const {
    return {.operation = model::OperationId("11"), .install = of("0.2.0", new_), .before = of("0.1.0", old_)};
  }
  static model::AgentPackage of(std::string version, const std::string& bytes) {
    return {.version = std::move(version), .size = bytes.size(), .sha256 = digest_of(bytes)};
  }
  // In pieces that end anywhere.
  Result<model::UpgradeAnswer> serve(const model::UpgradeOrder& order, std::optional<std::size_t> cut_off = {}) {
    auto bytes = text_of(order) + "\n";
    if (order.install) bytes += new_;
    if (order.before) bytes += old_;
    if (cut_off) bytes.resize(bytes.size() - *cut_off);
    return agent_->serve([&]() -> Result<std::string> {
      if (bytes.empty() && cut_off) return fail(ErrorCode::io_error, "the order was cut off");
      auto piece = bytes.substr(0, 7);
      bytes.erase(0, piece.size());
      return piece;
    });
  }
  std::string refused(const model::UpgradeOrder& order) {
    const auto answer = serve(order);
    EXPECT_TRUE(answer);
    EXPECT_EQ(answer->state, UpgradeState::failed);
    EXPECT_EQ(machine_.count("/usr/bin/systemd-run"), 0u) << "nothing was begun";
    EXPECT_FALSE(std::filesystem::exists(files_.package())) << "nothing is left";
    EXPECT_FALSE(std::filesystem::exists(files_.before()));
    return answer ? answer->message : "";
  }
  model::UpgradeState asked() { return serve({.operation = model::OperationId("11")})->state; }

  const TemporaryDirectory directory_ = std::move(*TemporaryDirectory::create());
  const std::string new_ = "bridgehead-agent 0.2.0 amd64\nand its files";
  const std::string old_ = "bridgehead-agent 0.1.0 amd64\nand older files";
  Machine machine_;
  AgentUpgrade::Options options_;
  UpgradeFiles files_{directory_.path() / "state"};
  std::unique_ptr<AgentUpgrade> agent_;
};

TEST_F(AgentUpgradeTest, AnOrderIsProvenAndGivenToAUnitOfItsOwn) {
  EXPECT_EQ(asked(), UpgradeState::none);
  ASSERT_EQ(serve(order())->state, UpgradeState::installing);
  EXPECT_EQ(*read_file(files_.package()), new_);
  EXPECT_EQ(*read_file(files_.before()), old_);
  const auto& run = machine_.told.back();
  EXPECT_EQ(run.program, "/usr/bin/systemd-run");
  EXPECT_EQ(run.arguments, (std::vector<std::string>{"--quiet", "--collect", "--unit=bridgehead-agent-upgrade.service",
                                                     "--description=Installs another version of the Bridgehead agent",
                                                     "/usr/bin/bridgehead-agent", "--config",
                                                     "/etc/bridgehead/agent.toml", "install-upgrade"}))
      << "nothing of the order is in it";
  EXPECT_EQ(asked(), UpgradeState::installing);
  EXPECT_EQ(serve(order())->state, UpgradeState::installing) << "the same order again begins nothing";
  EXPECT_EQ(machine_.count("/usr/bin/systemd-run"), 1u);
  auto other = order();
  other.operation = model::OperationId("12");
  EXPECT_NE(serve(other)->message.find("another upgrade, to 0.2.0, is under way"), std::string::npos);
}

TEST_F(AgentUpgradeTest, TheSameVersionIsThereAlready) {
  options_.version = "0.2.0";
  agent_ = std::make_unique<AgentUpgrade>(options_, machine_);
  EXPECT_EQ(serve(order())->state, UpgradeState::done);
  EXPECT_FALSE(std::filesystem::exists(files_.package()));
  EXPECT_EQ(machine_.count("/usr/bin/systemd-run"), 0u);
}

TEST_F(AgentUpgradeTest, WhatIsNotTheAgentsPackageIsRefusedBeforeDpkg) {
  auto wrong = order();
  wrong.install->sha256 = digest_of("something else");
  EXPECT_NE(refused(wrong).find("isn't the one that the order names"), std::string::npos);
  wrong = order();
  wrong.install->version = "0.3.0";
  EXPECT_NE(refused(wrong).find("the package's Version is '0.2.0', not '0.3.0'"), std::string::npos);
  wrong = order();
  wrong.before->version = "0.1.1";
  EXPECT_NE(refused(wrong).find("the package's Version is '0.1.0', not '0.1.1'"), std::string::npos);
  for (const char* version : {"", "0.2.0; reboot", "../x", "0.2 0"}) {
    wrong = order();
    wrong.install->version = version;
    EXPECT_NE(refused(wrong).find("names no package that could be one"), std::string::npos) << version;
  }
  wrong = order();
  wrong.install->size = std::uint64_t{2} << 30;
  EXPECT_NE(refused(wrong).find("names no package"), std::string::npos);
}

TEST_F(AgentUpgradeTest, AnotherPackageOfThatVersionIsRefused) {
  const std::string other = "openssh-server 0.2.0 amd64\n";
  auto wrong = order();
  wrong.install = of("0.2.0", other);
  wrong.before.reset();
  auto bytes = text_of(wrong) + "\n" + other;
  const auto answer = agent_->serve([&]() -> Result<std::string> { return std::exchange(bytes, ""); });
  EXPECT_EQ(answer->message, "the package's Package is 'openssh-server', not 'bridgehead-agent'");
  EXPECT_EQ(machine_.count("/usr/bin/systemd-run"), 0u);
}

TEST_F(AgentUpgradeTest, AnAgentThatDidNotComeWithThePackageSaysSo) {
  machine_.status = "half-configured";
  EXPECT_NE(refused(order()).find("doesn't have bridgehead-agent as installed: half-configured"), std::string::npos);
  machine_.status = "installed";
  options_.program = "/opt/build/bin/bridgehead-agent";
  agent_ = std::make_unique<AgentUpgrade>(options_, machine_);
  EXPECT_NE(refused(order()).find("didn't come with the Debian package"), std::string::npos);
  options_.program = kInstalledAgent;
  options_.root = directory_.path() / "usr";
  agent_ = std::make_unique<AgentUpgrade>(options_, machine_);
  EXPECT_NE(refused(order()).find("systemd doesn't run there"), std::string::npos);
}

TEST_F(AgentUpgradeTest, WithoutRoomNothingIsChanged) {
  machine_.installed_kib = "999999999999";
  EXPECT_NE(refused(order()).find("unpacking the new one needs"), std::string::npos);
  machine_.installed_kib = "1";
  machine_.systemd_works = false;
  const auto answer = serve(order());
  EXPECT_EQ(answer->state, UpgradeState::failed);
  EXPECT_NE(answer->message.find("systemd-run ended with 1"), std::string::npos);
  EXPECT_EQ(asked(), UpgradeState::failed);
  EXPECT_FALSE(std::filesystem::exists(files_.package()));
}

// Cut off anywhere, it has changed nothing, and the order is taken when it comes again.
TEST_F(AgentUpgradeTest, AnOrderThatIsCutOffMayComeAgain) {
  for (const std::size_t cut : {1u, 20u, 40u, 60u, 90u, 150u}) {
    const auto answer = serve(order(), cut);
    ASSERT_FALSE(answer) << cut;
    EXPECT_EQ(answer.error().code, ErrorCode::io_error) << cut;
    EXPECT_EQ(asked(), UpgradeState::none) << cut;
  }
  EXPECT_EQ(serve(order())->state, UpgradeState::installing);
}

TEST_F(AgentUpgradeTest, OnlyAnAgentThatIsBeingInstalledSaysThatItIsWell) {
  agent_->is_well();
  EXPECT_EQ(files_.well(), "");
  ASSERT_EQ(serve(order())->state, UpgradeState::installing);
  agent_->is_well();
  EXPECT_EQ(files_.well(), "") << "the old one is connected all the time";
  options_.version = "0.2.0";
  AgentUpgrade next(options_, machine_);
  next.is_well();
  EXPECT_EQ(files_.well(), "0.2.0");
}

TEST_F(AgentUpgradeTest, AnInstallationThatWasKilledIsWhatRuns) {
  ASSERT_EQ(serve(order())->state, UpgradeState::installing);
  machine_.installing = false;
  const auto answer = serve({.operation = model::OperationId("11")});
  EXPECT_EQ(answer->state, UpgradeState::failed);
  EXPECT_NE(answer->message.find("was interrupted, 0.1.0 runs"), std::string::npos) << answer->message;
  ASSERT_TRUE(
      files_.write({.operation = model::OperationId("13"), .version = "0.2.0", .state = UpgradeState::installing}));
  options_.version = "0.2.0";
  agent_ = std::make_unique<AgentUpgrade>(options_, machine_);
  EXPECT_EQ(serve({.operation = model::OperationId("13")})->state, UpgradeState::done);
}

class InstallerTest : public AgentUpgradeTest {
 protected:
  InstallerTest() {
    EXPECT_EQ(serve(order())->state, UpgradeState::installing);
    machine_.install = [this](const std::string& package) -> Result<CommandOutput> {
      installed.push_back(package);
      if (!unpacks && package == new_) return fail(ErrorCode::io_error, "dpkg ended with 1: it can't be unpacked");
      if (package == new_ && !starts) return CommandOutput{};
      EXPECT_TRUE(files_.say_well(package == new_ ? "0.2.0" : "0.1.0"));  // as the agent does when it is connected
      return CommandOutput{};
    };
  }
  UpgradeRecord run() {
    EXPECT_TRUE(install_upgrade(files_, machine_, timings_));
    EXPECT_FALSE(std::filesystem::exists(files_.package()));
    EXPECT_FALSE(std::filesystem::exists(files_.before()));
    return **files_.record();
  }

  const UpgradeTimings timings_{.dpkg_lock = std::chrono::milliseconds(200),
                                .well = std::chrono::milliseconds(100),
                                .look_every = std::chrono::milliseconds(5)};
  std::vector<std::string> installed;
  bool unpacks = true;
  bool starts = true;
};

TEST_F(InstallerTest, ThePackageStaysWhenTheAgentIsWell) {
  EXPECT_EQ(run().state, UpgradeState::done);
  EXPECT_EQ(installed, std::vector<std::string>{new_});
  const auto& dpkg = machine_.told.back();
  EXPECT_EQ(dpkg.arguments,
            (std::vector<std::string>{"--install", "--force-confdef", "--force-confold", files_.package().native()}));
  EXPECT_FALSE(install_upgrade(files_, machine_, timings_)) << "it was ordered once";
}

TEST_F(InstallerTest, AnAgentThatIsNotWellGoesBack) {
  starts = false;
  const auto record = run();
  EXPECT_EQ(record.state, UpgradeState::failed);
  EXPECT_EQ(record.message, "the agent 0.2.0 wasn't connected and well within 0 s; 0.1.0 runs again");
  EXPECT_EQ(installed, (std::vector<std::string>{new_, old_}));
  EXPECT_EQ(machine_.told[machine_.told.size() - 2].arguments,
            (std::vector<std::string>{"reset-failed", "bridgehead-agent.service"}));
}

TEST_F(InstallerTest, APackageThatDpkgRefusesGoesBack) {
  unpacks = false;
  const auto record = run();
  EXPECT_EQ(record.message, "dpkg ended with 1: it can't be unpacked; 0.1.0 runs again");
}

TEST_F(InstallerTest, WithoutOneBeforeItSaysSo) {
  starts = false;
  auto record = **files_.record();
  record.before.clear();
  ASSERT_TRUE(files_.write(record));
  EXPECT_NE(run().message.find("there is no package to go back to"), std::string::npos);
  EXPECT_EQ(installed.size(), 1u);
}

TEST_F(InstallerTest, ALockOfDpkgIsWaitedFor) {
  int tries = 0;
  const auto really = machine_.install;
  machine_.install = [&](const std::string& package) -> Result<CommandOutput> {
    if (++tries < 3) return fail(ErrorCode::io_error, "dpkg frontend lock was locked by another process");
    return really(package);
  };
  EXPECT_EQ(run().state, UpgradeState::done);
  EXPECT_EQ(tries, 3);
}

}  // namespace
}  // namespace bridgehead::host_agent
