#include "storage/io_queue.h"

#include <liburing.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace bridgehead::storage {

struct IoQueue::Ring {
  io_uring ring{};
  ~Ring() { io_uring_queue_exit(&ring); }
};

IoQueue::IoQueue(unsigned depth, bool allow_uring) {
  if (!allow_uring) return;
  io_uring ring{};
  // One submitter, completions fetched only when we ask: saves an interrupt of the submitting thread per operation
  // (Linux 6.1); older kernels refuse the flags, then plainly.
  if (io_uring_queue_init(depth, &ring, IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN) != 0 &&
      io_uring_queue_init(depth, &ring, 0) != 0) {
    return;
  }
  ring_ = std::make_unique<Ring>();
  ring_->ring = ring;
}

IoQueue::~IoQueue() = default;

void* IoQueue::next_entry() {
  io_uring_sqe* entry = io_uring_get_sqe(&ring_->ring);
  while (entry == nullptr) {
    io_uring_submit(&ring_->ring);
    entry = io_uring_get_sqe(&ring_->ring);
  }
  return entry;
}

void IoQueue::read(int fd, void* buffer, std::uint32_t length, std::uint64_t offset, void* tag) {
  if (!ring_) {
    const ssize_t got = ::pread(fd, buffer, length, static_cast<off_t>(offset));
    done_.push_back({tag, got < 0 ? -errno : static_cast<int>(got)});
    return;
  }
  auto* entry = static_cast<io_uring_sqe*>(next_entry());
  io_uring_prep_read(entry, fd, buffer, length, offset);
  io_uring_sqe_set_data(entry, tag);
}

void IoQueue::write(int fd, const void* buffer, std::uint32_t length, std::uint64_t offset, void* tag) {
  if (!ring_) {
    const ssize_t put = ::pwrite(fd, buffer, length, static_cast<off_t>(offset));
    done_.push_back({tag, put < 0 ? -errno : static_cast<int>(put)});
    return;
  }
  auto* entry = static_cast<io_uring_sqe*>(next_entry());
  io_uring_prep_write(entry, fd, buffer, length, offset);
  io_uring_sqe_set_data(entry, tag);
}

Result<std::vector<IoQueue::Completion>> IoQueue::wait() {
  if (!ring_) return std::exchange(done_, {});
  int submitted = 0;
  do {
    submitted = io_uring_submit_and_wait(&ring_->ring, 1);
  } while (submitted == -EINTR || submitted == -EAGAIN || submitted == -EBUSY);
  if (submitted < 0) return fail_errno(-submitted, "io_uring");
  std::vector<Completion> ended;
  io_uring_cqe* entry = nullptr;
  while (io_uring_peek_cqe(&ring_->ring, &entry) == 0 && entry != nullptr) {
    ended.push_back({io_uring_cqe_get_data(entry), entry->res});
    io_uring_cqe_seen(&ring_->ring, entry);
  }
  return ended;
}

}  // namespace bridgehead::storage
