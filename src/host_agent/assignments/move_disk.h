// move_disk: a disk goes into another pool, while its guest runs or not. Exactly one of the two files is the disk at
// any time, and the other is removed: never the one that is used.
//
// Which one that is: of a guest that runs, the one that QEMU has; it goes over to the copy in one step, after the copy
// was marked whole in its pool. Where QEMU has ended since (or a node without a disk was switched off, and libvirt
// knows the guest no longer), that mark counts: up to that step every write has reached both files, after it only the
// copy. The mark is taken back before a copy is given up.
#pragma once

#include "host_agent/assignments/task.h"

namespace bridgehead::host_agent {

class MoveDiskHandler {
 public:
  explicit MoveDiskHandler(NodeServices& services) : services_(services) {}
  Outcome run(const model::MoveDisk& work, const Task& task);

 private:
  // One run of it.
  struct Move {
    const model::MoveDisk& work;
    const Task& task;
    Result<PoolHandle> from;
    Result<PoolHandle> to;
  };

  Result<bool> has_moved(const Move& move) const;
  Result<bool> uses_copy(const Move& move, const hypervisor::DiskInUse& use) const;
  Result<bool> is_whole(const Move& move) const;
  Status mark_whole(const Move& move) const;
  Status reopen(const Move& move) const;
  void decided(const Move& move) const;
  Outcome carry_out(const Move& move) const;
  Outcome end_without(const Move& move, Error error) const;
  Status end_copying(const Move& move) const;
  Outcome finish(const Move& move) const;
  Status copy(const Move& move, const hypervisor::GuestInfo& guest) const;
  Status copy_under_guest(const Move& move, const storage::StoredImage& stored) const;
  Status name_file(const Move& move, const storage::StoredImage& stored) const;
  Status copy_at_rest(const Move& move, const storage::StoredImage& stored) const;

  NodeServices& services_;
};

}  // namespace bridgehead::host_agent
