#include "reconcile/planning/use_history.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <mutex>
#include <shared_mutex>
#include <unordered_map>

namespace bridgehead::reconcile {
// Named, because files are compiled together and a class of the header has members of these types.
namespace use_history_parts {

constexpr std::chrono::seconds kFresh{90};
constexpr std::chrono::hours kForgotten{168};
constexpr std::chrono::seconds kHour{3600};

std::int64_t slot_of(Timestamp at, std::chrono::seconds length) {
  return std::chrono::duration_cast<std::chrono::seconds>(at.time_since_epoch()).count() / length.count();
}

// 0 stands for "nothing was measured", so that the least that was is a bit more.
std::uint16_t to_half(double value) {
  const auto bits = std::bit_cast<std::uint32_t>(static_cast<float>(std::clamp(value, 1e-30, 1e30)));
  return static_cast<std::uint16_t>((bits + 0x8000u) >> 16);
}
double from_half(std::uint16_t half) {
  const auto value = std::bit_cast<float>(static_cast<std::uint32_t>(half) << 16);
  return value < 1e-20f ? 0 : value;
}

using Half = std::uint16_t;  // a float's upper half: its first two to three digits
using Cpu = UseHistory::Cpu;
using Use = UseHistory::Use;

struct PackedCpu {
  Half mean = 0, peak = 0;
};
struct PackedHour {
  PackedCpu cpus;
  Half memory = 0, storage = 0;
};
struct PackedUse {
  PackedHour hour;
  Half network = 0;
};

void pack(const Use& use, PackedCpu& packed) { packed = {to_half(use.cpus.mean), to_half(use.cpus.peak)}; }
void pack(const Use& use, PackedHour& packed) {
  pack(use, packed.cpus);
  packed.memory = to_half(use.memory);
  packed.storage = to_half(use.storage);
}
void pack(const Use& use, PackedUse& packed) {
  pack(use, packed.hour);
  packed.network = to_half(use.network);
}
Cpu unpack(const PackedCpu& packed) { return {from_half(packed.mean), from_half(packed.peak)}; }
Use unpack(const PackedHour& packed) {
  return {unpack(packed.cpus), from_half(packed.memory), from_half(packed.storage), 0};
}
Use unpack(const PackedUse& packed) {
  auto use = unpack(packed.hour);
  use.network = from_half(packed.network);
  return use;
}
bool measured(const PackedCpu& packed) { return packed.mean != 0; }
bool measured(const PackedHour& packed) { return measured(packed.cpus); }
bool measured(const PackedUse& packed) { return measured(packed.hour); }

// Sums of the samples of the step or hour that runs.
struct Running {
  std::int64_t slot = -1;  // since the epoch
  std::uint32_t samples = 0;
  Use sum;

  void add(const Use& use) {
    ++samples;
    sum.cpus.mean += use.cpus.mean;
    sum.cpus.peak = std::max(sum.cpus.peak, use.cpus.peak);
    sum.memory += use.memory;
    sum.storage += use.storage;
    sum.network += use.network;
  }
  Use mean() const {
    const double n = std::max(samples, 1u);
    return {{sum.cpus.mean / n, sum.cpus.peak}, sum.memory / n, sum.storage / n, sum.network / n};
  }
};

template <typename Packed, std::size_t N>
class Ring {
 public:
  void close(const Running& running) {
    if (running.samples == 0 || running.slot <= newest_) return;
    const auto size = static_cast<std::int64_t>(N);
    for (auto gap = std::max(newest_ + 1, running.slot - size + 1); newest_ >= 0 && gap < running.slot; ++gap) {
      values_[static_cast<std::size_t>(gap % size)] = {};
    }
    pack(running.mean(), values_[static_cast<std::size_t>(running.slot % size)]);
    if (newest_ < 0) oldest_ = running.slot;
    newest_ = running.slot;
    oldest_ = std::max(oldest_, newest_ - size + 1);
  }
  // None: before or after, or nothing was measured.
  std::optional<Packed> at(std::int64_t slot) const {
    if (newest_ < 0 || slot > newest_ || slot < oldest_) return {};
    const auto& packed = values_[static_cast<std::size_t>(slot % static_cast<std::int64_t>(N))];
    return measured(packed) ? std::optional(packed) : std::nullopt;
  }

