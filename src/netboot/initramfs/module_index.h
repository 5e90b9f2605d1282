// ModuleIndex: which modules a kernel has, what they need, what is built in. From depmod's files (modules.dep, .alias,
// .softdep, .builtin) where they are; a tree whose packages were only unpacked has no modules.dep: then from the
// modules themselves, which takes seconds. Immutable once loaded; thread-safe. Errors: not_found (neither modules.dep
// nor a module), data_corrupt, resource_exhausted.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/result.h"
#include "netboot/initramfs/module_info.h"
#include "netboot/initramfs/tree.h"

namespace bridgehead::netboot {

struct KnownModule {
  std::string path;                // below the modules' directory, as it is there: "kernel/net/802/stp.ko.xz"
  std::vector<std::string> needs;  // names; loaded in this order
};

class ModuleIndex {
 public:
  static Result<ModuleIndex> load(const RootTree& tree, const std::string& directory);

  // Names with _ or -.
  const KnownModule* find(std::string_view name) const;
  bool built_in(std::string_view name) const { return built_in_.contains(module_name(name)); }
  const std::map<std::string, KnownModule, std::less<>>& modules() const { return modules_; }
  const std::set<std::string, std::less<>>& built_in_modules() const { return built_in_; }
  // Modules by name or by an alias that is a plain name ("crypto-crc32c", "crc32c").
  std::vector<std::string> resolve(std::string_view name_or_alias) const;
  // From modules.softdep; the module's own .modinfo says the same unless an administrator added to it.
  const ModuleInfo* softdep(std::string_view name) const;
  const std::string& directory() const { return directory_; }

 private:
  Status read_dependencies(const std::string& text);
  Status scan(const RootTree& tree);
  Status scan_directory(const RootTree& tree, const std::string& below, int& budget);
  void add_alias(std::string_view alias, std::string_view module);

  std::string directory_;
  std::map<std::string, KnownModule, std::less<>> modules_;
  std::set<std::string, std::less<>> built_in_;
  std::multimap<std::string, std::string, std::less<>> aliases_;
  std::map<std::string, ModuleInfo, std::less<>> softdeps_;
};

inline constexpr Bytes kModuleLimit = 128_MiB;

// A module's file as the kernel loads it: not compressed.
Result<std::string> read_module(const RootTree& tree, const std::string& directory, const KnownModule& module);

}  // namespace bridgehead::netboot
