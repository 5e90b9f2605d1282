#include "lab/names.h"

#include <algorithm>

namespace bridgehead::lab {

Status check_name(std::string_view kind, std::string_view name) {
  constexpr std::size_t most = 10;  // "tap4-" and "bhl-" before it make at most 15
  const auto allowed = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'; };
  const bool good = !name.empty() && name.size() <= most && name.front() >= 'a' && name.front() <= 'z' &&
                    name.back() != '-' && std::all_of(name.begin(), name.end(), allowed);
  if (good) return {};
  return fail_with_hint(ErrorCode::invalid_argument, fmt::format("'{}' can't be a {}'s name", name, kind),
                        fmt::format("Use 1 to {} small letters, digits and dashes, a letter first.", most));
}

std::string Places::nat_table() const {
  std::string name = "bridgehead_lab_" + lab_;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

}  // namespace bridgehead::lab
