// Mount: keeps one pool's file system mounted at one place. Calls block (run them where they can be given up on); any
// number of them at once. It isn't unmounted by the destructor: guests outlive the agent.
#pragma once

#include <functional>
#include <memory>
#include <mutex>

#include "storage/mount_plan.h"
#include "storage/mount_table.h"

namespace bridgehead::storage {

class Mount {
 public:
  // Symbolic links on the way to `point` are followed now. `before`: called each time that it is about to be mounted,
  // when no client of this host is at work there.
  Mount(MountPlan plan, const std::filesystem::path& point, std::shared_ptr<CommandRunner> runner,
        std::function<void()> before = {});

  const std::filesystem::path& point() const { return point_; }

  // Mounted and answering when it returns. Only one that is dead for good (a FUSE client that ended, a stale NFS
  // handle) is mounted anew; one that doesn't answer otherwise stays, because guests may have disks open in it. Errors:
  // unsupported (the node lacks the client: says what to install), timeout, io_error (what the mount program or the
  // mounted file system said), failed_precondition (something else is mounted there).
  Status ensure();
  // Unmounted, at once if it is idle and by force otherwise, whatever lies over each other there, and the mount point
  // removed. Not mounted is success.
  Status release();
  // What is mounted now; unavailable if nothing is. Never touches the file system.
  Result<MountEntry> entry() const;

 private:
  Result<bool> try_way(const MountWay& way, bool last, std::string& reasons);
  Status unmount(std::vector<std::string> arguments) const;

  const MountPlan plan_;
  const std::filesystem::path point_;
  const std::shared_ptr<CommandRunner> runner_;
  const std::function<void()> before_;
  std::mutex mutex_;  // one ensure() at a time
};

}  // namespace bridgehead::storage
