// The machines of a storm as one process plays them: firmware on a thread of its own, the boot server's part here, all
// at once. Needs to be in the network namespace of `interface`, which has all the machines' addresses.
#pragma once

#include <netinet/in.h>

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/fd.h"
#include "performance/storm_exchange.h"
#include "performance/storm_firmware.h"
#include "performance/storm_machine.h"

namespace bridgehead::performance {

struct StormPlan {
  std::string interface;
  sockaddr_in server{};
  std::vector<StormIdentity> machines;
  StormFiles files;
  bool discovered = false;  // they have their addresses already, nobody knows them
  std::chrono::seconds patience{300};
};

struct StormOutcome {
  std::size_t served = 0;
  std::vector<std::string> problems;                   // one for each machine that was not
  std::map<std::string, std::vector<double>> answers;  // seconds, by what was asked
  std::uint64_t bytes = 0;
  double seconds = 0;
  double first_loaded = 0;  // until the first, and all, had their address and first script
  double all_loaded = 0;
  std::size_t repeated = 0;
};

class StormCrowd {
 public:
  explicit StormCrowd(const StormPlan& plan);
  Result<StormOutcome> run();

 private:
  struct Busy {
    std::size_t machine = 0;
    std::unique_ptr<HttpExchange> exchange;
    HttpExchange::Want want = HttpExchange::Want::nothing;
  };

  void loaded(std::size_t machine, const std::string& problem);
  void take_loaded();
  void ask(Busy& busy);
  void follow(Busy& busy, HttpExchange::Want want);
  void answered(Busy& busy);
  void end(std::size_t machine, const std::string& problem);
  double now() const;

  const StormPlan& plan_;
  std::vector<StormMachine> machines_;
  std::vector<Busy> busy_;  // by machine
  UniqueFd epoll_;
  UniqueFd wake_;
  std::size_t left_ = 0;
  StormOutcome outcome_;
  Monotonic begun_{};

  std::mutex mutex_;                                         // guards what follows
  std::vector<std::pair<std::size_t, std::string>> loaded_;  // by the firmware's thread
};

}  // namespace bridgehead::performance
