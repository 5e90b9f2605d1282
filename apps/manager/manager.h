// The composition root: the one place where the manager's parts are made and wired, and stopped in order.
// Not thread-safe: main starts and stops it.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "base/result.h"
#include "manager/config.h"

namespace bridgehead::manager {

class Manager {
 public:
  // Everything is served when this returns. Errors say what to do: state directory not usable or held by another
  // manager, ports in use, a damaged or newer store, a CA that is half lost.
  static Result<std::unique_ptr<Manager>> start(const Config& config);
  ~Manager();  // stops

  // No new requests, then no more decisions, then no agents; each with its time limit, 10 s in all.
  void stop();

  Endpoint listening() const;
  Endpoint listening_for_agents() const;

 private:
  struct State;
  explicit Manager(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace bridgehead::manager
