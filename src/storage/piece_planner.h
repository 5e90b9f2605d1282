// PiecePlanner: cuts an image's content into aligned pieces and hands out those that hold data. Thread-safe: the
// workers of one copy share it.
#pragma once

#include <mutex>
#include <optional>
#include <vector>

#include "storage/copy_engine.h"
#include "storage/readable_image.h"

namespace bridgehead::storage {

struct Piece {
  std::uint64_t offset = 0;
  std::uint64_t length = 0;
  std::vector<Extent> extents;  // cover it exactly, in order
};

class PiecePlanner {
 public:
  // In several lanes one piece of each is handed out in turn; in a single one all come in order.
  PiecePlanner(const ReadableImage& image, std::uint64_t piece_size, const CopyOrder& order = {})
      : PiecePlanner(image, piece_size, order, {0, image.virtual_size.count()}) {}
  // Of this part only.
  PiecePlanner(const ReadableImage& image, std::uint64_t piece_size, const CopyOrder& order, const ContentPart& part);

  // The next piece with data, or nothing at the end. `on_piece` runs under the planner's lock, so in order.
  template <typename OnPiece>
  Result<std::optional<Piece>> next(OnPiece&& on_piece) {
    const std::lock_guard lock(mutex_);
    auto piece = plan();
    if (piece && *piece) on_piece(**piece);
    return piece;
  }
  // Bytes of content that were handed out or passed over.
  std::uint64_t passed() const {
    const std::lock_guard lock(mutex_);
    return passed_;
  }

 private:
  // A stretch of the content, worked on from its begin to its end.
  struct Lane {
    std::uint64_t cursor = 0;
    std::uint64_t end = 0;
    Extent current{};  // the map's last answer; begins at or before the cursor
  };
  Result<std::optional<Piece>> plan();
  Result<std::optional<Piece>> plan(Lane& lane);
  bool give_stretch(Lane& lane);

  const ReadableImage& image_;
  const std::uint64_t piece_size_;
  const std::uint64_t stretch_;
  const std::uint64_t end_;
  mutable std::mutex mutex_;
  std::vector<Lane> lanes_;
  std::size_t turn_ = 0;
  std::uint64_t given_ = 0;  // where the next stretch begins
  std::uint64_t passed_ = 0;
};

}  // namespace bridgehead::storage
