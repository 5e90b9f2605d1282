// SHA-256 (FIPS 180-4) of a stream. One thread at a time; never fails.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace bridgehead::init {

class Sha256 {
 public:
  void update(std::string_view bytes);
  std::string hex();  // lower case; ends the digest

 private:
  void block(std::string_view bytes);  // 64 of them

  std::array<std::uint32_t, 8> state_{0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                      0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  std::array<char, 64> pending_{};
  std::uint64_t length_ = 0;  // bytes so far
};

}  // namespace bridgehead::init
