// PartBook: the durable record of an import that is made in parts, beside its staged file: which parts are done, by
// whom, with which digest. It is what an import goes on from after a crash, and how several nodes know of each other.
//
// A directory tmp/<operation>.parts/ in the place of the node that leads the import:
//   plan             PartPlan, written whole; from then on the staged file is there in its size
//   claims           byte i is locked by who works on part i: saves double work, and nothing else depends on it
//   <participant>    one for each, appended to by that one alone: "done 3 <digest>", "same 3 <digest>"
// A line counts once it is whole; it is synced before the next step is taken. The records of other nodes are opened
// anew for each look, which is when a network file system shows what others have synced.
//
// Thread-safe. Errors: not_found when there is no plan, data_corrupt when two who wrote one part don't agree, io_error.
#pragma once

#include <cstdint>
#include <filesystem>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "storage/copy_engine.h"
#include "storage/pool_layout.h"

namespace bridgehead::storage {

struct PartPlan {
  std::string source;                     // what it is made from, as source_identity tells it
  std::uint64_t size = 0;                 // of the content
  std::uint64_t part = 0;                 // bytes; the last may be shorter
  std::uint64_t inode = 0;                // of the staged file
  std::vector<std::string> participants;  // the leader first

  std::size_t count() const { return static_cast<std::size_t>((size + part - 1) / part); }
  ContentPart range(std::size_t index) const { return {index * part, std::min((index + 1) * part, size)}; }
  bool operator==(const PartPlan&) const = default;
};

// What is known of one part.
struct PartState {
  std::string digest;
  std::set<std::string> writers;   // none: it is to be written
  std::set<std::string> checkers;  // read it back, and it was the same
};

class PartBook {
 public:
  PartBook(std::filesystem::path directory, std::string self)
      : directory_(std::move(directory)), self_(std::move(self)) {}
  PartBook(const PartBook&) = delete;

  Result<PartPlan> plan() const;
  // Instead of what was there. Durable when it returns.
  Status begin(const PartPlan& plan);
  Result<std::vector<PartState>> read(const PartPlan& plan) const;
  // Before its first part is begun: what this process notes from now on is noted for this plan or for none, also when
  // another one has taken its place meanwhile. not_found: it has already.
  Status join(const PartPlan& plan);
  Status note_done(std::size_t index, const std::string& digest) { return note("done", index, digest); }
  Status note_same(std::size_t index, const std::string& digest) { return note("same", index, digest); }

  // False: another process has it. Until release, or the end of this process.
  bool claim(std::size_t index);
  void release(std::size_t index);

  // Also while somebody else still writes into it. NFS keeps an open file's name: so what is open here is closed first.
  Status remove();

 private:
  Status open_record();  // with mutex_ held
  Status note(std::string_view what, std::size_t index, const std::string& digest);

  const std::filesystem::path directory_;
  const std::string self_;
  std::mutex mutex_;
  UniqueFd claims_;
  UniqueFd record_;
};

// Where the record of an operation's import is, in the place of the node that leads it.
std::filesystem::path part_record(const PoolLayout& layout, const model::OperationId& operation);
// What the node that this layout is for is called there.
std::string participant(const PoolLayout& layout);

// Of an opened file, the same on every node: size, time of its last change, inode.
Result<std::string> source_identity(int file);

}  // namespace bridgehead::storage
