#include "simulation/trace_generator.h"

#include <algorithm>
#include <cmath>

#include "simulation/dice.h"
#include "simulation/trace_statistics.h"

namespace bridgehead::simulation {
namespace {

constexpr double kGib = 1073741824.0;

struct Size {
  double value;
  double weight;
};

template <std::size_t N>
double pick(const std::array<Size, N>& sizes, double part) {
  double sum = 0;
  for (const auto& size : sizes) {
    sum += size.weight;
    if (part < sum) return size.value;
  }
  return sizes.back().value;
}

// Weights by the buckets of trace_statistics.h.
constexpr std::array<Size, 6> kAzureVcpus{{{1, 0.25}, {2, 0.34}, {4, 0.30}, {8, 0.075}, {16, 0.028}, {24, 0.007}}};
constexpr std::array<Size, 7> kAzureMemory{
    {{1, 0.04}, {2, 0.08}, {4, 0.16}, {8, 0.37}, {16, 0.21}, {32, 0.105}, {64, 0.035}}};
constexpr std::array<Size, 5> kBitbrainsVcpus{{{1, 0.33}, {2, 0.28}, {4, 0.24}, {8, 0.12}, {16, 0.03}}};
constexpr std::array<Size, 3> kBitbrainsGibPerVcpu{{{2, 0.30}, {4, 0.45}, {8, 0.25}}};

class Generator {
 public:
  explicit Generator(const TraceWishes& wishes) : wishes_(wishes), dice_(wishes.seed, "trace") {}

  Trace make() {
    Trace trace;
    for (std::size_t i = 0; i < wishes_.guests; ++i) add(trace, 0, residual_life());
    if (wishes_.come_and_go && wishes_.guests > 0) {
      // By Little's law so many must come that as many are there as wished.
      const double pause = azure::kMeanLifetime * 3600 / static_cast<double>(wishes_.guests);
      for (double at = dice_.exponential(pause); at < wishes_.length; at += dice_.exponential(pause)) {
        add(trace, at, 3600 * value_at(azure::kLifetime, dice_.part()));
      }
    }
    return trace;
  }

 private:
  // Of a guest that is there when one looks: long lives are met more often, and some of them is over.
  std::optional<double> residual_life() {
    if (!wishes_.come_and_go) return {};
    double life = 0;
    do {
      life = value_at(azure::kLifetime, dice_.part());
    } while (!dice_.chance(life / azure::kLifetime.back().value));
    return 3600 * life * dice_.part();
  }

  void add(Trace& trace, double start, std::optional<double> life) {
    TraceGuest guest;
    guest.name = fmt::format("g{:07}", trace.guests.size() + 1);
    guest.start = start;
    if (life) guest.end = start + std::max(60.0, *life);
    guest.load.seed = dice_.bits();
    wishes_.profile == Profile::azure ? as_azure(guest) : as_bitbrains(guest);
    guest.load.shift = static_cast<float>(dice_.between(-1, 1));
    trace.guests.push_back(std::move(guest));
  }

  void as_azure(TraceGuest& guest) {
    // Big guests have much memory: the same draw, somewhat shaken, chooses both.
    const double z = dice_.normal();
    guest.vcpus = pick(kAzureVcpus, normal_part(z));
    guest.memory = kGib * pick(kAzureMemory, normal_part(0.9 * z + 0.436 * dice_.normal()));
    // Who uses much on average has high peaks; a peak is never below the average.
    const double load = dice_.normal();
    const double average = value_at(azure::kAverageCpu, normal_part(load));
    const double peak = value_at(azure::kPeakCpu, normal_part(0.93 * load + 0.368 * dice_.normal()));
    guest.load.average = static_cast<float>(average);
    guest.load.peak = static_cast<float>(std::max(average, peak));
    guest.load.rhythm = dice_.chance(azure::kInteractive) ? Rhythm::daily : Rhythm::steady;
  }

  void as_bitbrains(TraceGuest& guest) {
    guest.vcpus = pick(kBitbrainsVcpus, dice_.part());
    guest.memory = kGib * guest.vcpus * pick(kBitbrainsGibPerVcpu, dice_.part());
    const double average = std::min(0.6, dice_.exponential(bitbrains::kCpuUse));
    guest.load.average = static_cast<float>(average);
    guest.load.peak = static_cast<float>(std::min(1.0, average * dice_.between(2.5, 5)));
    const double kind = dice_.part();
    if (wishes_.profile == Profile::office) {
      guest.load.rhythm = kind < 0.85 ? Rhythm::office : Rhythm::steady;
    } else {
      guest.load.rhythm = kind < 0.45 ? Rhythm::office : kind < 0.9 ? Rhythm::daily : Rhythm::steady;
    }
  }

  static double normal_part(double z) { return 0.5 * std::erfc(-z / 1.4142135623730951); }

  const TraceWishes wishes_;
  Dice dice_;
};

}  // namespace

Trace generate_trace(const TraceWishes& wishes) { return Generator(wishes).make(); }

}  // namespace bridgehead::simulation
