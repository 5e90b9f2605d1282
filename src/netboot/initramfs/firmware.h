// Firmware that drivers name in their .modinfo, taken from a tree's lib/firmware. Thread-safe.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/result.h"
#include "netboot/initramfs/module_set.h"

namespace bridgehead::netboot {

struct Firmware {
  std::map<std::string, std::string> files;  // below /lib/firmware -> content, not compressed
  std::vector<std::string> missing;          // "bnx2/bnx2-mips-09-6.2.1b.fw (bnx2)"
  std::vector<std::string> warnings;         // drivers asked for by name that have no link without what is missing
};

// Looks where the kernel's loader looks, plain and compressed (Fedora .xz, Ubuntu .zst); always gives it decompressed,
// so that the kernel needs no FW_LOADER_COMPRESS. Errors: data_corrupt, resource_exhausted, io_error.
Result<Firmware> collect_firmware(const RootTree& tree, const std::string& kernel_version, const ModuleSet& modules,
                                  const std::vector<std::string>& asked_for);

}  // namespace bridgehead::netboot
