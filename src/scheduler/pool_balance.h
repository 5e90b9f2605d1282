// How evenly a pool's storage targets are filled, and which images would have to lie elsewhere to even them out. A pure
// function of a survey; the same input gives the same answer on every machine. Thread-safe.
#pragma once

#include <string>
#include <vector>

#include "model/layout.h"

namespace bridgehead::scheduler {

struct BalanceLimits {
  double tolerated = 0.1;  // spread below which nothing is proposed
  std::size_t most_moves = 64;
};

// The part of `image` that lies on target `from` would lie on target `to`. The file is written anew for it.
struct TargetMove {
  model::ImageId image;
  std::uint32_t from = 0;
  std::uint32_t to = 0;
  Bytes bytes;

  bool operator==(const TargetMove&) const = default;
};

// Images that are spread alike, whichever their targets are.
struct LayoutInUse {
  std::string layout;  // "4 stripes of 1 MiB"
  std::size_t images = 0;
  Bytes allocated;

  bool operator==(const LayoutInUse&) const = default;
};

struct TargetUse {
  model::StorageTarget target;
  Bytes images;     // what images of this pool take of it, as far as known
  double used = 0;  // part of it that anything takes, 0 to 1

  bool operator==(const TargetUse&) const = default;
};

struct PoolBalance {
  std::vector<TargetUse> targets;
  std::vector<LayoutInUse> layouts;  // most images first
  double spread = 0;                 // fullest minus emptiest target that takes files, as parts of their sizes; 0 to 1
  std::vector<TargetMove> moves;     // in the order in which they help most
  double spread_after = 0;
};

PoolBalance balance_pool(const model::PoolSurvey& survey, const BalanceLimits& limits = {});

}  // namespace bridgehead::scheduler
