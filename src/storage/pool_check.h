// Checks that a directory does what a pool needs of its file system, by using it as agents do. The same checks are run
// by `bridgehead-pool-check` for administrators and by the drivers' conformance suite. Calls block for as long as the
// file system does; nothing is left behind.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "base/fd.h"
#include "storage/image_pool.h"

namespace bridgehead::storage {

// Two openers of one pool, both attached, as two nodes would be.
struct PoolUnderCheck {
  ImagePool& one;
  ImagePool& other;
  std::filesystem::path root;     // the pool's directory as the first sees it
  std::filesystem::path scratch;  // a directory on another file system, for what is imported
};

struct PoolCheck {
  std::string name;
  std::string meaning;  // what a failure would mean, for people
  Status (*run)(PoolUnderCheck& pool);
};

const std::vector<PoolCheck>& pool_checks();

// Locks across hosts need two of them. On one: a lock that is held in `directory` for as long as the object lives.
class HeldLock {
 public:
  static Result<HeldLock> take(const std::filesystem::path& directory);
  HeldLock(HeldLock&& other) noexcept : file_(std::exchange(other.file_, {})), fd_(std::move(other.fd_)) {}
  ~HeldLock();
  const std::filesystem::path& file() const { return file_; }

 private:
  HeldLock(std::filesystem::path file, UniqueFd fd) : file_(std::move(file)), fd_(std::move(fd)) {}
  std::filesystem::path file_;
  UniqueFd fd_;
};
// On another: how many locks of other hosts are seen there as they should be. failed_precondition: one isn't.
Result<std::size_t> see_held_locks(const std::filesystem::path& directory);

}  // namespace bridgehead::storage
