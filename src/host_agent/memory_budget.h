// MemoryBudget: memory promised to guests that are being started and haven't taken it yet, so that twenty starts at
// once don't all count on the same free memory. Thread-safe. Fails with resource_exhausted.
#pragma once

#include <memory>
#include <mutex>

#include "base/result.h"
#include "base/units.h"

namespace bridgehead::host_agent {

class MemoryBudget {
 public:
  // Gives the memory back at its end.
  class Reservation {
   public:
    Reservation(MemoryBudget& budget, Bytes size) : budget_(&budget), size_(size) {}
    Reservation(Reservation&& other) noexcept : budget_(std::exchange(other.budget_, nullptr)), size_(other.size_) {}
    Reservation& operator=(Reservation&&) = delete;
    ~Reservation() {
      if (budget_ != nullptr) budget_->release(size_);
    }

   private:
    MemoryBudget* budget_;
    Bytes size_;
  };

  // `available` is what the host says is free now.
  Result<Reservation> reserve(Bytes size, Bytes available) {
    const std::lock_guard lock(mutex_);
    const Bytes free = available > promised_ ? available - promised_ : Bytes(0);
    if (size > free) {
      return fail_with_hint(ErrorCode::resource_exhausted,
                            fmt::format("too little memory: needs {}, {} available", size.human(), free.human()),
                            "Give the guest less memory, stop another one, or use another node.");
    }
    promised_ += size;
    return Reservation(*this, size);
  }

 private:
  void release(Bytes size) {
    const std::lock_guard lock(mutex_);
    promised_ = promised_ - size;
  }

  std::mutex mutex_;
  Bytes promised_;
};

}  // namespace bridgehead::host_agent
