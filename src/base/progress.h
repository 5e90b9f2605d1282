// Progress of one piece of work, as a person sees it. A plain value and the sink it goes to.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

namespace bridgehead {

struct Progress {
  std::string phase;        // what is being done now: "download", "convert", "boot"
  std::uint64_t done = 0;   // in the unit of the phase (mostly bytes)
  std::uint64_t total = 0;  // 0 = unknown

  bool operator==(const Progress&) const = default;
};

// Called from any thread, often; a receiver that is slow must thin them out itself.
using ProgressSink = std::function<void(const Progress&)>;

}  // namespace bridgehead
