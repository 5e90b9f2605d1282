// Faults: what goes wrong in a simulated cluster, at its time and for its time. Not thread-safe.
#pragma once

#include "simulation/control.h"
#include "simulation/dice.h"
#include "simulation/world.h"

namespace bridgehead::simulation {

class Faults {
 public:
  Faults(const Scenario& scenario, World& world, Control& control, Agenda& agenda, Log& log)
      : scenario_(scenario),
        world_(world),
        control_(control),
        agenda_(agenda),
        log_(log),
        dice_(scenario.seed, "faults") {}

  void plan_all();  // those with a time, and by chance those with a rate

  std::uint64_t failures = 0;
  std::uint64_t partitions = 0;

 private:
  void by_rate(double per_day, const std::function<void(double)>& plan_one);
  void plan_one(Fault fault);
  void fail_host(HostId host, double length);
  void part(HostId first, std::size_t hosts, double length);
  void slow_down(double factor, double length);
  void restart_manager(double length);
  HostId host_of(const Fault& fault);

  const Scenario& scenario_;
  World& world_;
  Control& control_;
  Agenda& agenda_;
  Log& log_;
  Dice dice_;
};

}  // namespace bridgehead::simulation
