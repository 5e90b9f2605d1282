#include "host_agent/host_watchdog.h"

#include <fcntl.h>
#include <linux/watchdog.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cerrno>

#include "host_agent/facts/host_facts.h"

namespace bridgehead::host_agent {
namespace {

Status put(int file, std::string_view text) {
  if (::write(file, text.data(), text.size()) == static_cast<ssize_t>(text.size())) return {};
  return fail_errno(errno, "feed the host's watchdog");
}

}  // namespace

Status HostWatchdog::check() const {
  struct stat state {};
  if (::stat(device_.c_str(), &state) != 0) {
    return fail_with_hint(ErrorCode::failed_precondition,
                          fmt::format("this host has no watchdog ({} isn't there)", device_.native()),
                          "Load the driver of the board's, or softdog.");
  }
  if (S_ISFIFO(state.st_mode)) return {};
  if (!S_ISCHR(state.st_mode)) {
    return fail(ErrorCode::failed_precondition, "{} is not a watchdog", device_.native());
  }
  const auto about = sys_ / fmt::format("{}:{}", major(state.st_rdev), minor(state.st_rdev));
  const auto no_way_out = read_text(about / "nowayout");
  if (no_way_out != "0") {
    return fail_with_hint(ErrorCode::failed_precondition,
                          fmt::format("the host's watchdog {} can't be disarmed once it was armed{}", device_.native(),
                                      no_way_out.empty() ? ", as far as can be seen" : ""),
                          "Load its driver without nowayout.");
  }
  if (!armed() && read_text(about / "state") == "active") {
    return fail_with_hint(ErrorCode::failed_precondition,
                          fmt::format("another program uses the host's watchdog {}", device_.native()),
                          "Unset RuntimeWatchdogSec of systemd, or stop that program.");
  }
  return {};
}

Status HostWatchdog::set_up(std::chrono::seconds timeout) {
  std::error_code unknown;
  if (std::filesystem::is_fifo(device_, unknown)) return put(file_.get(), fmt::format("T{}\n", timeout.count()));
  watchdog_info info{};
  if (::ioctl(file_.get(), WDIOC_GETSUPPORT, &info) != 0) return fail_errno(errno, "ask the host's watchdog");
  if ((info.options & WDIOF_MAGICCLOSE) == 0 || (info.options & WDIOF_SETTIMEOUT) == 0) {
    return fail(ErrorCode::failed_precondition, "the host's watchdog can't be disarmed, or its time not be set");
  }
  int seconds = static_cast<int>(timeout.count());
  if (::ioctl(file_.get(), WDIOC_SETTIMEOUT, &seconds) != 0) return fail_errno(errno, "set the host's watchdog's time");
  if (seconds > timeout.count()) {
    return fail(ErrorCode::failed_precondition, "the host's watchdog waits for {} s, not for {}", seconds,
                timeout.count());
  }
  return {};
}

Status HostWatchdog::arm(std::chrono::seconds timeout) {
  if (armed()) return {};
  // Nobody reads a FIFO whose lab is gone: that is an error, not a wait.
  file_ = UniqueFd(::open(device_.c_str(), O_WRONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file_) return fail_errno(errno, fmt::format("open the host's watchdog {}", device_.native()));
  auto set = set_up(timeout);
  if (!set) disarm();
  return set;
}

Status HostWatchdog::feed() { return put(file_.get(), "."); }

void HostWatchdog::disarm() {
  if (!armed()) return;
  // If that fails it will fire, which is what it is for.
  [[maybe_unused]] const auto told = put(file_.get(), "V");
  file_ = {};
}

}  // namespace bridgehead::host_agent
