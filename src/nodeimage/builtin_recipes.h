// The recipes that are part of the program. Internal to this module.
#pragma once

#include <string_view>
#include <utility>
#include <vector>

namespace bridgehead::nodeimage {

// Name ("debian-12-compute") and text, by name.
const std::vector<std::pair<std::string_view, std::string_view>>& builtin_recipes();

}  // namespace bridgehead::nodeimage
