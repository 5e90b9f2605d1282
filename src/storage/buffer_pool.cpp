#include "storage/buffer_pool.h"

#include <sys/mman.h>

#include <cerrno>

namespace bridgehead::storage {

Result<std::unique_ptr<BufferPool>> BufferPool::create(std::size_t count, std::size_t bytes_each) {
  void* memory = ::mmap(nullptr, count * bytes_each, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return fail_errno(errno, "allocate buffers for the copy");
  // A block device takes a limited number of memory segments per request: in 4 KiB pages 1 MiB is often split in two.
  ::madvise(memory, count * bytes_each, MADV_HUGEPAGE);
  return std::unique_ptr<BufferPool>(new BufferPool(static_cast<std::uint8_t*>(memory), count, bytes_each));
}

BufferPool::BufferPool(std::uint8_t* memory, std::size_t count, std::size_t bytes_each)
    : memory_(memory), total_(count * bytes_each), bytes_each_(bytes_each) {
  for (std::size_t i = count; i-- > 0;) free_.push_back(memory_ + i * bytes_each_);
}

BufferPool::~BufferPool() { ::munmap(memory_, total_); }

BufferPool::Buffer BufferPool::take() {
  std::uint8_t* bytes = free_.back();
  free_.pop_back();
  return {bytes, [this](std::uint8_t* back) {
            const std::lock_guard lock(mutex_);
            free_.push_back(back);
            returned_.notify_one();
          }};
}

BufferPool::Buffer BufferPool::try_acquire() {
  const std::lock_guard lock(mutex_);
  return free_.empty() ? nullptr : take();
}

BufferPool::Buffer BufferPool::acquire(std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  if (!returned_.wait(lock, stop, [this] { return !free_.empty(); })) return nullptr;
  return take();
}

}  // namespace bridgehead::storage
