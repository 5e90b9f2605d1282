// Which kernel modules the initramfs holds, what they need and which devices they are for: /lib/modules.bridgehead
// (docs/boot-protocol.md, section 6). Pure.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "result.h"

namespace bridgehead::init {

// fnmatch(3) without flags: * ? [a-z] [!a].
bool glob_match(std::string_view pattern, std::string_view text);

class ModuleList {
 public:
  // Lines that aren't understood are left out: a newer builder may know more.
  static ModuleList parse(std::string_view text);

  const std::vector<std::string>& always() const { return always_; }
  // The modules whose patterns match, in the order of the file, each once.
  std::vector<std::string> matching(std::string_view modalias) const;
  // What to load so that `name` works: what it needs first, itself last. Empty: not in the list, so built in.
  std::vector<std::string> load_order(std::string_view name) const;
  std::string path(std::string_view name) const;  // below /lib/modules/<version>/

 private:
  struct Module {
    std::string path;
    std::vector<std::string> needs;
  };
  struct Alias {
    std::string pattern;
    std::string module;
  };
  void add_order(const std::string& name, std::vector<std::string>& order, std::vector<std::string>& entered) const;

  std::vector<std::string> always_;
  std::map<std::string, Module, std::less<>> modules_;
  std::map<std::string, std::vector<Alias>, std::less<>>
      aliases_;  // by what stands before ':', "" where that is a pattern
};

}  // namespace bridgehead::init
