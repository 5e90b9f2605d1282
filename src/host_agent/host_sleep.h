// HostSleep: puts this machine to sleep (ACPI S3: all is off but its memory), from which its power control, its power
// button or a Wake-on-LAN packet wakes it. What the kernel answers proves nothing: whoever asked looks from outside.
// Format: Documentation/power/interface (sysfs), ethtool(2). Thread-safe.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <mutex>
#include <thread>

#include "base/result.h"

namespace bridgehead::host_agent {

// Not so in a container or a lab's host: there the machine under it isn't this agent's to switch.
bool owns_its_machine();

class HostSleep {
 public:
  struct Options {
    std::filesystem::path root = "/";
    std::function<bool()> owns_machine = owns_its_machine;
    std::chrono::milliseconds delay{1000};  // until it falls asleep: what was said of it gets away
  };
  explicit HostSleep(Options options) : options_(std::move(options)) {}
  ~HostSleep();
  HostSleep(const HostSleep&) = delete;
  HostSleep& operator=(const HostSleep&) = delete;

  // Whether kernel and firmware offer it. unsupported: they don't.
  Status check() const;
  // Returns at once; falls asleep after the delay. unavailable: it is about to already.
  Status begin();

 private:
  void fall_asleep();

  const Options options_;
  std::mutex mutex_;
  bool busy_ = false;
  std::jthread thread_;
};

}  // namespace bridgehead::host_agent
