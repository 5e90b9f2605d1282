// What apt, dpkg and mmdebstrap mean when they fail: one line for a table, and all their words in a file. Internal to
// this module. Thread-safe.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "base/result.h"

namespace bridgehead::nodeimage {

// The package, repository or disk that the failure is about, of everything that they printed: "no apt source has the
// package nginxx". "" where they said nothing. Pure.
std::string apt_trouble(std::string_view output);

// `failed`: the program's own error, whose code stays. Keeps `output` in the file `log`, which the hint names.
Error apt_failure(std::string_view what, const Error& failed, std::string_view output,
                  const std::filesystem::path& log);

}  // namespace bridgehead::nodeimage
