// Progress on standard error: a bar that redraws on a terminal, otherwise a plain line at each new phase and each
// tenth. Not thread-safe.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace bridgehead::cli {

class ProgressLine {
 public:
  ProgressLine(std::string title, bool quiet);
  ~ProgressLine();
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;

  void update(const std::string& phase, std::uint64_t done, std::uint64_t total);
  // Ends the line: "title: done in 3.1 s".
  void finish(const std::string& word);

 private:
  void clear_line();
  double elapsed() const;

  std::string title_;
  bool quiet_;
  bool terminal_;
  bool drawn_ = false;
  bool finished_ = false;
  std::string last_phase_;
  std::uint64_t last_tenth_ = 0;
  std::chrono::steady_clock::time_point started_ = std::chrono::steady_clock::now();
};

}  // namespace bridgehead::cli
