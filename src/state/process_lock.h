// ProcessLock: keeps a second process away from a file of ours. Held until destroyed, or until the process ends in any
// way. The lock file stays: removing it would let two processes lock two different files of one name.
#pragma once

#include <filesystem>

#include "base/fd.h"
#include "base/result.h"

namespace bridgehead::state {

class ProcessLock {
 public:
  // failed_precondition: another process (its number is in the message) holds it. `guarded` is for the message.
  static Result<ProcessLock> acquire(const std::filesystem::path& lock_file, const std::filesystem::path& guarded);

 private:
  explicit ProcessLock(UniqueFd fd) : fd_(std::move(fd)) {}
  UniqueFd fd_;
};

}  // namespace bridgehead::state
