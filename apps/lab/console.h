// A machine's serial line in this terminal, and its log. Reads and writes standard input and output.
#pragma once

#include <chrono>
#include <filesystem>
#include <string>

#include "base/result.h"
#include "lab/names.h"

namespace bridgehead::lab {

// Until Ctrl-] is typed, the input ends or the machine is switched off. Errors: unavailable (it is off), conflict
// (somebody else is attached: a serial line has one end).
Status attach_console(const Places& places, const std::string& machine);

struct LogOptions {
  bool last = false;    // only from the last power-on
  bool follow = false;  // go on as more comes
  std::string until;    // with follow: to the first line that matches this extended regular expression; "" = for ever
  std::chrono::seconds timeout{0};  // with until: error timeout after that; 0 = never
};
Status show_log(const std::filesystem::path& file, const LogOptions& options);

}  // namespace bridgehead::lab
