// ModuleSet: the modules that go into an initramfs: what was asked for and everything that needs, in memory, with the
// index that init reads. One thread at a time.
// Errors: not_found (the module, or one that it needs, is neither in the tree nor built in), data_corrupt,
// resource_exhausted.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/result.h"
#include "netboot/initramfs/module_index.h"

namespace bridgehead::netboot {

struct ChosenModule {
  std::string path;                // below lib/modules/<version>, not compressed: "kernel/net/802/stp.ko"
  std::string content;             // the ELF file
  std::vector<std::string> needs;  // all, directly or not, in the order in which they are to be loaded
  ModuleInfo info;
};

class ModuleSet {
 public:
  ModuleSet(const RootTree& tree, const ModuleIndex& index) : tree_(tree), index_(index) {}

  // With all that it needs. What is built into the kernel needs nothing.
  Status add(std::string_view name);
  // The same, and init loads it at the start, whether or not a device asks for it.
  Status add_always(std::string_view name);

  const std::map<std::string, ChosenModule>& modules() const { return modules_; }
  // docs/boot-protocol.md, section 6
  std::string index_text() const;

 private:
  Status visit(const std::string& name, int depth);
  Status visit_needs(const std::string& name, ChosenModule& module, int depth);
  void take_need(const std::string& need, ChosenModule& module) const;

  const RootTree& tree_;
  const ModuleIndex& index_;
  std::map<std::string, ChosenModule> modules_;
  std::vector<std::string> always_;
  // Loaded when any device of the first one appears: mlx4_core's drivers ask modprobe for mlx4_en; there is none.
  std::multimap<std::string, std::string> companions_;
};

}  // namespace bridgehead::netboot
