// Parts of stories that tell.cpp and tell_times.cpp share. Pure; thread-safe.
#pragma once

#include "bench/report.h"

namespace bridgehead::bench {

std::string figure(double value);
std::string percent(double part);  // of 1
std::string interval_text(const Interval& interval, double unit = 1);
std::string ratio_text(const Ratio& ratio);

// How long each run took, by Bridgehead and by its peers.
void tell_times(Section& section, const Record& record, const std::vector<Group>& groups, const Workload& workload);
// Waves of booting nodes: medians of when they came to each step, and the picture.
void tell_waves(Section& section, const Record& record, const Workload& workload);
bool has_steps(const Record& record, const Workload& workload);

}  // namespace bridgehead::bench
