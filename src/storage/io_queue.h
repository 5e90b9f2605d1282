// IoQueue: reads and writes of one thread, many at once through io_uring, or one after the other with pread and pwrite
// where the kernel refuses io_uring (old kernel, seccomp, io_uring_disabled). Not thread-safe: one queue per thread.
// An operation's result is that of the system call: bytes, or a negative errno; short counts are the caller's matter.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/result.h"

namespace bridgehead::storage {

class IoQueue {
 public:
  struct Completion {
    void* tag = nullptr;
    int result = 0;
  };

  // Never fails: without io_uring (or with `allow_uring` false) operations are carried out when they are queued.
  IoQueue(unsigned depth, bool allow_uring);
  ~IoQueue();
  IoQueue(const IoQueue&) = delete;
  IoQueue& operator=(const IoQueue&) = delete;

  bool parallel() const { return ring_ != nullptr; }

  void read(int fd, void* buffer, std::uint32_t length, std::uint64_t offset, void* tag);
  void write(int fd, const void* buffer, std::uint32_t length, std::uint64_t offset, void* tag);

  // Hands all queued operations to the kernel, waits for at least one to end, returns all that ended.
  Result<std::vector<Completion>> wait();

 private:
  struct Ring;
  void* next_entry();

  std::unique_ptr<Ring> ring_;
  std::vector<Completion> done_;
};

}  // namespace bridgehead::storage
