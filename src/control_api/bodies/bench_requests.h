// The body of a request for a benchmark. The rules of requests.h hold.
#pragma once

#include "control_api/bodies/requests.h"
#include "reconcile/commands/benchmarks.h"

namespace bridgehead::control_api {

Result<reconcile::StartBenchmark> read_start_benchmark(std::string_view body);
Result<reconcile::KeepBenchmark> read_keep_benchmark(std::string_view body);

}  // namespace bridgehead::control_api
