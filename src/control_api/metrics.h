// Metrics: what /metrics shows, in Prometheus' text format: counters of requests kept here, gauges read from the
// inventory at each scrape. Thread-safe. Nothing fails.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "control_api/routes.h"

namespace bridgehead::control_api {

class Metrics {
 public:
  Metrics();
  ~Metrics();

  // `route` null: none matched.
  void count_request(const Route* route, http::Method method, unsigned status, std::chrono::nanoseconds took);

  std::string render(const Services& services) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace bridgehead::control_api
