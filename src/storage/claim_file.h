// The claims against a node in a shared pool. Each has a block of the file by its number, which alone is written when
// it comes and goes: nodes write at any time, however late, and none reads or writes by a cache. Thread-safe.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "base/result.h"
#include "model/ids.h"

namespace bridgehead::storage {

class ClaimFile {
 public:
  explicit ClaimFile(std::filesystem::path path) : path_(std::move(path)) {}

  // Into the block of `claim`: that number, or 0 when it is over. Others can read it when this returns.
  Status write(const model::NodeId& node, std::uint64_t claim, std::uint64_t value);
  // unsupported where the file system can't be read but through a cache.
  Result<std::vector<std::uint64_t>> read(const model::NodeId& node) const;

 private:
  std::filesystem::path path_;
};

}  // namespace bridgehead::storage
