// What one machine of the storm asks of the boot server, one question after the other, and what it takes for right: the
// script of its loader, kernel and initramfs, the plan, the root and the steps that it tells. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "performance/storm_exchange.h"

namespace bridgehead::performance {

// A file of the node image, as much of it as the machines take.
struct StormFile {
  std::string_view bytes;
  bool part = false;  // the file is longer
};
struct StormFiles {
  StormFile kernel;
  StormFile initramfs;
  StormFile root;
};

class StormMachine {
 public:
  enum class Step {
    script,
    kernel,
    initramfs,
    told_kernel,
    plan,
    told_bridge,
    root,
    told_root,
    told_handover,
    told_discovery,
    hardware,
    ended
  };

  // `discovered`: nobody knows it yet; it tells its hardware, and is to wait.
  StormMachine(std::string mac, std::uint32_t address, bool discovered)
      : mac_(std::move(mac)), address_(address), discovered_(discovered) {}

  Step step() const { return step_; }
  std::uint32_t address() const { return address_; }
  const std::string& mac() const { return mac_; }

  HttpQuestion question(const StormFiles& files) const;
  // To the next step; what is wrong with the answer, or "".
  std::string take(int status, const std::string& body);

 private:
  std::string take_script(const std::string& body);
  std::string take_plan(const std::string& body);

  std::string mac_;
  std::uint32_t address_;
  bool discovered_;
  Step step_ = Step::script;
  std::string boot_;
  std::string image_;  // the path of its files
};

std::string_view step_name(StormMachine::Step step);

}  // namespace bridgehead::performance
