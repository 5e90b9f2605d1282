// Log messages of the bench desk, with what they mean to an operator.
#pragma once

#include "base/log.h"

namespace bridgehead::bench_desk {

inline constexpr log::Message bench_not_noted{
    "BENCH_NOT_NOTED", "What came of a benchmark couldn't be written to the store; what was measured may be lost."};
inline constexpr log::Message bench_left_files{
    "BENCH_LEFT_FILES",
    "Files of a benchmark couldn't be removed from a pool; it is tried again while its nodes are there."};

inline constexpr log::Message bench_left_guest{
    "BENCH_LEFT_GUEST", "A guest that a benchmark measured through couldn't be removed; it is tried again."};

}  // namespace bridgehead::bench_desk
