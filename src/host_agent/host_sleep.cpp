#include "host_agent/host_sleep.h"

#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <condition_variable>

#include "base/clock.h"
#include "base/fd.h"
#include "base/file.h"
#include "host_agent/facts/host_facts.h"
#include "host_agent/facts/network_facts.h"
#include "host_agent/messages.h"

namespace bridgehead::host_agent {
namespace {

// Of the PID namespace that the kernel makes at boot (include/linux/proc_ns.h, for good). Others that services may have
// for themselves (systemd's ProtectHostname=) say nothing.
constexpr ino_t kFirstPidNamespace = 0xEFFFFFFC;

// "s2idle [deep]" or "freeze mem disk": the words of it.
bool has_word(std::string_view text, std::string_view word) {
  while (!text.empty()) {
    const auto end = text.find(' ');
    auto one = text.substr(0, end);
    if (one.size() > 2 && one.front() == '[' && one.back() == ']') one = one.substr(1, one.size() - 2);
    if (one == word) return true;
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + 1);
  }
  return false;
}

Status tell_kernel(const std::filesystem::path& path, std::string_view word) {
  const auto fd = open_file(path, O_WRONLY);
  if (!fd) return forward(fd);
  return write_all(fd->get(), word, path.native());
}

// For machines whose power control is a packet. A card that can't do it, or whose driver says nothing, stays as it is.
void arm_wake_on_lan(const std::filesystem::path& root) {
  const UniqueFd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!fd) return;
  for (const auto& interface : read_interfaces(root, {})) {
    if (interface.kind != "ethernet" || interface.name.size() >= IFNAMSIZ) continue;
    ethtool_wolinfo wake = {.cmd = ETHTOOL_GWOL};
    ifreq request = {};
    interface.name.copy(request.ifr_name, IFNAMSIZ - 1);
    request.ifr_data = reinterpret_cast<char*>(&wake);
    if (::ioctl(fd.get(), SIOCETHTOOL, &request) != 0 || (wake.supported & WAKE_MAGIC) == 0) continue;
    wake.cmd = ETHTOOL_SWOL;
    wake.wolopts |= WAKE_MAGIC;
    ::ioctl(fd.get(), SIOCETHTOOL, &request);
  }
}

}  // namespace

bool owns_its_machine() {
  struct stat found = {};
  return ::stat("/proc/self/ns/pid", &found) == 0 && found.st_ino == kFirstPidNamespace;
}

HostSleep::~HostSleep() = default;  // a sleep that hasn't begun yet doesn't

Status HostSleep::check() const {
  if (!options_.owns_machine()) {
    return fail(ErrorCode::unsupported, "its agent runs in a container or a lab's host, and doesn't own the machine");
  }
  if (!has_word(read_text(options_.root / "sys/power/state"), "mem")) {
    return fail_with_hint(ErrorCode::unsupported, "its kernel or firmware offers no sleep that keeps the memory (S3)",
                          "Look for ACPI sleep states in the firmware's settings.");
  }
  if (!has_word(read_text(options_.root / "sys/power/mem_sleep"), "deep")) {
    return fail_with_hint(ErrorCode::unsupported, "its firmware offers no deep sleep (S3), only one that saves little",
                          "Look for ACPI S3 in the firmware's settings, where it may be hidden by \"modern standby\".");
  }
  return {};
}

Status HostSleep::begin() {
  if (auto can = check(); !can) return can;
  const std::lock_guard lock(mutex_);
  if (busy_) return fail(ErrorCode::unavailable, "it is about to sleep already");
  busy_ = true;
  thread_ = std::jthread([this](const std::stop_token& stop) {
    std::mutex waiting;
    std::condition_variable_any stopped;
    std::unique_lock wait(waiting);
    if (!stopped.wait_for(wait, stop, options_.delay, [&] { return stop.stop_requested(); })) fall_asleep();
    const std::lock_guard done(mutex_);
    busy_ = false;
  });
  return {};
}

void HostSleep::fall_asleep() {
  arm_wake_on_lan(options_.root);
  const auto power = options_.root / "sys/power";
  log::info(messages::falls_asleep, "S3, as the manager asked");
  const auto begun = SystemClock().now();
  auto slept = tell_kernel(power / "mem_sleep", "deep");
  if (slept) slept = tell_kernel(power / "state", "mem");  // returns when it is awake again
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(SystemClock().now() - begun).count();
  if (slept) {
    log::info(messages::is_awake, "after {} s", seconds);
  } else {
    log::warning(messages::sleep_failed, "{}", slept.error().describe());
  }
}

}  // namespace bridgehead::host_agent
