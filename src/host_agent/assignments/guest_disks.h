// GuestDisks: the disks of one guest's spec, resolved to the pools that hold them: which exist, which are missing;
// makes the missing ones side by side and grows the ones that are too small. Used by one thread; its calls have
// deadlines.
#pragma once

#include <string>
#include <vector>

#include "host_agent/assignments/task.h"

namespace bridgehead::host_agent {

class GuestDisks {
 public:
  // Looks at every disk. Errors: invalid_argument when the assignment lacks a disk's image or pool record; a pool's.
  static Result<GuestDisks> look(const NodeServices& services, const model::EnsureVm& work);

  // The pools that hold disks of the guest, each once.
  const std::vector<PoolHandle>& pools() const { return pools_; }
  std::vector<model::Image> missing() const;

  // All missing ones at once, each a clone of its golden image or blank. begin_* starts, finish_* waits for all of them
  // and gives the first error.
  void begin_creating();
  Status finish_creating();
  // Offline: brings each to its size. (A running guest's disks grow through the hypervisor.)
  Status grow();

  std::vector<hypervisor::GuestDisk> for_hypervisor() const;
  std::vector<model::Image> images() const;  // as they are now

 private:
  struct Disk {
    model::DiskSpec spec;
    model::Image image;
    std::optional<model::Image> golden;
    std::size_t pool = 0;  // index into pools_
    std::optional<storage::StoredImage> stored;
    std::filesystem::path backing;
    std::optional<PendingCall<storage::StoredImage>> creating;
  };

  std::vector<PoolHandle> pools_;
  std::vector<Disk> disks_;
};

}  // namespace bridgehead::host_agent
