#include "clusters.h"

#include <cmath>
#include <random>

namespace bridgehead::bench {
namespace {

using namespace bridgehead::scheduler;

constexpr double kMiB = 1 << 20;
constexpr double kGiB = 1 << 30;
constexpr double kVcpusPerCpu = 16;
constexpr double kGuestsAtMost = 100;  // of the number of guests as a resource

class Choice {
 public:
  explicit Choice(std::uint64_t seed) : engine_(seed) {}
  std::size_t below(std::size_t count) { return engine_() % count; }
  double part() { return static_cast<double>(engine_() >> 11) * 0x1.0p-53; }
  template <typename T, std::size_t N>
  T of(const T (&list)[N]) {
    return list[below(N)];
  }

 private:
  std::mt19937_64 engine_;
};

}  // namespace

Cluster skewed_cluster(std::size_t hosts, std::size_t guests, std::uint64_t seed) {
  Choice choice(seed);
  Cluster cluster;
  for (std::size_t h = 0; h < hosts; ++h) {
    Host host{.id = fmt::format("n{:05}", h), .name = fmt::format("n{:05}", h)};
    host.limits = {32 * kVcpusPerCpu, 131072 * kMiB, 0, 0, 0, kGuestsAtMost};
    cluster.hosts.push_back(host);
  }
  std::vector<Amounts> load(hosts);
  while (cluster.guests.size() < guests) {
    const auto name = fmt::format("v{:06}", cluster.guests.size());
    Guest guest{.id = name, .name = name};
    guest.demand = {choice.of({1.0, 2.0, 4.0}), choice.of({1024.0, 2048.0, 4096.0, 8192.0}) * kMiB, 0, 0, 0, 1};
    for (;;) {
      const double where = choice.part();
      guest.host = static_cast<HostIndex>(where * where * static_cast<double>(hosts));
      auto& there = load[guest.host];
      if (there[1] + guest.demand[1] > 0.9 * 131072 * kMiB) continue;
      for (std::size_t r = 0; r < kResources; ++r) there[r] += guest.demand[r];
      break;
    }
    cluster.guests.push_back(guest);
  }
  return cluster;
}

Policy like_hbal(std::size_t most_moves) {
  Policy policy;
  policy.consolidate = Mode::off;
  policy.failures = 0;
  policy.ceiling = 1;
  policy.move_price = 0;
  policy.most_moves = static_cast<std::uint32_t>(most_moves);
  policy.weights = {kVcpusPerCpu, 1, 0, 0, 0, 4 * kGuestsAtMost};  // hbal's ratio is of CPUs
  return policy;
}

Cluster measured_cluster(std::size_t hosts, std::size_t guests, std::uint64_t seed) {
  Choice choice(seed);
  Cluster cluster;
  for (std::size_t h = 0; h < hosts; ++h) {
    Host host{.id = fmt::format("n{:05}", h), .name = fmt::format("n{:05}", h)};
    host.limits = {1e6, 128 * kGiB, 32, 0, 0, 0};
    cluster.hosts.push_back(host);
  }
  std::vector<double> memory(hosts);
  while (cluster.guests.size() < guests) {
    const auto name = fmt::format("v{:06}", cluster.guests.size());
    Guest guest{.id = name, .name = name};
    const double size = (1 + 9 * choice.part()) * kGiB;
    guest.demand = {1, size, 0.1 + 2.4 * choice.part(), 0, 0, 0};
    do {
      const double where = choice.part();
      guest.host = static_cast<HostIndex>(where * where * static_cast<double>(hosts));
    } while (memory[guest.host] + size > 0.95 * 128 * kGiB);
    memory[guest.host] += size;
    cluster.guests.push_back(guest);
  }
  return cluster;
}

Policy evening_peaks(std::size_t most_moves) {
  Policy policy;
  policy.consolidate = Mode::off;
  policy.failures = 0;
  policy.ceiling = 1;
  policy.move_price = 0;
  policy.most_moves = static_cast<std::uint32_t>(most_moves);
  policy.evenness = Evenness::peak;
  policy.weights = {0, 1, 1, 0, 0, 0};
  return policy;
}

Cluster mixed_cluster(std::size_t hosts, std::size_t guests, std::uint64_t seed, std::size_t broken) {
  Choice choice(seed);
  Cluster cluster;
  for (std::size_t h = 0; h < hosts; ++h) {
    const double size = choice.of({1.0, 1.0, 2.0});
    Host host{.id = fmt::format("h{:05}", h), .name = fmt::format("h{:05}", h)};
    host.limits = {256 * size, 244 * kGiB * size, 64 * size, 244 * kGiB * size, 1.25e9, 1.25e9};
    host.rack = fmt::format("rack{}", h / 40);
    host.power_model.can_be_switched = true;
    cluster.hosts.push_back(host);
  }
  std::vector<Amounts> load(hosts);
  while (cluster.guests.size() < guests) {
    const auto name = fmt::format("v{:06}", cluster.guests.size());
    Guest guest{.id = name, .name = name};
    const double cpus = choice.of({1.0, 2.0, 2.0, 4.0, 8.0, 16.0});
    const double memory = cpus * choice.of({1.0, 2.0, 4.0}) * kGiB;
    guest.demand = {cpus, memory, cpus * choice.part() * 0.6, memory * 0.8, 3e6 * choice.part(), 3e6 * choice.part()};
    guest.memory_to_copy = memory;
    for (;;) {
      const double where = std::pow(choice.part(), 1.3);
      guest.host = static_cast<HostIndex>(where * static_cast<double>(hosts));
      auto& there = load[guest.host];
      const auto& limits = cluster.hosts[guest.host].limits;
      bool fits = true;
      for (std::size_t r = 0; r < kResources; ++r) fits = fits && there[r] + guest.demand[r] <= 0.95 * limits[r];
      if (!fits) continue;
      for (std::size_t r = 0; r < kResources; ++r) there[r] += guest.demand[r];
      break;
    }
    cluster.guests.push_back(guest);
  }
  // Groups of three replicas that must be apart; the broken ones are on one host.
  std::vector<std::vector<GuestIndex>> on(hosts);
  for (GuestIndex g = 0; g < guests; ++g) on[cluster.guests[g].host].push_back(g);
  for (std::size_t i = 0; i < guests / 30; ++i) {
    Rule rule{.name = fmt::format("replicas {}", i), .kind = RuleKind::apart};
    if (choice.below(100) < broken) {
      const auto& there = on[choice.below(hosts)];
      if (there.size() < 3) continue;
      rule.guests = {there[0], there[1], there[2]};
    } else {
      while (rule.guests.size() < 3) {
        const auto g = static_cast<GuestIndex>(choice.below(guests));
        const bool apart = std::all_of(rule.guests.begin(), rule.guests.end(), [&](GuestIndex other) {
          return cluster.guests[other].host != cluster.guests[g].host;
        });
        if (apart) rule.guests.push_back(g);
      }
    }
    cluster.rules.push_back(std::move(rule));
  }
  for (std::size_t i = 0; i < hosts * broken / 1000; ++i) cluster.hosts[choice.below(hosts)].evacuate = true;
  return cluster;
}

}  // namespace bridgehead::bench
