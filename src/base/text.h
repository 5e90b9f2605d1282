// Small pure functions over text. Thread-safe; none of them fails.
#pragma once

#include <string>

namespace bridgehead {

// ASCII letters to lower case; everything else, UTF-8 included, as it is.
inline std::string lower_case(std::string text) {
  for (char& c : text) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
  return text;
}

}  // namespace bridgehead
