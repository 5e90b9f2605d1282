// GuestFiles: what this node keeps of each guest outside the pools: <state dir>/guests/<vm id>/{seed.iso,console.log,
// nvram.fd}. The directory can be passed through by QEMU's user, but not listed. Stateless, thread-safe.
// Fails with the file system's error.
#pragma once

#include <filesystem>
#include <vector>

#include "base/file.h"
#include "model/ids.h"

namespace bridgehead::host_agent {

class GuestFiles {
 public:
  explicit GuestFiles(std::filesystem::path state_dir) : root_(std::move(state_dir) / "guests") {}

  std::filesystem::path directory(const model::VmId& vm) const { return root_ / vm.str(); }
  std::filesystem::path seed(const model::VmId& vm) const { return directory(vm) / "seed.iso"; }
  std::filesystem::path console_log(const model::VmId& vm) const { return directory(vm) / "console.log"; }
  std::filesystem::path nvram(const model::VmId& vm) const { return directory(vm) / "nvram.fd"; }

  Status prepare(const model::VmId& vm) const;
  std::vector<model::VmId> all() const;
  // All of it; missing is success.
  Status remove(const model::VmId& vm) const;

 private:
  std::filesystem::path root_;
};

}  // namespace bridgehead::host_agent
