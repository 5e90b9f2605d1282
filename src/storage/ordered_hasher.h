// OrderedHasher: SHA-256 of content whose pieces become ready in any order. Pieces are announced in order, then handed
// over when they are read; a thread of its own hashes them in order and lets go of their buffers. What lies between
// announced pieces is zeros. Thread-safe.
#pragma once

#include "storage/buffer_pool.h"
#include "storage/digest.h"

namespace bridgehead::storage {

class OrderedHasher {
 public:
  OrderedHasher() : thread_([this] { work(); }) {}
  ~OrderedHasher() {
    abandon();
    close();
  }

  void announce(std::uint64_t offset, std::uint64_t length) {
    const std::lock_guard lock(mutex_);
    queue_.push_back({offset, length, nullptr});
  }

  void ready(std::uint64_t offset, BufferPool::Buffer buffer) {
    const std::lock_guard lock(mutex_);
    for (auto& item : queue_) {
      if (item.offset == offset) item.buffer = std::move(buffer);
    }
    changed_.notify_all();
  }

  // The copy failed: lets go of every buffer, so that nobody waits for one.
  void abandon() {
    const std::lock_guard lock(mutex_);
    abandoned_ = true;
    queue_.clear();
    changed_.notify_all();
  }

  // After every announced piece was handed over; `size` is that of the whole content.
  std::string hex(std::uint64_t size) {
    close();
    digest_.update_zeros(size - position_);
    return digest_.hex();
  }

 private:
  struct Item {
    std::uint64_t offset;
    std::uint64_t length;
    BufferPool::Buffer buffer;
  };

  void close() {
    {
      const std::lock_guard lock(mutex_);
      closed_ = true;
      changed_.notify_all();
    }
    if (thread_.joinable()) thread_.join();
  }

  void work() {
    std::unique_lock lock(mutex_);
    for (;;) {
      changed_.wait(lock, [this] {
        return abandoned_ || (closed_ && queue_.empty()) || (!queue_.empty() && queue_.front().buffer);
      });
      if (abandoned_ || queue_.empty()) return;
      const Item item = std::move(queue_.front());
      queue_.pop_front();
      lock.unlock();
      digest_.update_zeros(item.offset - position_);
      digest_.update(std::span<const std::uint8_t>(item.buffer.get(), item.length));
      position_ = item.offset + item.length;
      lock.lock();
    }
  }

  Sha256 digest_;
  std::uint64_t position_ = 0;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Item> queue_;
  bool closed_ = false;
  bool abandoned_ = false;
  std::thread thread_;
};

}  // namespace bridgehead::storage
