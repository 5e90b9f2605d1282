// NodeWatch: how busy a node's CPUs and link were between two moments, out of /proc and /sys; and what the node is.
// Not thread-safe. Nothing fails: what can't be read is unknown.
#pragma once

#include <filesystem>
#include <optional>

#include "bench/record.h"

namespace bridgehead::load {

bench::NodeFacts facts_of_this_node(std::string name, const std::filesystem::path& root = "/");

class NodeWatch {
 public:
  explicit NodeWatch(std::filesystem::path root = "/");
  struct Busy {
    std::optional<double> cpu;   // 0..1, of all CPUs
    std::optional<double> link;  // 0..1, of the rate of the busiest NIC and way, where that is known
  };
  Busy since(double seconds) const;  // since this was made; so long ago

 private:
  struct Counts {
    double cpu_all = 0;
    double cpu_idle = 0;
    struct Way {
      std::string nic;
      std::string counter;  // "rx_bytes", "tx_bytes"
      double bytes = 0;
    };
    std::vector<Way> ways;
  };
  Counts count() const;

  std::filesystem::path root_;
  Counts before_;
};

}  // namespace bridgehead::load
