// Makes guests that look like those of public traces (trace_statistics.h). The same wishes and seed give the same
// trace.
#pragma once

#include <cstdint>

#include "simulation/trace.h"

namespace bridgehead::simulation {

enum class Profile : std::uint8_t {
  azure,      // a public cloud: small guests, most live for less than an hour
  bitbrains,  // business-critical services: bigger, long-lived, a strong daily rhythm
  office,     // Bitbrains' guests, nearly all used in office hours
};

struct TraceWishes {
  Profile profile = Profile::office;
  std::size_t guests = 100;  // at any time
  bool come_and_go = false;  // with Azure's lifetimes; else all are there all the time
  double length = 86400;     // seconds
  std::uint64_t seed = 1;
};

Trace generate_trace(const TraceWishes& wishes);

}  // namespace bridgehead::simulation
