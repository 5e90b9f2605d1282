// Reads and writes fixed-width integers of formats, big-endian, little-endian or as this host has them, at an offset.
// The caller has checked the bounds; a read past the end is a broken invariant.
#pragma once

#include <concepts>
#include <cstdint>
#include <cstring>
#include <span>

#include "base/result.h"

namespace bridgehead::storage {

template <std::unsigned_integral T>
T read_be(std::span<const std::uint8_t> bytes, std::size_t offset) {
  require(offset <= bytes.size() && bytes.size() - offset >= sizeof(T), "read past the end of a header");
  T value = 0;
  for (std::size_t i = 0; i < sizeof(T); ++i) value = static_cast<T>((value << 8) | bytes[offset + i]);
  return value;
}

template <std::unsigned_integral T>
T read_le(std::span<const std::uint8_t> bytes, std::size_t offset) {
  require(offset <= bytes.size() && bytes.size() - offset >= sizeof(T), "read past the end of a header");
  T value = 0;
  for (std::size_t i = sizeof(T); i-- > 0;) value = static_cast<T>((value << 8) | bytes[offset + i]);
  return value;
}

template <std::unsigned_integral T>
T read_host(std::span<const std::uint8_t> bytes, std::size_t offset) {
  require(offset <= bytes.size() && bytes.size() - offset >= sizeof(T), "read past the end of a header");
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof value);
  return value;
}

template <std::unsigned_integral T>
void write_host(std::span<std::uint8_t> bytes, std::size_t offset, T value) {
  require(offset <= bytes.size() && bytes.size() - offset >= sizeof(T), "write past the end of a header");
  std::memcpy(bytes.data() + offset, &value, sizeof value);
}

template <std::unsigned_integral T>
void write_be(std::span<std::uint8_t> bytes, std::size_t offset, T value) {
  require(offset <= bytes.size() && bytes.size() - offset >= sizeof(T), "write past the end of a header");
  for (std::size_t i = sizeof(T); i-- > 0;) {
    bytes[offset + i] = static_cast<std::uint8_t>(value);
    value = static_cast<T>(value >> 7 >> 1);
  }
}

}  // namespace bridgehead::storage
