// What names in recipes may look like: they become arguments of apt, systemd and file paths.
#include "nodeimage/recipe.h"

namespace bridgehead::nodeimage {
namespace {

constexpr std::string_view kLowerAndDigits = "abcdefghijklmnopqrstuvwxyz0123456789";

bool only(std::string_view text, std::string_view allowed) {
  return text.find_first_not_of(allowed) == std::string_view::npos;
}

}  // namespace

// Debian policy 5.6.1 (names) and 5.6.12 (versions).
bool valid_package_name(std::string_view name) {
  const auto end = name.find_first_of("=/");
  const std::string_view package = name.substr(0, end);
  if (package.size() < 2 || kLowerAndDigits.find(package[0]) == std::string_view::npos ||
      !only(package, "abcdefghijklmnopqrstuvwxyz0123456789+-.:")) {
    return false;
  }
  // To apt, "name-" means remove it and "name+" install it.
  if (package.ends_with('-') || (package.ends_with('+') && !package.ends_with("++"))) return false;
  if (end == std::string_view::npos) return true;
  const std::string_view rest = name.substr(end + 1);
  return !rest.empty() && only(rest, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.+-:~") &&
         rest[0] != '-';
}

// systemd.unit(5)
bool valid_unit_name(std::string_view name) {
  if (name.size() > 255 || name.empty() || name[0] == '-' || name[0] == '.') return false;
  if (!only(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:-_.\\@")) return false;
  for (const std::string_view type : {".service", ".socket", ".device", ".mount", ".automount", ".swap", ".target",
                                      ".path", ".timer", ".slice", ".scope"}) {
    if (name.ends_with(type) && name.size() > type.size()) return true;
  }
  return false;
}

bool valid_image_path(std::string_view path) {
  if (path.size() < 2 || path[0] != '/' || path.size() > 4000) return false;
  for (const char c : path) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) return false;
  }
  std::size_t start = 1;
  while (start <= path.size()) {
    const std::size_t end = std::min(path.find('/', start), path.size());
    const std::string_view part = path.substr(start, end - start);
    if (part.empty() || part == "." || part == ".." || part.size() > 255) return false;
    start = end + 1;
  }
  return true;
}

}  // namespace bridgehead::nodeimage
