// What a run has found, for people and for programs.
#pragma once

#include "check.h"

namespace bridgehead::pool_check {

std::string as_text(const Options& options, const Findings& findings);
std::string as_json(const Options& options, const Findings& findings);

}  // namespace bridgehead::pool_check
