// What a kernel module says of itself: the .modinfo section of its ELF file. Pure; thread-safe; every offset in the
// file is checked before it is followed. Errors: data_corrupt.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace bridgehead::netboot {

struct ModuleInfo {
  std::vector<std::string> aliases;    // "pci:v00001AF4d*sv*sd*bc*sc*i*", "fs-squashfs"
  std::vector<std::string> needs;      // names; modpost's direct dependencies
  std::vector<std::string> soft_pre;   // to be loaded before, where they exist; names or aliases
  std::vector<std::string> soft_post;  // after
  std::vector<std::string> firmware;   // below /lib/firmware
};

// "8021q", "crc32c_intel": as /proc/modules says it.
std::string module_name(std::string_view text);
// "kernel/net/802/stp.ko.xz" -> "stp"
std::string module_name_of_path(std::string_view path);
// "pre: a b post: c", as in modinfo and after the name in modules.softdep
void read_softdep(std::string_view text, ModuleInfo& info);

// A module without .modinfo gives an empty one.
Result<ModuleInfo> read_module_info(std::string_view elf, std::string_view what);

// A program that needs no dynamic loader? Errors: invalid_argument (no ELF program, or one for the dynamic loader).
Status check_static_program(std::string_view elf, std::string_view what);

}  // namespace bridgehead::netboot
