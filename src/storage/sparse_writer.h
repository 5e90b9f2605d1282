// SparseWriter: a byte stream into a file; long runs of zeros become holes, written-back as it goes so that the sync at
// the end is short. One thread at a time. Errors: resource_exhausted (no space, or more than `limit` stored bytes or
// kLargestVirtualSize in all), io_error.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/units.h"

namespace bridgehead::storage {

class SparseWriter {
 public:
  // `file`: open for writing, stays open longer than this; ends at `position`, from where it is written.
  SparseWriter(int file, Bytes limit, std::uint64_t position = 0) : file_(file), limit_(limit), position_(position) {}

  Status write(std::string_view bytes);
  Status finish();  // the rest, and the file's length
  Bytes size() const { return Bytes(position_ + pending_.size()); }

 private:
  Status store(std::string_view block);

  int file_;
  Bytes limit_;
  std::uint64_t position_;  // of `pending_` in the file
  std::uint64_t stored_ = 0;
  std::vector<char> pending_;  // less than one block
};

}  // namespace bridgehead::storage
