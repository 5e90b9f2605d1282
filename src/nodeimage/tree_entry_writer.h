// Writes one entry of an archive after the other into a tree, with owners, modes and extended attributes. Internal to
// this module; not thread-safe.
#pragma once

#include <string>

#include "base/result.h"
#include "base/units.h"
#include "nodeimage/tree.h"

struct archive;
struct archive_entry;

namespace bridgehead::nodeimage {

class TreeEntryWriter {
 public:
  TreeEntryWriter(const Tree& tree, Bytes limit) : tree_(tree), limit_(limit) {}

  // `path` is normal. Replaces what is there, except a directory by a directory.
  Status write(::archive* reader, ::archive_entry* entry, const std::string& path);
  Bytes written() const { return written_; }

 private:
  Status write_root(::archive_entry* entry);
  Status write_directory(::archive_entry* entry, const Tree::Place& place);
  Status write_file(::archive* reader, ::archive_entry* entry, const Tree::Place& place);
  Status write_hard_link(const std::string& target, const Tree::Place& place);
  Status write_special(::archive_entry* entry, const Tree::Place& place);
  Status count(std::uint64_t bytes);

  const Tree& tree_;
  Bytes limit_;
  Bytes written_;
};

}  // namespace bridgehead::nodeimage
