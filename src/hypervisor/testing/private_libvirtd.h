// A libvirtd of a test's own, so that nothing of the machine's is touched: own mount, network, UTS, IPC and PID
// namespaces, everything libvirt writes on a tmpfs. When the test ends, however it ends, the kernel kills all that was
// started in there (libvirtd, QEMU, dnsmasq) with the PID namespace, and the tmpfs goes with it: nothing can be left
// over.
//
// Use: int main(argc, argv) { InitGoogleTest(...); return run_in_private_namespaces([] { return RUN_ALL_TESTS(); }); }
// and PrivateLibvirtd::start() in there. Needs root. Not thread-safe; enter the namespaces before any thread starts.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <functional>
#include <string>

#include "base/result.h"

namespace bridgehead::hypervisor::testing {

// Forks; the body runs in a process inside the namespaces, whose exit code is returned here. Prints why it can't.
int run_in_private_namespaces(const std::function<int()>& body);

class PrivateLibvirtd {
 public:
  // Mounts, configures and starts it; returns when it answers. Call once per process.
  static Result<PrivateLibvirtd> start();
  PrivateLibvirtd(PrivateLibvirtd&& other) noexcept : pid_(std::exchange(other.pid_, -1)) {}
  PrivateLibvirtd& operator=(PrivateLibvirtd&&) = delete;
  ~PrivateLibvirtd();

  static std::string uri() { return "qemu:///system"; }
  // A scratch directory on the tmpfs that guests may use.
  static std::filesystem::path scratch() { return "/run/scratch"; }
  pid_t pid() const { return pid_; }

  void kill_hard();  // SIGKILL, as the out-of-memory killer would; guests run on
  Status run_again();

 private:
  explicit PrivateLibvirtd(pid_t pid) : pid_(pid) {}
  pid_t pid_ = -1;
};

}  // namespace bridgehead::hypervisor::testing
