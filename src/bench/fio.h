// What fio measured, out of its JSON (fio 3.x, --output-format=json). Pure; thread-safe.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace bridgehead::bench {

struct FioFigures {
  std::string version;  // "fio-3.33"
  std::uint64_t bytes = 0;
  std::uint64_t operations = 0;
  double seconds = 0;  // of the job that took longest, its last fsync included
  double ended = 0;    // Unix time in seconds; 0: fio doesn't say
  // Of single operations, the worst of all jobs and directions; of the fsyncs where each operation has one.
  double p50_ms = 0;
  double p99_ms = 0;
};

// All jobs and both directions together. What fio writes before the JSON (warnings) is skipped.
// Errors: data_corrupt (not fio's JSON, cut off, figures that can't be), io_error (a job of it failed),
// failed_precondition (it did nothing).
Result<FioFigures> read_fio(std::string_view output);

}  // namespace bridgehead::bench
