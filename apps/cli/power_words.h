// What `bh node power` and `bh node bmc` say. Pure, but for parse_setting, which may read a file.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include <nlohmann/json.hpp>

#include "base/result.h"

namespace bridgehead::cli {

// Of a PowerProof at this pointer: "off, say its BMC and others, 3 h ago"; "" = nothing was ever switched.
std::string proof_text(const nlohmann::json& object, std::string_view pointer);
// Of an ended operation node.power: "rack1-07 is off (it was on), say its BMC and others; it took 12.3 s".
std::string report_text(const nlohmann::json& operation);
// A BMC's options in a line, long ones cut.
std::string settings_text(const nlohmann::json& bmc);
// "cipher=3", or "ca=@ca.pem": the content of that file.
Result<std::pair<std::string, std::string>> parse_setting(const std::string& text);

}  // namespace bridgehead::cli
