#include "host_agent/upgrade/upgrade_install.h"

#include <thread>

#include "host_agent/messages.h"

namespace bridgehead::host_agent {
namespace {

using model::UpgradeState;
using SteadyClock = std::chrono::steady_clock;

class Installer {
 public:
  Installer(const UpgradeFiles& files, CommandRunner& runner, const UpgradeTimings& timings)
      : files_(files), runner_(runner), timings_(timings) {}

  // Installed, and the agent is well with it.
  Status bring(const std::filesystem::path& package, const std::string& version) {
    if (auto forgotten = files_.forget_well(); !forgotten) return forgotten;
    if (auto installed = install(package); !installed) return installed;
    const auto until = SteadyClock::now() + timings_.well;
    while (files_.well() != version) {
      if (SteadyClock::now() >= until) {
        return fail(ErrorCode::timeout, "the agent {} wasn't connected and well within {} s", version,
                    std::chrono::duration_cast<std::chrono::seconds>(timings_.well).count());
      }
      std::this_thread::sleep_for(timings_.look_every);
    }
    return {};
  }

  // One that failed often enough isn't started again before that.
  void let_it_start() {
    (void)runner_.run({.program = "/usr/bin/systemctl", .arguments = {"reset-failed", "bridgehead-agent.service"}});
  }

 private:
  // Its scripts restart the agent. What an administrator has changed in the configuration stays.
  Status install(const std::filesystem::path& package) {
    const Command dpkg{.program = "/usr/bin/dpkg",
                       .arguments = {"--install", "--force-confdef", "--force-confold", package.native()},
                       .environment = {{"DEBIAN_FRONTEND", "noninteractive"}, {"LC_ALL", "C.UTF-8"}},
                       .timeout = timings_.dpkg};
    const auto until = SteadyClock::now() + timings_.dpkg_lock;
    for (;;) {
      const auto done = runner_.run(dpkg);
      if (done) return {};
      const bool locked = done.error().message.find("lock") != std::string::npos;
      if (!locked || SteadyClock::now() >= until) return forward(done);
      std::this_thread::sleep_for(timings_.look_every * 5);
    }
  }

  const UpgradeFiles& files_;
  CommandRunner& runner_;
  const UpgradeTimings& timings_;
};

// What the record says at the end.
void go_back(Installer& installer, const UpgradeFiles& files, const std::string& why, UpgradeRecord& record) {
  record.state = UpgradeState::failed;
  log::warning(messages::upgrade_goes_back, "{}: {}", record.version, why);
  if (record.before.empty()) {
    record.message = fmt::format("{}; there is no package to go back to", why);
    return;
  }
  installer.let_it_start();
  const auto back = installer.bring(files.before(), record.before);
  record.message = back ? fmt::format("{}; {} runs again", why, record.before)
                        : fmt::format("{}; and going back to {}: {}", why, record.before, back.error().message);
}

}  // namespace

Status install_upgrade(const UpgradeFiles& files, CommandRunner& runner, const UpgradeTimings& timings) {
  auto known = files.record();
  if (!known) return forward(known);
  if (!*known || (*known)->state != UpgradeState::installing) {
    return fail_with_hint(ErrorCode::failed_precondition, "no upgrade was ordered", "bh node upgrade");
  }
  auto record = **known;
  Installer installer(files, runner, timings);
  if (const auto brought = installer.bring(files.package(), record.version)) {
    record.state = UpgradeState::done;
    log::info(messages::upgrade_done, "{}", record.version);
  } else {
    go_back(installer, files, brought.error().message, record);
  }
  files.remove_packages();
  return files.write(record);
}

}  // namespace bridgehead::host_agent
