// The figures of vm_create: what was measured, its percentiles and ratios, and how they are printed. Plain values.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace bridgehead::performance {

inline constexpr double kLargestRatio = 1.25;
inline constexpr double kSmallestVirtInstallRatio = 4;

// Whose CPU time is noted. The kernel cuts names after 15 characters.
inline constexpr std::pair<std::string_view, std::string_view> kProcesses[] = {{"manager", "bridgehead-mana"},
                                                                               {"agent", "bridgehead-agen"},
                                                                               {"libvirtd", "libvirtd"},
                                                                               {"QEMU", "qemu-system-x86"}};

// Milliseconds since the request.
struct Times {
  std::vector<double> answered, defined, running, ended;
  std::vector<double> total;                       // of many at once: until the last one runs
  std::map<std::string, std::vector<double>> cpu;  // of many at once: milliseconds of CPU per guest, by process
};

// Of medians; 0 = not measured.
struct Ratios {
  double one = 0, many = 0, many_total = 0, install = 0;
  double install_by_libvirt =
      0;  // virt-install to libvirt itself: whoever starts guests through libvirt can't do better
};

struct Figures {
  std::size_t batch = 0;  // how many at once
  Times one, one_libvirt, install, clone, many, many_libvirt;

  Ratios ratios() const;
  bool within_limits() const;
  void print_table() const;
  void print_json() const;
};

}  // namespace bridgehead::performance
