// One run of bridgehead-pool-check: a pool in a fresh directory on the file system in question, used as two nodes
// would, and removed. Plain values; blocks as long as the file system does.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "model/pool.h"
#include "storage/layout.h"

namespace bridgehead::pool_check {

struct Options {
  std::filesystem::path directory;
  model::PoolDriver driver = model::PoolDriver::posix;
  std::map<std::string, std::string> layout;  // the pool's options about layouts: ost_pool, storage_class, ...
};

struct Checked {
  std::string name;
  std::string meaning;
  Status result;
  std::chrono::milliseconds took{0};
};

struct Findings {
  model::PoolOnNode state;
  std::string mounted;  // as /proc tells it
  std::vector<storage::StorageTarget> targets;
  std::map<std::string, std::string> layouts;  // role -> what new images get
  std::size_t locks_seen = 0;                  // of other hosts
  std::vector<Checked> checks;

  bool fit() const;
};

// failed_precondition, not_found, permission_denied: the directory can't be tried at all, or is on another file system
// than the driver's.
Result<Findings> check_directory(const Options& options);

}  // namespace bridgehead::pool_check
