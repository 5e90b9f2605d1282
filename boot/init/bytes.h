// Numbers as protocols have them: the most significant byte first. Pure.
#pragma once

#include <bit>
#include <concepts>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace bridgehead::init {

template <std::unsigned_integral T>
T swapped_where_little(T value) {
  if constexpr (std::endian::native == std::endian::big || sizeof(T) == 1) return value;
  if constexpr (sizeof(T) == 2) return __builtin_bswap16(value);
  if constexpr (sizeof(T) == 4) return __builtin_bswap32(value);
  if constexpr (sizeof(T) == 8) return __builtin_bswap64(value);
}

// The caller has seen that the bytes are there.
template <std::unsigned_integral T>
T big_endian_at(std::string_view bytes, std::size_t at) {
  T value = 0;
  std::memcpy(&value, bytes.data() + at, sizeof value);
  return swapped_where_little(value);
}

template <std::unsigned_integral T>
void append_big_endian(std::string& to, T value) {
  value = swapped_where_little(value);
  to.append(reinterpret_cast<const char*>(&value), sizeof value);
}

template <std::unsigned_integral T>
std::string big_endian(T value) {
  std::string bytes;
  append_big_endian(bytes, value);
  return bytes;
}

}  // namespace bridgehead::init
