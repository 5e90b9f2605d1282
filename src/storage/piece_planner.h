// PiecePlanner: cuts an image's content into aligned pieces and hands out, in order, those that hold data.
// Thread-safe: the workers of one copy share it.
#pragma once

#include <mutex>
#include <optional>
#include <vector>

#include "storage/readable_image.h"

namespace bridgehead::storage {

struct Piece {
  std::uint64_t offset = 0;
  std::uint64_t length = 0;
  std::vector<Extent> extents;  // cover it exactly, in order
};

class PiecePlanner {
 public:
  PiecePlanner(const ReadableImage& image, std::uint64_t piece_size) : image_(image), piece_size_(piece_size) {}

  // The next piece with data, or nothing at the end. `on_piece` runs under the planner's lock, so in order.
  template <typename OnPiece>
  Result<std::optional<Piece>> next(OnPiece&& on_piece) {
    const std::lock_guard lock(mutex_);
    auto piece = plan();
    if (piece && *piece) on_piece(**piece);
    return piece;
  }
  std::uint64_t position() const {
    const std::lock_guard lock(mutex_);
    return cursor_;
  }

 private:
  Result<std::optional<Piece>> plan();

  const ReadableImage& image_;
  const std::uint64_t piece_size_;
  mutable std::mutex mutex_;
  std::uint64_t cursor_ = 0;
  Extent current_{};  // the map's last answer; begins at or before the cursor
};

}  // namespace bridgehead::storage
