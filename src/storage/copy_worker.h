// CopyWorker: one thread's part of a copy (see copy_engine.h): takes pieces from the planner and keeps several in
// flight. Internal to the copy engine. Not thread-safe itself; what workers share is CopyShared.
#pragma once

#include <atomic>
#include <list>
#include <map>
#include <memory>

#include "storage/buffer_pool.h"
#include "storage/copy_engine.h"
#include "storage/io_queue.h"
#include "storage/ordered_hasher.h"
#include "storage/piece_planner.h"

namespace bridgehead::storage {

// Digests of the pieces of one part: see copy_part.
class PieceDigests {
 public:
  void add(std::uint64_t offset, std::span<const std::uint8_t> piece);
  std::string hex() const;

 private:
  std::mutex mutex_;
  std::map<std::uint64_t, std::string> pieces_;
};

// One copy's state, shared by its workers.
struct CopyShared {
  const ReadableImage& image;
  const CopyOptions& options;
  PiecePlanner planner;
  BufferPool& buffers;
  OrderedHasher* hasher = nullptr;  // null = no digest wanted
  PieceDigests* digests = nullptr;  // likewise
  const ProgressSink& progress;
  std::stop_token stop;

  int source = -1;                // through the page cache
  int source_direct = -1;         // past it; -1 = not possible
  bool use_page_cache = true;     // where it holds what is to be read
  std::uint64_t source_size = 0;  // of the file
  int target = -1;                // -1: nothing is written
  int target_cached = -1;         // through the page cache
  bool target_direct = false;
  unsigned depth = 1;       // pieces in flight per worker
  std::uint64_t total = 0;  // bytes of content, for the progress

  std::atomic<bool> failed = false;
  std::atomic<bool> used_io_uring = false;
  std::atomic<std::uint64_t> written = 0;
  std::atomic<std::uint64_t> reported = 0;
  std::mutex error_mutex;
  std::optional<Error> error;  // the first

  void give_up(Error why);
};

class CopyWorker {
 public:
  explicit CopyWorker(CopyShared& shared) : shared_(shared), queue_(shared.depth * 4, shared.options.io_uring) {}
  void run();

 private:
  struct Job;
  // One read or write of a job, carried on after short counts.
  struct Operation {
    Job* job = nullptr;
    std::uint8_t* memory = nullptr;
    std::uint32_t length = 0;
    std::uint64_t offset = 0;  // in the file
    bool write = false;
  };
  struct Job {
    Piece piece;
    BufferPool::Buffer buffer;
    std::vector<std::uint8_t> packed;  // compressed bytes, one extent after the other
    std::list<Operation> operations;
    unsigned pending = 0;
  };

  enum class Started { yes, no_buffer_now, nothing_left };
  Started start_one();
  void start_reads(Job& job);
  void read_extent(Job& job, const Extent& extent, std::uint8_t* memory);
  void queue(Job& job, Operation operation, int fd);
  void ended(Operation& operation, int result);
  void carry_on(Operation& operation);
  void reads_done(Job& job);
  Status decompress(Job& job);
  void start_writes(Job& job);
  Status write_run(Job& job, std::uint64_t begin, std::uint64_t end);
  void finish(Job& job);
  int source_for(std::uint64_t offset, std::uint64_t length) const;
  int target_for(std::uint32_t length) const;

  CopyShared& shared_;
  IoQueue queue_;
  std::list<Job> jobs_;
};

}  // namespace bridgehead::storage
