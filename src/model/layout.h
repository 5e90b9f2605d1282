// Over which storage targets (OSTs, object storage daemons, chunk servers) a pool's files are spread: what is wanted,
// what a file has, and what all files of a pool have together. Values; what chooses and reads layouts is in
// src/storage.
#pragma once

#include <string>
#include <vector>

#include "base/units.h"
#include "model/ids.h"
#include "model/image.h"

namespace bridgehead::model {

inline constexpr std::uint64_t kToTheEnd = ~std::uint64_t{0};
inline constexpr std::uint32_t kAllTargets = ~std::uint32_t{0};

// One stretch of a file. Plain layouts have one; progressive ones (Lustre's PFL) several, in order, without gaps.
struct LayoutPart {
  std::uint64_t end = kToTheEnd;       // first byte after it
  std::uint32_t stripes = 0;           // targets side by side; 0 = as the file system likes, kAllTargets = all
  Bytes stripe_size;                   // 0 = as the file system likes
  std::vector<std::uint32_t> targets;  // their indices, where they were chosen or are known
  bool fewer_do = false;               // only where it is asked for: `stripes` is a wish, and less of them is fine

  bool operator==(const LayoutPart&) const = default;
};

struct FileLayout {
  std::string group;              // OST pool, Ceph data pool, MooseFS storage class; "" = as the file system likes
  std::vector<LayoutPart> parts;  // none = as the file system likes

  bool plain() const { return group.empty() && parts.empty(); }
  // "4 stripes of 1 MiB on 0, 1, 2, 3" and the like, for people; without `targets` files that are spread alike read
  // alike.
  std::string describe(bool targets = true) const;
  bool operator==(const FileLayout&) const = default;
};

enum class TargetState { up, down, inactive };

struct StorageTarget {
  std::uint32_t index = 0;
  std::string name;  // "OST0002"
  TargetState state = TargetState::up;
  Bytes total;
  Bytes available;

  bool operator==(const StorageTarget&) const = default;
};

// Some of it is on a target that isn't up.
bool lies_on_dead(const FileLayout& layout, const std::vector<StorageTarget>& targets);

// Where one image of a pool lies.
struct ImagePlacement {
  ImageId image;
  ImageRole role = ImageRole::disk;
  Bytes allocated;
  FileLayout layout;

  bool operator==(const ImagePlacement&) const = default;
};

// What one node sees of a pool's layouts.
struct PoolSurvey {
  bool layouts = false;                // the file system tells them
  std::vector<StorageTarget> targets;  // none where the file system doesn't tell
  std::vector<ImagePlacement> images;  // only those whose layout could be read

  bool operator==(const PoolSurvey&) const = default;
};

}  // namespace bridgehead::model
