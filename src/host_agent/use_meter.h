// UseMeter: measures every few seconds what guests and the node use, on a thread of its own, because libvirt may block.
// Thread-safe. What can't be measured now is left out; the next look tries again.
#pragma once

#include <condition_variable>
#include <filesystem>
#include <functional>
#include <map>
#include <mutex>
#include <thread>

#include "base/clock.h"
#include "host_agent/facts/rapl.h"
#include "hypervisor/hypervisor.h"
#include "model/use.h"

namespace bridgehead::host_agent {

class UseMeter {
 public:
  using Told = std::function<void(const model::NodeUse&)>;
  // `root`: where /proc and /sys are read.
  UseMeter(hypervisor::Hypervisor& hypervisor, std::filesystem::path root, Told told,
           std::chrono::milliseconds interval);
  ~UseMeter();
  UseMeter(const UseMeter&) = delete;
  UseMeter& operator=(const UseMeter&) = delete;

  void start();
  void stop();

 private:
  void work();
  void look();

  hypervisor::Hypervisor& hypervisor_;
  const std::filesystem::path root_;
  const Told told_;
  const std::chrono::milliseconds interval_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;
  std::thread thread_;
  // The thread's alone: as counted at the look before.
  Monotonic looked_{};
  double busy_ = 0;
  RaplMeter rapl_{root_};
  std::map<model::VmId, hypervisor::GuestCounters> counted_;
};

// CPU seconds that the machine was busy since it started, by /proc/stat's text; 0 where there is none. Steal counts:
// it was wanted.
double busy_seconds(const std::string& proc_stat);

}  // namespace bridgehead::host_agent
