#include "netboot/initramfs/kernel_config.h"

#include "netboot/initramfs/lines.h"

namespace bridgehead::netboot {

KernelConfig::KernelConfig(std::string_view text) : known_(true) {
  constexpr std::string_view kPrefix = "CONFIG_";
  for (const auto line : lines(text)) {
    const auto equals = line.find('=');
    if (!line.starts_with(kPrefix) || equals == std::string_view::npos) continue;
    const auto value = line.substr(equals + 1);
    if (value == "y" || value == "m") {
      options_.emplace(line.substr(kPrefix.size(), equals - kPrefix.size()), value.front());
    }
  }
}

bool KernelConfig::has(std::string_view option) const { return options_.contains(option); }

bool KernelConfig::built_in(std::string_view option) const {
  const auto found = options_.find(option);
  return found != options_.end() && found->second == 'y';
}

}  // namespace bridgehead::netboot
