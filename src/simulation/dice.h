// Dice: replayable randomness that is the same on every machine (the standard's distributions are each library's own).
// Plain values; not thread-safe.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace bridgehead::simulation {

// Steele, Lea, Flood: "Fast splittable pseudorandom number generators", OOPSLA 2014 (SplitMix64's mixing function).
constexpr std::uint64_t mix(std::uint64_t x) {
  x += 0x9e3779b97f4a7c15ULL;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

// A number in [0, 1) that belongs to a seed and a place, without any state: the n-th of a series at once.
constexpr double chance_at(std::uint64_t seed, std::uint64_t place) {
  return static_cast<double>(mix(seed ^ mix(place)) >> 11) * 0x1.0p-53;
}

class Dice {
 public:
  explicit Dice(std::uint64_t seed) : state_(seed) {}
  // Dice of their own for each purpose: one more roll for faults doesn't change the guests.
  Dice(std::uint64_t seed, std::string_view purpose) : state_(seed) {
    for (const char c : purpose) state_ = mix(state_ ^ static_cast<unsigned char>(c));
  }

  std::uint64_t bits() {
    const auto bits = mix(state_);
    state_ += 0x9e3779b97f4a7c15ULL;
    return bits;
  }
  double part() { return static_cast<double>(bits() >> 11) * 0x1.0p-53; }  // [0, 1)
  double between(double least, double most) { return least + (most - least) * part(); }
  std::size_t below(std::size_t end) { return static_cast<std::size_t>(part() * static_cast<double>(end)); }
  bool chance(double probability) { return part() < probability; }
  double exponential(double mean) { return -mean * std::log1p(-part()); }
  double normal() {  // Box and Muller, one of the pair
    const double u = 1 - part();
    return std::sqrt(-2 * std::log(u)) * std::cos(6.283185307179586 * part());
  }

 private:
  std::uint64_t state_;
};

}  // namespace bridgehead::simulation
