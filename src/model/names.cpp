#include "model/names.h"

#include "model/network.h"

namespace bridgehead::model {
namespace {

bool is_alphanumeric(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }

// Long or unprintable input is shortened before it is shown back.
std::string shown(std::string_view name) {
  std::string text;
  for (const char c : name.substr(0, 64)) text += (c >= ' ' && c < 127) ? c : '?';
  if (name.size() > 64) text += "...";
  return text;
}

}  // namespace

Status check_name(std::string_view what, std::string_view name) {
  bool good = !name.empty() && name.size() <= 63 && is_alphanumeric(name.front()) && is_alphanumeric(name.back());
  for (const char c : name) good = good && (is_alphanumeric(c) || c == '-' || c == '.' || c == '_');
  if (good) return {};
  return fail_with_hint(ErrorCode::invalid_argument, fmt::format("'{}' can't be the name of a {}", shown(name), what),
                        "Use 1 to 63 characters of a-z, 0-9, '-', '.' and '_', with a letter or digit at both ends.");
}

std::string hostname_from(std::string_view vm_name) {
  std::string label(vm_name);
  for (char& c : label) {
    if (c == '.' || c == '_') c = '-';
  }
  return label;
}

std::string mac_from_number(std::uint32_t number) {
  return fmt::format("52:b4:9d:{:02x}:{:02x}:{:02x}", number >> 16 & 0xff, number >> 8 & 0xff, number & 0xff);
}

bool is_unicast_mac(std::string_view text) {
  if (text.size() != 17) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const bool hex = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
    if (i % 3 == 2 ? c != ':' : !hex) return false;
  }
  const char low = text[1];
  const int nibble = low <= '9' ? low - '0' : low - 'a' + 10;
  return (nibble & 1) == 0 && text != "00:00:00:00:00:00";
}

}  // namespace bridgehead::model
