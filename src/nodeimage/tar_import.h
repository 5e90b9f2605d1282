// Archives into a tree. libarchive reads (decompression, the formats of tar, sparse files, extended attributes); what
// it reads is written by us through Tree, so that no entry leaves the tree: not by "..", not by an absolute name, not
// through a symbolic or hard link that an earlier entry made. libarchive's own SECURE flags refuse what layers
// legitimately do (a file below /lib where /lib is a link to usr/lib), and tar in a chroot would need a tar in there.
// Internal to this module.
#pragma once

#include <cstdint>
#include <functional>
#include <stop_token>
#include <string>

#include "base/result.h"
#include "base/units.h"
#include "nodeimage/tree.h"

namespace bridgehead::nodeimage {

struct TarOptions {
  Bytes limit;  // of what it unpacks to; more is resource_exhausted
  std::uint64_t entry_limit = 5'000'000;
  bool whiteouts = false;                          // OCI layers: .wh.name and .wh..wh..opq remove what lies below
  std::function<void(std::uint64_t)> read_so_far;  // compressed bytes
};

struct TarResult {
  std::uint64_t entries = 0;
  Bytes unpacked;
};

// From the descriptor's position. data_corrupt: no tar, truncated, hostile names.
Result<TarResult> unpack_tar(int fd, const std::string& what, const Tree& tree, const TarOptions& options,
                             std::stop_token stop = {});

// Names of the first entries, for guessing what an archive is.
Result<std::vector<std::string>> first_names(int fd, const std::string& what, std::size_t count);

}  // namespace bridgehead::nodeimage
