// Whether guests suffer while somebody measures. Pure; thread-safe.
#pragma once

#include <string>

namespace bridgehead::bench {

// What a node tells of its guests. 0 = nothing, or nobody knows.
struct GuestWaits {
  double cpu = 0, memory = 0, io = 0;  // percent of the time in which something had to wait for it
  double guest_disk_ms = 0;            // mean time of a disk operation of the guest that waits longest
};

// Beyond which they suffer; 0 = never.
struct WaitLimits {
  double pressure = 60;  // percent
  double guest_disk_ms = 200;
};

// What they wait for too long, for people; "" = they don't suffer.
std::string suffering_of(const GuestWaits& waits, const WaitLimits& limits);

}  // namespace bridgehead::bench
