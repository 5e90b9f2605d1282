// How a plan looks: what is to be done, in order, why, and what it brings. Pure.
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/result.h"

namespace bridgehead::cli {

// Of a plan as the API shows it; a table at most `width` columns wide (0 = unlimited).
std::string show_plan(const nlohmann::json& plan, std::size_t width);

// "64c/512G" or "4x64c/512G": so many nodes with so many CPUs and so much memory.
Result<nlohmann::json> node_from(const std::string& text);
// Guests from CSV with a header line; columns cpus and memory (with a unit, or bytes), and name and cpu_use if there
// are.
Result<nlohmann::json> vms_from_csv(const std::string& text);

}  // namespace bridgehead::cli
