// How an energy report looks. Pure.
#pragma once

#include <string>
#include <vector>

#include "cli/context.h"

namespace bridgehead::cli {

// Who says so, of a figure's kWh by their sources: "BMC", "CPUs", "model", or "BMC 80 %, model 20 %"; "" of nothing.
std::string energy_sources(const nlohmann::json& figure);

// Of a report as the API shows it: rows and their columns for what `by` says: "nodes" (with a sum), "guests" or "days".
nlohmann::json energy_rows(const nlohmann::json& report, const std::string& by);
std::vector<Column> energy_columns(const std::string& by);

// What a reader has to know beside the table: a sentence each.
std::vector<std::string> energy_notes(const nlohmann::json& report);

}  // namespace bridgehead::cli
