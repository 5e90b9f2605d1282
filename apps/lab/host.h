// What a lab needs of the host, looked for before anything is made. Each error says what is missing and how to get it.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/command.h"
#include "base/result.h"
#include "base/units.h"
#include "lab/machine.h"

namespace bridgehead::lab {

Status require_root();

// A program of the project: beside this one, else by PATH. Of others: by PATH.
Result<std::filesystem::path> find_own_program(std::string_view name);
Result<std::filesystem::path> find_program(std::string_view name, std::string_view package);

struct FirmwareImage {
  std::filesystem::path code;
  std::filesystem::path variables;  // what a machine's own copy begins as
};
// Of UEFI. `directory` is where the package ovmf puts them. Errors: not_found.
Result<FirmwareImage> find_firmware(Firmware firmware, const std::filesystem::path& directory = "/usr/share/OVMF");

// MemAvailable of a /proc/meminfo.
Result<Bytes> available_memory(std::string_view meminfo);
// Errors: resource_exhausted. QEMU's own share is counted.
Status require_memory(const std::vector<Machine>& machines, Bytes available);

// Errors: failed_precondition: this kernel can't mount NFS, and a lab's hosts have no other.
Status require_nfs_client();

// Errors: invalid_argument if a socket's path below `directory` would be longer than the kernel allows.
Status require_short_paths(const std::filesystem::path& directory);

}  // namespace bridgehead::lab
