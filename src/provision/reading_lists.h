// What boots of each node image read of its root by NBD until the node is ready: one file an image, written down by the
// first such boot and read ahead by all later ones (docs/boot-protocol.md, section 3). Only a hint, so files beside the
// store will do: one that is lost is made anew by the next boot, a wrong one costs each boot what it may name at most.
// Thread-safe. Errors: invalid_argument (no such list), those of files.
#pragma once

#include <filesystem>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/units.h"
#include "model/netboot.h"

namespace bridgehead::provision {

// Lines "first count", in pages of 4 KiB: ascending, apart, within the root, 64 MiB in all at most. Pure.
Status check_reading_list(std::string_view text, Bytes root_size);

class ReadingLists {
 public:
  explicit ReadingLists(std::filesystem::path directory) : directory_(std::move(directory)) {}

  std::filesystem::path file(const model::NodeImageId& image) const { return directory_ / image.str(); }
  bool has(const model::NodeImageId& image) const;
  // The first one stays: it comes from a boot that read nothing ahead, so it holds nothing that isn't read.
  Status keep(const model::NodeImage& image, std::string_view text);
  // Of images that are no more.
  void keep_only(const std::vector<model::NodeImageId>& images);

 private:
  std::filesystem::path directory_;
};

}  // namespace bridgehead::provision
