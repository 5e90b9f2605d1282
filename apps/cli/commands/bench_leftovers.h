// What a benchmark of guests leaves at the manager and on its nodes, removed: of its own run, and of runs that were
// killed. Blocking.
#pragma once

#include <string>

#include "cli/commands/bench_note.h"
#include "cli/context.h"

namespace bridgehead::cli {

// The guests with this value of the benchmarks' label, and their files. Errors: the first one that stays.
Status remove_guests(ApiClient& api, const std::string& label);
// What peers made, by `rest.directories`: bridgehead-bench-NAME in each pool. Errors: the first that stays.
Status remove_peers(const BenchRest& rest);
// Both, of the notes of killed runs at this manager. What stays is told, and tried again by the next benchmark.
void remove_forsaken_guests(const Context& context, ApiClient& api);

}  // namespace bridgehead::cli
