// BufferPool: a fixed number of equal, aligned I/O buffers in huge pages; what bounds the memory of a copy.
// Buffers go back by themselves when their last owner lets go. Thread-safe; must outlive its buffers.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <stop_token>
#include <vector>

#include "base/result.h"

namespace bridgehead::storage {

class BufferPool {
 public:
  using Buffer = std::shared_ptr<std::uint8_t>;

  // Errors: resource_exhausted.
  static Result<std::unique_ptr<BufferPool>> create(std::size_t count, std::size_t bytes_each);
  ~BufferPool();
  BufferPool(const BufferPool&) = delete;
  BufferPool& operator=(const BufferPool&) = delete;

  Buffer try_acquire();                   // null when all are out
  Buffer acquire(std::stop_token& stop);  // null only after a stop request
  std::size_t bytes_each() const { return bytes_each_; }

 private:
  BufferPool(std::uint8_t* memory, std::size_t count, std::size_t bytes_each);
  Buffer take();  // with mutex_ held, free_ not empty

  std::uint8_t* memory_;
  std::size_t total_;
  std::size_t bytes_each_;
  std::mutex mutex_;
  std::condition_variable_any returned_;
  std::vector<std::uint8_t*> free_;
};

}  // namespace bridgehead::storage
