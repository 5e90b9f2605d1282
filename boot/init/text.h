// Small work on text. Pure; thread-safe.
#pragma once

#include <charconv>
#include <concepts>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace bridgehead::init {

inline void append(std::string& to, std::string_view text) { to += text; }
template <std::integral T>
void append(std::string& to, T number) {
  char digits[24];
  const auto end = std::to_chars(digits, digits + sizeof digits, number).ptr;
  to.append(digits, end);
}

// concat("port ", 80) -> "port 80"
template <typename... Parts>
std::string concat(const Parts&... parts) {
  std::string text;
  (append(text, parts), ...);
  return text;
}

std::string_view trim(std::string_view text);
// Empty pieces stay: "a::b" by ':' are three.
std::vector<std::string_view> split(std::string_view text, char separator);
// The words between blanks (space, tab, line end).
std::vector<std::string_view> words(std::string_view text);
// Up to the first `separator`, which is removed from `rest` with what is before it.
std::string_view take_until(std::string_view& rest, char separator);

// The whole text as a decimal number; nothing where it is something else or too large.
std::optional<std::uint64_t> parse_number(std::string_view text);
bool is_hex(std::string_view text, std::size_t digits);  // lower or upper case, just so many
std::string to_hex(std::string_view bytes);              // lower case

std::string percent_encode(std::string_view text);
std::optional<std::string> percent_decode(std::string_view text);
std::string json_string(std::string_view text);  // with its quotes; what isn't UTF-8 or printable is replaced by '?'
std::string megabytes(std::uint64_t bytes);      // "229 MB", "0.4 MB"

}  // namespace bridgehead::init
