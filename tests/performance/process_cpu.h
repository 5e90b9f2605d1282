// CPU time of the running processes that a create touches, by the name of their program. One thread.
#pragma once

#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <map>
#include <string>

#include "base/file.h"

namespace bridgehead::performance {

// Milliseconds of CPU by process name (as the kernel shortens it), of all that run now. Ended ones don't count.
inline std::map<std::string, double> process_cpu() {
  std::map<std::string, double> cpu;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", error)) {
    const auto name = entry.path().filename().native();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    const auto text = read_file(entry.path() / "stat").value_or("");
    const auto open = text.find('(');
    const auto close = text.rfind(')');
    unsigned long user = 0;
    unsigned long system = 0;
    if (close == std::string::npos || open > close) continue;
    std::sscanf(text.c_str() + close + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system);
    cpu[text.substr(open + 1, close - open - 1)] +=
        static_cast<double>(user + system) * 1000 / static_cast<double>(::sysconf(_SC_CLK_TCK));
  }
  return cpu;
}

}  // namespace bridgehead::performance
