// ThreadWatch: how busy the busiest thread of a process was since this was made, out of /proc. A guest's CPU, and what
// carries its disk's operations, is a thread of QEMU's: where one is at its end, the guest gets no more, however idle
// its node is. Not thread-safe; nothing fails.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>

namespace bridgehead::load {

class ThreadWatch {
 public:
  explicit ThreadWatch(int process, std::filesystem::path root = "/");
  // 0..1, of one CPU. nullopt: there is no such process.
  std::optional<double> busiest(double seconds) const;

 private:
  std::map<std::string, double> seconds_of_threads() const;

  const std::filesystem::path tasks_;
  std::map<std::string, double> before_;
};

}  // namespace bridgehead::load
