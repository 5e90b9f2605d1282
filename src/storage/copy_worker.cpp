#include "storage/copy_worker.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

namespace bridgehead::storage {
namespace {

constexpr std::uint64_t kCopyBlock = 4096;
// Zeros shorter than this between data are written: many small holes cost more (extents, requests) than they save.
constexpr std::uint64_t kSmallestHole = 65536;
constexpr std::uint64_t kProgressStep = 16 << 20;

std::uint64_t round_up(std::uint64_t value) { return (value + kCopyBlock - 1) / kCopyBlock * kCopyBlock; }

}  // namespace

void PieceDigests::add(std::uint64_t offset, std::span<const std::uint8_t> piece) {
  if (all_zero(piece)) return;
  Sha256 digest;
  digest.update(piece);
  auto hex = digest.hex();
  const std::lock_guard lock(mutex_);
  pieces_[offset] = std::move(hex);
}

std::string PieceDigests::hex() const {
  Sha256 digest;
  for (const auto& [offset, piece] : pieces_) {
    std::array<std::uint8_t, 8> place{};
    for (std::size_t i = 0; i < place.size(); ++i) place[i] = static_cast<std::uint8_t>(offset >> (8 * i));
    digest.update(std::span<const std::uint8_t>(place));
    digest.update(piece);
  }
  return digest.hex();
}

void CopyShared::give_up(Error why) {
  const std::lock_guard lock(error_mutex);
  if (!error) error = std::move(why);
  failed = true;
  if (hasher != nullptr) hasher->abandon();
}

void CopyWorker::run() {
  shared_.used_io_uring = queue_.parallel();
  bool more = true;
  for (;;) {
    if (shared_.stop.stop_requested() && !shared_.failed) {
      shared_.give_up({ErrorCode::cancelled, "the copy was cancelled", {}});
    }
    while (more && !shared_.failed && jobs_.size() < shared_.depth) {
      const Started started = start_one();
      if (started == Started::nothing_left) more = false;
      if (started != Started::yes) break;
    }
    if (jobs_.empty()) {
      if (!more || shared_.failed) return;
      continue;
    }
    auto completions = queue_.wait();
    if (!completions) {
      // Without completions nobody knows which buffers the kernel still uses.
      abort_with("io_uring stopped working: " + completions.error().message);
    }
    for (const auto& [tag, result] : *completions) ended(*static_cast<Operation*>(tag), result);
  }
}

CopyWorker::Started CopyWorker::start_one() {
  // First the buffer, then the piece: so every piece that was handed out makes progress and the hasher never waits for
  // one that waits for a buffer.
  auto buffer = shared_.buffers.try_acquire();
  if (!buffer && !jobs_.empty()) return Started::no_buffer_now;
  if (!buffer) buffer = shared_.buffers.acquire(shared_.stop);
  if (!buffer) return Started::no_buffer_now;  // stopping; run() sees it
  auto piece = shared_.planner.next([this](const Piece& next) {
    if (shared_.hasher != nullptr) shared_.hasher->announce(next.offset, next.length);
  });
  if (!piece) {
    shared_.give_up(piece.error());
    return Started::nothing_left;
  }
  if (!*piece) return Started::nothing_left;
  Job& job = jobs_.emplace_back();
  job.piece = std::move(**piece);
  job.buffer = std::move(buffer);
  start_reads(job);
  return Started::yes;
}

void CopyWorker::start_reads(Job& job) {
  std::uint64_t packed = 0;
  for (const Extent& extent : job.piece.extents) {
    if (extent.kind == ExtentKind::compressed) packed += extent.file_length;
  }
  job.packed.resize(packed);
  packed = 0;
  job.pending = 1;  // held until all are queued
  for (const Extent& extent : job.piece.extents) {
    std::uint8_t* memory = job.buffer.get() + (extent.offset - job.piece.offset);
    if (extent.kind == ExtentKind::zero) {
      std::memset(memory, 0, extent.length);
    } else if (extent.kind == ExtentKind::data) {
      read_extent(job, extent, memory);
    } else {
      queue(job, {&job, job.packed.data() + packed, static_cast<std::uint32_t>(extent.file_length), extent.file_offset},
            shared_.source);
      packed += extent.file_length;
    }
  }
  if (--job.pending == 0) reads_done(job);
}

void CopyWorker::read_extent(Job& job, const Extent& extent, std::uint8_t* memory) {
  // What an image has past its file's end reads as zeros.
  const std::uint64_t there =
      extent.file_offset < shared_.source_size ? std::min(extent.length, shared_.source_size - extent.file_offset) : 0;
  std::memset(memory + there, 0, extent.length - there);
  if (there == 0) return;
  const int fd = source_for(extent.file_offset, there);
  queue(job, {&job, memory, static_cast<std::uint32_t>(there), extent.file_offset}, fd);
}

// What is in the page cache is read from there (a staged file that has just been received is), the rest past it.
int CopyWorker::source_for(std::uint64_t offset, std::uint64_t length) const {
  if (shared_.source_direct < 0 || offset % kCopyBlock != 0) return shared_.source;
  if (!shared_.use_page_cache) return shared_.source_direct;
  const std::uint64_t whole = round_up(length);
  void* view = ::mmap(nullptr, whole, PROT_READ, MAP_SHARED, shared_.source, static_cast<off_t>(offset));
  if (view == MAP_FAILED) return shared_.source_direct;
  std::vector<unsigned char> resident(whole / kCopyBlock + 1);
  const bool known = ::mincore(view, whole, resident.data()) == 0;
  ::munmap(view, whole);
  const auto missing = std::count_if(resident.begin(), resident.begin() + static_cast<long>(whole / kCopyBlock),
                                     [](unsigned char page) { return (page & 1) == 0; });
  return known && missing == 0 ? shared_.source : shared_.source_direct;
}

// Direct writes take whole blocks, and nothing is written past the image's end, not for a moment either: where other
// hosts write into the same file, one that saw it longer would make it so again (MooseFS).
int CopyWorker::target_for(std::uint32_t length) const {
  return length % kCopyBlock == 0 ? shared_.target : shared_.target_cached;
}

void CopyWorker::queue(Job& job, Operation operation, int fd) {
  Operation& kept = job.operations.emplace_back(operation);
  ++job.pending;
  if (kept.write) {
    queue_.write(fd, kept.memory, kept.length, kept.offset, &kept);
  } else {
    // A direct read takes whole blocks; the buffer has room for them and the file's end cuts the last.
    const auto whole = static_cast<std::uint32_t>(round_up(kept.length));
    queue_.read(fd, kept.memory, fd == shared_.source_direct ? whole : kept.length, kept.offset, &kept);
  }
}

void CopyWorker::ended(Operation& operation, int result) {
  Job& job = *operation.job;
  const bool again = result == -EINTR || result == -EAGAIN;
  // O_DIRECT can be refused for one request (alignment of a network file system's server): then through the cache.
  const bool refused = result == -EINVAL && !operation.write;
  if (!shared_.failed && (again || refused || (result > 0 && static_cast<std::uint32_t>(result) < operation.length))) {
    const auto done = static_cast<std::uint32_t>(std::max(result, 0));
    operation.memory += done;
    operation.offset += done;
    operation.length -= done;
    return carry_on(operation);
  }
  if (result < 0) {
    auto failure = fail_errno(-result, operation.write ? "write the copy" : "read the image");
    if (result == -ENOSPC || result == -EDQUOT) failure.value().hint = "Free space in the pool, then try again.";
    shared_.give_up(failure.value());
  } else if (result == 0) {
    shared_.give_up({ErrorCode::data_corrupt, "the image became shorter while it was being read", {}});
  }
  if (--job.pending > 0) return;
  if (shared_.failed) return finish(job);
  operation.write ? finish(job) : reads_done(job);
}

void CopyWorker::carry_on(Operation& operation) {
  if (operation.write) {
    queue_.write(target_for(operation.length), operation.memory, operation.length, operation.offset, &operation);
  } else {
    queue_.read(shared_.source, operation.memory, operation.length, operation.offset, &operation);
  }
}

void CopyWorker::reads_done(Job& job) {
  if (auto plain = decompress(job); !plain) {
    shared_.give_up(plain.error());
    return finish(job);
  }
  if (shared_.hasher != nullptr) shared_.hasher->ready(job.piece.offset, job.buffer);
  if (shared_.digests != nullptr) shared_.digests->add(job.piece.offset, {job.buffer.get(), job.piece.length});
  if (shared_.target < 0) return finish(job);
  start_writes(job);
}

Status CopyWorker::decompress(Job& job) {
  std::uint64_t packed = 0;
  for (const Extent& extent : job.piece.extents) {
    if (extent.kind != ExtentKind::compressed) continue;
    const std::span<const std::uint8_t> from(job.packed.data() + packed, extent.file_length);
    packed += extent.file_length;
    const std::span<std::uint8_t> to(job.buffer.get() + (extent.offset - job.piece.offset), shared_.image.granularity);
    if (auto done = shared_.image.decompress(from, to); !done) return done;
  }
  return {};
}

void CopyWorker::start_writes(Job& job) {
  job.pending = 1;
  const std::uint64_t length = job.piece.length;
  std::uint64_t begin = length;  // of the run being gathered; length = none
  std::uint64_t end = 0;         // after its last block with data
  auto flush = [&]() -> bool {
    if (begin == length) return true;
    if (auto written = write_run(job, begin, end); !written) {
      shared_.give_up(written.error());
      return false;
    }
    begin = length;
    return true;
  };
  bool fine = true;
  for (std::uint64_t at = 0; fine && at < length; at += kCopyBlock) {
    const std::uint64_t block = std::min(kCopyBlock, length - at);
    if (all_zero({job.buffer.get() + at, block})) {
      if (begin != length && at + block - end >= kSmallestHole) fine = flush();
    } else {
      if (begin == length) begin = at;
      end = at + block;
    }
  }
  if (fine) flush();
  if (--job.pending == 0) finish(job);
}

Status CopyWorker::write_run(Job& job, std::uint64_t begin, std::uint64_t end) {
  if (shared_.written.fetch_add(end - begin) + (end - begin) > shared_.options.limit.count()) {
    return fail_with_hint(
        ErrorCode::resource_exhausted,
        fmt::format("the image needs more than the {} that may be used", shared_.options.limit.human()),
        "Free space in the pool, then try again.");
  }
  // No fallocate before it: that was tried and is a fifth slower here (unwritten extents are converted one by one).
  const auto write = [&](std::uint64_t from, std::uint64_t to) {
    if (from == to) return;
    const auto length = static_cast<std::uint32_t>(to - from);
    queue(job, {&job, job.buffer.get() + from, length, job.piece.offset + from, true}, target_for(length));
  };
  const std::uint64_t whole = end / kCopyBlock * kCopyBlock;
  write(begin, whole);
  write(whole, end);
  return {};
}

void CopyWorker::finish(Job& job) {
  if (!shared_.failed && shared_.target >= 0 && !shared_.target_direct) {
    // Starts the write-back now, so that the sync at the end finds little left.
    ::sync_file_range(shared_.target, static_cast<off_t>(job.piece.offset), static_cast<off_t>(job.piece.length),
                      SYNC_FILE_RANGE_WRITE);
  }
  if (!shared_.failed && shared_.progress) {
    const std::uint64_t position = shared_.planner.passed();
    std::uint64_t before = shared_.reported;
    if (position >= before + kProgressStep && shared_.reported.compare_exchange_strong(before, position)) {
      shared_.progress({.phase = "copy", .done = position, .total = shared_.total});
    }
  }
  jobs_.remove_if([&job](const Job& other) { return &other == &job; });
}

}  // namespace bridgehead::storage