 private:
  std::array<Packed, N> values_{};
  std::int64_t newest_ = -1;  // slot that was closed last
  std::int64_t oldest_ = -1;  // first slot that is kept
};

// A step or hour that runs and those that are over.
template <typename Packed, std::size_t N>
class Past {
 public:
  explicit Past(std::chrono::seconds length) : length_(length) {}
  void add(const Use& use, Timestamp now) {
    const auto at = slot_of(now, length_);
    if (at != running_.slot) {
      closed_.close(running_);
      running_ = {.slot = at};
    }
    running_.add(use);
  }
  // None: nothing was measured in it. A slot is closed when the first sample of the next one comes, which may be later.
  std::optional<decltype(unpack(Packed()))> at(std::int64_t slot) const {
    if (running_.slot == slot) {
      Packed packed;
      pack(running_.mean(), packed);
      return unpack(packed);
    }
    const auto packed = closed_.at(slot);
    return packed ? std::optional(unpack(*packed)) : std::nullopt;
  }
  // The `count` slots before now's, oldest first.
  auto last(std::size_t count, Timestamp now) const {
    std::vector<std::optional<decltype(unpack(Packed()))>> found(count);
    const auto first = slot_of(now, length_) - static_cast<std::int64_t>(count);
    for (std::size_t i = 0; i < count; ++i) found[i] = at(first + static_cast<std::int64_t>(i));
    return found;
  }

 private:
  std::chrono::seconds length_;
  Running running_;
  Ring<Packed, N> closed_;
};

struct Sample {
  std::int32_t second = 0;  // since Guest::began
  PackedUse use;
};

struct Guest {
  Use newest;
  Timestamp heard{};
  Timestamp began{};
  std::array<Sample, 20> samples{};
  std::uint32_t count = 0;  // of samples ever
  Past<PackedCpu, UseHistory::kSteps> steps{UseHistory::kStep};
  Past<PackedHour, UseHistory::kHours> hours{kHour};
};

struct Node {
  double cpus = 0;
  double watts = 0;
  Timestamp heard{};
  Past<PackedUse, UseHistory::kSteps> steps{UseHistory::kStep};
};

class Book {
 public:
  void note(const model::NodeId& node, const model::NodeUse& use, Bytes memory_taken, Timestamp now);
  void trim(Timestamp now);
  std::optional<model::GuestUse> newest(const model::VmId& vm, Timestamp now) const;
  std::optional<double> node_cpus(const model::NodeId& node, Timestamp now) const;
  std::optional<double> node_rapl_watts(const model::NodeId& node, Timestamp now) const;
  std::vector<std::optional<Cpu>> steps(const model::VmId& vm, Timestamp now, std::size_t count) const;
  std::vector<std::optional<Use>> hours(const model::VmId& vm, Timestamp now, std::size_t count) const;
  std::vector<std::optional<Use>> steps(const model::NodeId& node, Timestamp now, std::size_t count) const;
  std::optional<Use> recent(const model::VmId& vm, Timestamp now, std::chrono::seconds span) const;
  std::size_t count() const;

 private:
  const Guest* find(const model::VmId& vm) const {
    const auto found = guests_.find(vm);
    return found == guests_.end() ? nullptr : found->second.get();
  }

