// UseMeter: measures every few seconds what guests and the node use, on a thread of its own, because libvirt may block.
// Thread-safe. What can't be measured now is left out; the next look tries again.
#pragma once

#include <atomic>
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
  // Milliseconds: the mean time of a disk operation of the guest that waited longest at the last look, of those that
  // did kFewOperations at least; 0 = none did.
  double guest_disk_ms() const { return guest_disk_ms_; }

  static constexpr std::uint64_t kFewOperations = 10;

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
  std::atomic<double> guest_disk_ms_ = 0;
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
