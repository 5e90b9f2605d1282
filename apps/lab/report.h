// What `status`, `list` and `env` print. Pure, but for looking whether processes run.
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "lab/lab_state.h"

namespace bridgehead::lab {

// "up", "busy" (somebody works on it), or "crashed: <why>".
std::string condition(const Places& places, const LabState& state);

nlohmann::json status_json(const Places& places, const LabState& state, const std::string& condition);
std::string status_text(const nlohmann::json& status);

// export NAME='value' lines for a shell.
std::string exports(const std::map<std::string, std::string>& variables);

}  // namespace bridgehead::lab
