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

PiecePlanner::PiecePlanner(const ReadableImage& image, std::uint64_t piece_size, const CopyOrder& order,
                           const ContentPart& part)
    : image_(image),
      piece_size_(piece_size),
      // No piece lies in two stretches.
      stretch_(order.lanes > 1 ? std::max(order.stretch.count() / piece_size, std::uint64_t{1}) * piece_size
                               : std::max(image.virtual_size.count(), std::uint64_t{1})),
      end_(part.end),
      lanes_(std::max(order.lanes, 1U)),
      given_(part.begin) {}

bool PiecePlanner::give_stretch(Lane& lane) {
  if (given_ >= end_) return false;
  lane = {.cursor = given_, .end = given_ + std::min(stretch_, end_ - given_)};
  given_ = lane.end;
  return true;
}

Result<std::optional<Piece>> PiecePlanner::plan() {
  while (!lanes_.empty()) {
    turn_ %= lanes_.size();
    auto& lane = lanes_[turn_];
    if (lane.cursor >= lane.end && !give_stretch(lane)) {
      lanes_.erase(lanes_.begin() + static_cast<std::ptrdiff_t>(turn_));
      continue;
    }
    const auto before = lane.cursor;
    auto piece = plan(lane);
    passed_ += lane.cursor - before;
    if (!piece) return piece;
    if (!*piece) continue;  // nothing more in its stretch
    ++turn_;
    return piece;
  }
  return std::optional<Piece>();
}

Result<std::optional<Piece>> PiecePlanner::plan(Lane& lane) {
  auto& [cursor, stretch_end, current] = lane;
  while (cursor < stretch_end) {
    Piece piece{cursor, 0, {}};
    const std::uint64_t end = std::min(stretch_end, (cursor / piece_size_ + 1) * piece_size_);
    bool stored = false;
    while (cursor < end) {
      if (cursor >= current.offset + current.length) {
        auto extent = image_.map(cursor);
        if (!extent) return forward(extent);
        current = *extent;
      }
      // A long run of zeros is passed over at once, up to the piece that holds its end.
      const std::uint64_t known = std::min(current.offset + current.length, stretch_end);
      if (!stored && current.kind == ExtentKind::zero && known >= end) {
        cursor = known == stretch_end ? stretch_end : std::max(end, known / piece_size_ * piece_size_);
        break;
      }
      const Extent part = cut(current, cursor, end);
      stored = stored || part.kind != ExtentKind::zero;
      cursor += part.length;
      piece.extents.push_back(part);
    }
    if (!stored) continue;
    piece.length = end - piece.offset;
    return std::optional<Piece>(std::move(piece));
  }
  return std::optional<Piece>();
}

}  // namespace bridgehead::storage
