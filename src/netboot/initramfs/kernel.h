// Finds the kernel in a root tree, in every layout that Debian, Ubuntu, Fedora, CentOS and Rocky use. Thread-safe.
// Errors: not_found (no kernel, or not the one asked for; the message says what there is), io_error.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/result.h"
#include "netboot/initramfs/kernel_config.h"
#include "netboot/initramfs/tree.h"

namespace bridgehead::netboot {

struct Kernel {
  std::string version;
  std::filesystem::path image;     // relative to the tree, no symbolic link
  std::string modules;             // its directory, relative to the tree: "usr/lib/modules/6.1.0"
  std::vector<std::string> found;  // all versions in the tree, newest first
  KernelConfig config;
  std::string distribution;  // ID and ID_LIKE of os-release: "rocky rhel centos fedora"
};

// -1, 0, 1. Numbers as numbers: 6.1.0-9 is older than 6.1.0-56. Where all numbers are the same, a release is newer than
// its candidates (-rc1), and the plain kernel is preferred to its cloud, debug and real-time variants.
int compare_kernel_versions(std::string_view a, std::string_view b);

Result<Kernel> find_kernel(const RootTree& tree, const std::string& version);

}  // namespace bridgehead::netboot
