#include "storage/piece_planner.h"

#include <algorithm>

namespace bridgehead::storage {
namespace {

// The part of a zero or data extent from `offset` to `end`. (A compressed one is never cut: pieces are larger.)
Extent cut(const Extent& whole, std::uint64_t offset, std::uint64_t end) {
  Extent part = whole;
  const std::uint64_t skipped = offset - whole.offset;
  part.offset = offset;
  part.length = std::min(end, whole.offset + whole.length) - offset;
  if (part.kind == ExtentKind::data) part.file_offset += skipped;
  return part;
}

}  // namespace

Result<std::optional<Piece>> PiecePlanner::plan() {
  const std::uint64_t size = image_.virtual_size.count();
  while (cursor_ < size) {
    Piece piece{cursor_, 0, {}};
    const std::uint64_t end = std::min(size, (cursor_ / piece_size_ + 1) * piece_size_);
    bool stored = false;
    while (cursor_ < end) {
      if (cursor_ >= current_.offset + current_.length) {
        auto extent = image_.map(cursor_);
        if (!extent) return forward(extent);
        current_ = *extent;
      }
      // A long run of zeros is passed over at once, up to the piece that holds its end.
      if (!stored && current_.kind == ExtentKind::zero && current_.offset + current_.length >= end) {
        cursor_ = std::max(end, (current_.offset + current_.length) / piece_size_ * piece_size_);
        if (current_.offset + current_.length == size) cursor_ = size;
        break;
      }
      const Extent part = cut(current_, cursor_, end);
      stored = stored || part.kind != ExtentKind::zero;
      cursor_ += part.length;
      piece.extents.push_back(part);
    }
    if (!stored) continue;
    piece.length = end - piece.offset;
    return std::optional<Piece>(std::move(piece));
  }
  return std::optional<Piece>();
}

}  // namespace bridgehead::storage
