// Small pure functions over text. Thread-safe; none of them fails.
#pragma once

#include <string>
#include <string_view>

namespace bridgehead {

// ASCII letters to lower case; everything else, UTF-8 included, as it is.
inline std::string lower_case(std::string text) {
  for (char& c : text) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
  return text;
}

// Without what of `blanks` stands at its ends.
inline std::string_view trimmed(std::string_view text, std::string_view blanks = " \t\r\n") {
  const auto first = text.find_first_not_of(blanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(blanks) - first + 1);
}

}  // namespace bridgehead
