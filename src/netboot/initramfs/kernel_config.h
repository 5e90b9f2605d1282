// A kernel's configuration, as far as it is known: config-VERSION of Debian and Ubuntu, lib/modules/VERSION/config of
// Fedora. Plain value.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace bridgehead::netboot {

class KernelConfig {
 public:
  KernelConfig() = default;  // unknown
  explicit KernelConfig(std::string_view text);

  bool known() const { return known_; }
  // "y" or "m": set at all.
  bool has(std::string_view option) const;
  bool built_in(std::string_view option) const;

 private:
  bool known_ = false;
  std::map<std::string, char, std::less<>> options_;  // without CONFIG_; 'y', 'm'
};

}  // namespace bridgehead::netboot
