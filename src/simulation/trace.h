// Trace: guests with their sizes, when they come and go, and their load. Made by the generator or read from CSV.
//
// CSV, one guest a line after the header:
//   name,vcpus,memory_mib,start_s,end_s,cpu_percent
//   web1,4,8192,0,,12/40 15/55 9
// start_s and end_s count from the begin of the simulation; an empty end_s: it stays. cpu_percent has a word for each
// five minutes from the guest's start, of its virtual CPUs: average/peak, or the average alone; it repeats when it is
// used up.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "simulation/load.h"

namespace bridgehead::simulation {

struct TraceGuest {
  std::string name;
  double vcpus = 1;
  double memory = 0;          // bytes
  double start = 0;           // seconds from the begin; below 0: there already
  std::optional<double> end;  // likewise
  LoadCurve load;
};

struct Trace {
  std::vector<TraceGuest> guests;  // by start, then name
};

// `name` is the file's, for errors; they name the line. `begin` is when the simulation begins.
Result<Trace> read_trace(std::string_view name, std::string_view text, Timestamp begin);
// What read_trace() reads; the load of `length` seconds at most for each guest.
std::string write_trace(const Trace& trace, Timestamp begin, double length);

}  // namespace bridgehead::simulation
