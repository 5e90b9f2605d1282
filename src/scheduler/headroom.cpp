#include "scheduler/headroom.h"

#include <algorithm>
#include <numeric>

#include "scheduler/state.h"

namespace bridgehead::scheduler {
namespace {

constexpr std::size_t kPromised = 2;  // vcpus and memory
using Sizes = std::array<double, kPromised>;

class Headroom {
 public:
  explicit Headroom(const State& state) : state_(state), problem_(state.problem()) {
    for (HostIndex host = 0; host < problem_.hosts(); ++host) {
      if (state.in_use(host)) busy_.push_back(host);
      if (!state.takes(host)) continue;
      open_.push_back(host);
      for (std::size_t r = 0; r < kPromised; ++r) largest_[r] = std::max(largest_[r], problem_.limit[host][r]);
    }
    sizes_.resize(problem_.guests());
    for (GuestIndex guest = 0; guest < sizes_.size(); ++guest) sizes_[guest] = size(problem_.demand[guest]);
    rooms_.resize(problem_.hosts());
    for (const auto host : open_) rooms_[host] = room(host);
  }

  double missing() {
    const auto wanted = std::min<std::size_t>(problem_.policy.failures, problem_.hosts());
    if (wanted == 0 || busy_.empty() || certain(wanted)) return 0;
    std::sort(open_.begin(), open_.end(), [&](HostIndex a, HostIndex b) {
      return std::pair{-rooms_[a], a} < std::pair{-rooms_[b], b};
    });
    if (std::any_of(busy_.begin(), busy_.end(), [&](HostIndex host) { return !survives({host}); })) {
      return static_cast<double>(wanted);
    }
    std::sort(busy_.begin(), busy_.end(), [&](HostIndex a, HostIndex b) {
      return std::pair{-taken(a), a} < std::pair{-taken(b), b};
    });
    std::size_t survived = 1;
    while (survived < wanted) {
      const auto count = std::min(survived + 1, busy_.size());
      if (!survives({busy_.begin(), busy_.begin() + static_cast<std::ptrdiff_t>(count)})) break;
      ++survived;
    }
    return static_cast<double>(wanted - survived);
  }

 private:
  double size(const Amounts& demand) const {
    double size = 0;
    for (std::size_t r = 0; r < kPromised; ++r) {
      if (largest_[r] > 0) size = std::max(size, demand[r] / largest_[r]);
    }
    return size;
  }

  double room(HostIndex host) const {
    double room = 1;
    for (std::size_t r = 0; r < kPromised; ++r) {
      if (largest_[r] <= 0) continue;
      room = std::min(room, std::max(0.0, problem_.room[host][r] - state_.load(host)[r]) / largest_[r]);
    }
    return room;
  }

  double taken(HostIndex host) const {
    double sum = 0;
    for (const auto guest : state_.guests_on(host)) sum += sizes_[guest];
    return sum;
  }

  bool certain(std::size_t failures) const {
    double most = 0;
    for (GuestIndex guest = 0; guest < sizes_.size(); ++guest) {
      if (state_.host_of(guest) != kNowhere) most = std::max(most, sizes_[guest]);
    }
    double sum = 0;
    for (const auto host : open_) sum += std::max(0.0, rooms_[host] - most);
    std::vector<double> lost;
    for (const auto host : busy_) {
      lost.push_back(taken(host) + (state_.takes(host) ? std::max(0.0, rooms_[host] - most) : 0));
    }
    const auto count = static_cast<std::ptrdiff_t>(std::min(failures, lost.size()));
    std::partial_sort(lost.begin(), lost.begin() + count, lost.end(), std::greater<>());
    return std::accumulate(lost.begin(), lost.begin() + count, 0.0) <= sum;
  }

  bool survives(const std::vector<HostIndex>& failed) const {
    std::vector<GuestIndex> guests;
    for (const auto host : failed)
      guests.insert(guests.end(), state_.guests_on(host).begin(), state_.guests_on(host).end());
    std::sort(guests.begin(), guests.end(), [&](GuestIndex a, GuestIndex b) {
      return std::pair{-sizes_[a], a} < std::pair{-sizes_[b], b};
    });
    // More hosts than this only matter where all have hardly any room.
    const auto looked_at = std::min(open_.size(), 4 * guests.size() + 8 + failed.size());
    std::vector<Sizes> free;
    for (std::size_t i = 0; i < looked_at; ++i) {
      const auto host = open_[i];
      if (std::find(failed.begin(), failed.end(), host) != failed.end()) continue;
      Sizes rooms{};
      for (std::size_t r = 0; r < kPromised; ++r) rooms[r] = problem_.room[host][r] - state_.load(host)[r];
      free.push_back(rooms);
    }
    return std::all_of(guests.begin(), guests.end(), [&](GuestIndex guest) {
      const auto& demand = problem_.demand[guest];
      const auto found = std::find_if(
          free.begin(), free.end(), [&](const Sizes& rooms) { return demand[0] <= rooms[0] && demand[1] <= rooms[1]; });
      if (found == free.end()) return false;
      for (std::size_t r = 0; r < kPromised; ++r) (*found)[r] -= demand[r];
      return true;
    });
  }

  const State& state_;
  const Problem& problem_;
  std::vector<HostIndex> busy_;
  std::vector<HostIndex> open_;
  Amounts largest_{};
  std::vector<double> sizes_;
  std::vector<double> rooms_;
};

}  // namespace

double missing_headroom(const State& state) { return Headroom(state).missing(); }

}  // namespace bridgehead::scheduler
