#include "storage/copy_engine.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <thread>

#include "storage/copy_worker.h"

namespace bridgehead::storage {
namespace {

constexpr std::uint32_t kDirectBlock = 4096;

// The same file once more, past the page cache; empty where that is refused.
UniqueFd reopen_direct(int fd, int flags) {
  return UniqueFd(::open(fmt::format("/proc/self/fd/{}", fd).c_str(), flags | O_DIRECT | O_CLOEXEC));
}

// Whether this file really takes direct writes of kDirectBlock: opening alone doesn't tell. Writes zeros at the start
// of an empty file and takes them back.
bool takes_direct_writes(int fd) {
  void* block = nullptr;
  if (::posix_memalign(&block, kDirectBlock, kDirectBlock) != 0) return false;
  std::memset(block, 0, kDirectBlock);
  const bool taken = ::pwrite(fd, block, kDirectBlock, 0) == static_cast<ssize_t>(kDirectBlock);
  std::free(block);
  return ::ftruncate(fd, 0) == 0 && taken;
}

std::uint64_t piece_size(const ReadableImage& image, const CopyOptions& options) {
  const std::uint64_t smallest = image.decompress ? image.granularity : 0;
  return std::max({options.piece.count(), smallest, std::uint64_t{65536}});
}

Status run_workers(CopyShared& shared, unsigned count) {
  std::vector<std::thread> threads;
  for (unsigned i = 1; i < count; ++i) {
    threads.emplace_back([&shared] { CopyWorker(shared).run(); });
  }
  // Not in the caller's thread: an io_uring with a single issuer belongs to the thread that made it, and so does its
  // bookkeeping at exit.
  threads.emplace_back([&shared] { CopyWorker(shared).run(); });
  for (auto& thread : threads) thread.join();
  if (shared.error) return fail(*shared.error);
  return {};
}

Result<std::unique_ptr<BufferPool>> make_buffers(const CopyOptions& options, std::uint64_t piece) {
  return BufferPool::create(std::max<std::uint64_t>(4, options.buffers * options.piece.count() / piece), piece);
}

// From the image that `shared` names to its target.
Status run_copy(CopyShared& shared) {
  const ReadableImage& image = shared.image;
  const CopyOptions& options = shared.options;
  struct stat source_status {};
  if (::fstat(image.file.get(), &source_status) != 0) return fail_errno(errno, "stat the image");
  const bool aligned_source = image.granularity % kDirectBlock == 0;
  const UniqueFd source_direct =
      options.direct_io && aligned_source ? reopen_direct(image.file.get(), O_RDONLY) : UniqueFd();
  const bool ring = options.io_uring && IoQueue(4, true).parallel();
  const unsigned cpus = std::max(1U, std::thread::hardware_concurrency());
  const unsigned workers = options.workers > 0 ? options.workers : ring ? std::min(cpus, 8U) : 8;
  shared.source = image.file.get();
  shared.source_direct = source_direct.get();
  shared.source_size = static_cast<std::uint64_t>(source_status.st_size);
  shared.depth = ring ? std::max(1U, options.buffers / workers) : 1;
  return run_workers(shared, workers);
}

}  // namespace

bool all_zero(std::span<const std::uint8_t> bytes) {
  if (bytes.empty()) return true;
  // Compared with itself one byte on: memcmp is as wide as the CPU allows, and ends at the first difference.
  return bytes[0] == 0 && std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0;
}

Result<CopyReport> copy_image(const ReadableImage& image, int target, const CopyOptions& options,
                              const ProgressSink& progress, std::stop_token stop) {
  const std::uint64_t size = image.virtual_size.count();
  UniqueFd target_direct = options.direct_io ? reopen_direct(target, O_WRONLY) : UniqueFd();
  if (target_direct && !takes_direct_writes(target_direct.get())) target_direct.reset();
  // Writes inside the file's size need no exclusive lock on the file.
  if (::ftruncate(target, static_cast<off_t>(size)) != 0) return fail_errno(errno, "size the copy");

  const std::uint64_t piece = piece_size(image, options);
  auto buffers = make_buffers(options, piece);
  if (!buffers) return forward(buffers);
  std::optional<OrderedHasher> hasher;
  if (options.sha256) hasher.emplace();
  CopyShared shared{.image = image,
                    .options = options,
                    .planner = PiecePlanner(image, piece, options.sha256 ? CopyOrder{} : options.order),
                    .buffers = **buffers,
                    .hasher = hasher ? &*hasher : nullptr,
                    .progress = progress,
                    .stop = stop};
  shared.target = target_direct ? target_direct.get() : target;
  shared.target_cached = target;
  shared.target_direct = static_cast<bool>(target_direct);
  shared.total = size;
  if (auto copied = run_copy(shared); !copied) return forward(copied);

  CopyReport report{
      .written = Bytes(shared.written), .used_io_uring = shared.used_io_uring, .used_direct_io = shared.target_direct};
  if (hasher) report.sha256 = hasher->hex(size);
  if (::fdatasync(target) != 0) return fail_errno(errno, "sync the copy");
  if (progress) progress({.phase = "copy", .done = size, .total = size});
  return report;
}

Result<std::string> copy_part(const ReadableImage& image, int target, const ContentPart& part,
                              const CopyOptions& options, const ProgressSink& progress, std::stop_token stop) {
  const std::uint64_t piece = piece_size(image, options);
  auto buffers = make_buffers(options, piece);
  if (!buffers) return forward(buffers);
  const UniqueFd target_direct = options.direct_io ? reopen_direct(target, O_WRONLY) : UniqueFd();
  PieceDigests digests;
  CopyShared shared{.image = image,
                    .options = options,
                    .planner = PiecePlanner(image, piece, options.order, part),
                    .buffers = **buffers,
                    .digests = &digests,
                    .progress = progress,
                    .stop = stop};
  shared.target = target_direct ? target_direct.get() : target;
  shared.target_cached = target;
  shared.target_direct = static_cast<bool>(target_direct);
  shared.total = part.end - part.begin;
  if (auto copied = run_copy(shared); !copied) return forward(copied);
  if (::fdatasync(target) != 0) return fail_space(errno, "sync the copy");
  return digests.hex();
}

Result<std::string> digest_of_part(const ReadableImage& image, const ContentPart& part, const CopyOptions& options,
                                   std::stop_token stop) {
  const std::uint64_t piece = piece_size(image, options);
  auto buffers = make_buffers(options, piece);
  if (!buffers) return forward(buffers);
  // For where O_DIRECT isn't possible.
  ::posix_fadvise(image.file.get(), static_cast<off_t>(part.begin), static_cast<off_t>(part.end - part.begin),
                  POSIX_FADV_DONTNEED);
  PieceDigests digests;
  const ProgressSink silent;
  CopyShared shared{.image = image,
                    .options = options,
                    .planner = PiecePlanner(image, piece, options.order, part),
                    .buffers = **buffers,
                    .digests = &digests,
                    .progress = silent,
                    .stop = stop};
  shared.use_page_cache = false;
  if (auto read = run_copy(shared); !read) return forward(read);
  return digests.hex();
}

}  // namespace bridgehead::storage
