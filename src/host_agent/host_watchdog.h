// HostWatchdog: the device that resets this host when nobody feeds it any more. Opened only while it is armed; closed
// with the letter that disarms it. A device is used as watchdog(7)'s kernel API has it (WDIOC_SETTIMEOUT, magic close);
// a FIFO in its place is told "T<seconds>\n", "." and "V" (what the lab's hosts have). Not thread-safe, but for check.
#pragma once

#include <chrono>
#include <filesystem>
#include <string>

#include "base/fd.h"
#include "base/result.h"

namespace bridgehead::host_agent {

class HostWatchdog {
 public:
  explicit HostWatchdog(std::filesystem::path device, std::filesystem::path host_root = "/")
      : device_(std::move(device)), sys_(host_root / "sys/dev/char") {}
  // An armed one stays armed: the host is reset unless another run of the agent feeds it in time.
  ~HostWatchdog() = default;

  // Looks at it without opening it, which would arm it. failed_precondition says why it can't be used.
  Status check() const;
  // failed_precondition: it can't wait for just so long, or not be disarmed.
  Status arm(std::chrono::seconds timeout);
  Status feed();
  void disarm();
  bool armed() const { return static_cast<bool>(file_); }

 private:
  Status set_up(std::chrono::seconds timeout);

  std::filesystem::path device_;
  std::filesystem::path sys_;
  UniqueFd file_;
};

}  // namespace bridgehead::host_agent
