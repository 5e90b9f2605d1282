// Splitting the kernel's text indexes without copying. Pure; the views live as long as the text.
#pragma once

#include <string_view>
#include <vector>

namespace bridgehead::netboot {

// Parts between separators; empty ones are left out.
inline std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (!text.empty()) {
    const auto end = text.find(separator);
    if (end != 0) parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + 1);
  }
  return parts;
}

// Lines that say something: no empty ones, no comments.
inline std::vector<std::string_view> lines(std::string_view text) {
  auto found = split(text, '\n');
  std::erase_if(found, [](std::string_view line) { return line.starts_with('#'); });
  return found;
}

inline std::vector<std::string_view> words(std::string_view text) {
  std::vector<std::string_view> found;
  for (const auto part : split(text, '\t')) {
    for (const auto word : split(part, ' ')) found.push_back(word);
  }
  return found;
}

}  // namespace bridgehead::netboot
