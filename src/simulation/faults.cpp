#include "simulation/faults.h"

#include <algorithm>

namespace bridgehead::simulation {

void Faults::plan_all() {
  const auto& rates = scenario_.rates;
  const auto hosts = static_cast<double>(world_.hosts.size());
  for (const auto& fault : scenario_.faults) plan_one(fault);
  by_rate(rates.host_failures * hosts,
          [&](double at) { plan_one({.kind = FaultKind::host_failure, .at = at, .length = rates.repair.count()}); });
  by_rate(rates.partitions, [&](double at) {
    plan_one({.kind = FaultKind::partition,
              .at = at,
              .length = dice_.exponential(rates.partition.count()) + 1,
              .hosts = rates.partition_hosts});
  });
  by_rate(rates.slow_storage, [&](double at) {
    plan_one({.kind = FaultKind::slow_storage, .at = at, .length = rates.slow.count(), .factor = rates.slow_factor});
  });
  by_rate(rates.manager_restarts, [&](double at) {
    plan_one({.kind = FaultKind::manager_restart, .at = at, .length = rates.restart.count()});
  });
}

void Faults::by_rate(double per_day, const std::function<void(double)>& plan_one) {
  if (per_day <= 0) return;
  const double pause = 86400 / per_day;
  for (double at = dice_.exponential(pause); at < scenario_.length.count(); at += dice_.exponential(pause))
    plan_one(at);
}

HostId Faults::host_of(const Fault& fault) {
  const auto named =
      std::find_if(world_.hosts.begin(), world_.hosts.end(), [&](const auto& host) { return host.name == fault.host; });
  if (named != world_.hosts.end()) return static_cast<HostId>(named - world_.hosts.begin());
  return static_cast<HostId>(dice_.below(world_.hosts.size()));
}

void Faults::plan_one(Fault fault) {
  const auto host = host_of(fault);
  agenda_.at(fault.at, [this, fault, host] {
    switch (fault.kind) {
      case FaultKind::host_failure: return fail_host(host, fault.length);
      case FaultKind::partition: return part(host, fault.hosts, fault.length);
      case FaultKind::slow_storage: return slow_down(fault.factor, fault.length);
      case FaultKind::manager_restart: return restart_manager(fault.length);
    }
  });
}

void Faults::fail_host(HostId host, double length) {
  if (world_.hosts[host].broken) return;
  ++failures;
  world_.break_host(host);
  agenda_.after(length, [this, host] { world_.repair_host(host); });
}

void Faults::part(HostId first, std::size_t hosts, double length) {
  ++partitions;
  for (std::size_t i = 0; i < std::min(hosts, world_.hosts.size()); ++i) {
    const auto host = static_cast<HostId>((first + i) % world_.hosts.size());
    world_.cut_off(host);
    agenda_.after(length, [this, host] { world_.connect(host); });
  }
}

void Faults::slow_down(double factor, double length) {
  world_.slowness *= factor;
  log_.line("storage is {:.1f} times as slow", world_.slowness);
  agenda_.after(length, [this, factor] {
    world_.slowness /= factor;
    log_.line("storage is {:.1f} times as slow", world_.slowness);
  });
}

void Faults::restart_manager(double length) {
  if (!control_.up()) return;
  control_.stop();
  agenda_.after(length, [this] { control_.restart(); });
}

}  // namespace bridgehead::simulation
