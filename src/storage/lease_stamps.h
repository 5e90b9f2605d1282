// Lease stamps: one small file per VM beside its disks, durable when a call returns. Thread-safe, and safe against
// other processes and (where the file system's flock spans hosts) other nodes.
#pragma once

#include <filesystem>
#include <optional>
#include <string_view>

#include "base/fd.h"
#include "base/result.h"
#include "model/lease.h"

namespace bridgehead::storage {

class LeaseStamps {
 public:
  explicit LeaseStamps(std::filesystem::path directory) : directory_(std::move(directory)) {}

  // As ImagePool::stamp_lease. `staging`: where it is made, on the same file system; a crash may leave it there.
  Status stamp(const model::LeaseClaim& claim, const std::filesystem::path& staging) const;
  // As ImagePool::change_terms.
  Status change_terms(const model::LeaseClaim& own, const std::filesystem::path& staging) const;
  Result<std::optional<model::LeaseStamp>> read(const model::VmId& vm) const;
  Status remove(const model::VmId& vm) const;

 private:
  Status replace(const model::LeaseStamp& stamp, const std::filesystem::path& staging) const;
  Result<UniqueFd> lock(const model::VmId& vm) const;
  std::filesystem::path file(const model::VmId& vm) const;

  std::filesystem::path directory_;
};

}  // namespace bridgehead::storage