  std::unordered_map<model::VmId, std::unique_ptr<Guest>> guests_;
  std::unordered_map<model::NodeId, std::unique_ptr<Node>> nodes_;
};

void Book::note(const model::NodeId& node, const model::NodeUse& use, Bytes memory_taken, Timestamp now) {
  auto& known = nodes_[node];
  if (!known) known = std::make_unique<Node>();
  known->cpus = use.cpus;
  known->watts = use.watts;
  known->heard = now;
  Use all{{use.cpus, use.cpus}, static_cast<double>(memory_taken.count()), 0, 0};
  for (const auto& seen : use.guests) {
    auto& slot = guests_[seen.vm];
    if (!slot) {
      slot = std::make_unique<Guest>();
      slot->began = now;
    }
    auto& guest = *slot;
    const Use sample{{seen.cpus, seen.cpus}, static_cast<double>(seen.memory.count()), seen.storage, seen.network};
    guest.newest = sample;
    guest.heard = now;
    auto& kept = guest.samples[guest.count++ % guest.samples.size()];
    kept.second =
        static_cast<std::int32_t>(std::chrono::duration_cast<std::chrono::seconds>(now - guest.began).count());
    pack(sample, kept.use);
    guest.steps.add(sample, now);
    guest.hours.add(sample, now);
    all.storage += seen.storage;
    all.network += seen.network;
  }
  known->steps.add(all, now);
}

void Book::trim(Timestamp now) {
  std::erase_if(guests_, [&](const auto& entry) { return now - entry.second->heard > kForgotten; });
  std::erase_if(nodes_, [&](const auto& entry) { return now - entry.second->heard > kForgotten; });
}

std::optional<model::GuestUse> Book::newest(const model::VmId& vm, Timestamp now) const {
  const auto* guest = find(vm);
  if (guest == nullptr || now - guest->heard > kFresh) return {};
  const auto& use = guest->newest;
  return model::GuestUse{.vm = vm,
                         .cpus = use.cpus.mean,
                         .memory = Bytes(static_cast<std::uint64_t>(use.memory)),
                         .storage = use.storage,
                         .network = use.network};
}

std::optional<double> Book::node_cpus(const model::NodeId& node, Timestamp now) const {
  const auto found = nodes_.find(node);
  if (found == nodes_.end() || now - found->second->heard > kFresh) return {};
  return found->second->cpus;
}

std::optional<double> Book::node_rapl_watts(const model::NodeId& node, Timestamp now) const {
  const auto found = nodes_.find(node);
  if (found == nodes_.end() || now - found->second->heard > kFresh || found->second->watts <= 0) return {};
  return found->second->watts;
}

std::vector<std::optional<Cpu>> Book::steps(const model::VmId& vm, Timestamp now, std::size_t count) const {
  const auto* guest = find(vm);
  return guest == nullptr ? std::vector<std::optional<Cpu>>(count) : guest->steps.last(count, now);
}

std::vector<std::optional<Use>> Book::hours(const model::VmId& vm, Timestamp now, std::size_t count) const {
  const auto* guest = find(vm);
  return guest == nullptr ? std::vector<std::optional<Use>>(count) : guest->hours.last(count, now);
}

std::vector<std::optional<Use>> Book::steps(const model::NodeId& node, Timestamp now, std::size_t count) const {
  const auto found = nodes_.find(node);
  return found == nodes_.end() ? std::vector<std::optional<Use>>(count) : found->second->steps.last(count, now);
}

std::optional<Use> Book::recent(const model::VmId& vm, Timestamp now, std::chrono::seconds span) const {
  const auto* guest = find(vm);
  if (guest == nullptr) return {};
  Running all;
  const auto since =
      std::chrono::duration_cast<std::chrono::seconds>(now - std::min(span, UseHistory::kStep) - guest->began);
  for (std::size_t i = 0; i < std::min<std::size_t>(guest->count, guest->samples.size()); ++i) {
    if (guest->samples[i].second >= since.count()) all.add(unpack(guest->samples[i].use));
  }
  if (all.samples == 0) return {};
  auto use = all.mean();
  if (span <= UseHistory::kStep) return use;
  Running cpus;
  const auto current = slot_of(now, UseHistory::kStep);
  for (auto slot = slot_of(now - span, UseHistory::kStep) + 1; slot <= current; ++slot) {
    if (const auto step = guest->steps.at(slot)) cpus.add({.cpus = *step});
  }
  if (cpus.samples != 0) use.cpus = cpus.mean().cpus;
  return use;
}

std::size_t Book::count() const { return guests_.size(); }

}  // namespace use_history_parts

struct UseHistory::State {
  mutable std::shared_mutex mutex;
  use_history_parts::Book book;
};

UseHistory::UseHistory() : state_(std::make_unique<State>()) {}
UseHistory::~UseHistory() = default;

void UseHistory::note(const model::NodeId& node, const model::NodeUse& use, Bytes memory_taken, Timestamp now) {
  const std::unique_lock lock(state_->mutex);
  state_->book.note(node, use, memory_taken, now);
}

void UseHistory::trim(Timestamp now) {
  const std::unique_lock lock(state_->mutex);
  state_->book.trim(now);
}

std::optional<model::GuestUse> UseHistory::newest(const model::VmId& vm, Timestamp now) const {
  const std::shared_lock lock(state_->mutex);
  return state_->book.newest(vm, now);
}

std::optional<double> UseHistory::node_cpus(const model::NodeId& node, Timestamp now) const {
  const std::shared_lock lock(state_->mutex);
  return state_->book.node_cpus(node, now);
}

std::optional<double> UseHistory::node_rapl_watts(const model::NodeId& node, Timestamp now) const {
  const std::shared_lock lock(state_->mutex);
  return state_->book.node_rapl_watts(node, now);
}

std::vector<std::optional<UseHistory::Cpu>> UseHistory::steps(const model::VmId& vm, Timestamp now,
                                                              std::size_t count) const {
  const std::shared_lock lock(state_->mutex);
  return state_->book.steps(vm, now, count);
}

std::vector<std::optional<UseHistory::Use>> UseHistory::hours(const model::VmId& vm, Timestamp now,
                                                              std::size_t count) const {
  const std::shared_lock lock(state_->mutex);
  return state_->book.hours(vm, now, count);
}

std::vector<std::optional<UseHistory::Use>> UseHistory::steps(const model::NodeId& node, Timestamp now,
                                                              std::size_t count) const {
  const std::shared_lock lock(state_->mutex);
  return state_->book.steps(node, now, count);
}

std::optional<UseHistory::Use> UseHistory::recent(const model::VmId& vm, Timestamp now,
                                                  std::chrono::seconds span) const {
  const std::shared_lock lock(state_->mutex);
  return state_->book.recent(vm, now, span);
}

std::size_t UseHistory::guests() const {
  const std::shared_lock lock(state_->mutex);
  return state_->book.count();
}

}  // namespace bridgehead::reconcile
