// What a person sees: lines on the console, kept until the manager has them. One thread.
#pragma once

#include <string>
#include <string_view>

#include "result.h"

namespace bridgehead::init {

class Journal {
 public:
  explicit Journal(int console) : console_(console) {}

  void say(std::string_view line);
  void complain(const Failure& failure);  // "bridgehead: what: why; hint"
  // The lines since the last call, for the manager's log; at most the last 16 KiB.
  std::string take_lines();

 private:
  int console_;
  std::string lines_;
};

// Seconds since the kernel started, "4.6".
std::string uptime();

}  // namespace bridgehead::init
