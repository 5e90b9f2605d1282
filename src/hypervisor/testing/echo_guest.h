// The boot sector of testing/echo_guest.S: a guest that is up in a second under emulation. Constant data.
#pragma once

#include <string_view>

extern "C" const char bridgehead_echo_guest_start[];
extern "C" const char bridgehead_echo_guest_end[];

namespace bridgehead::hypervisor::testing {

inline constexpr char kEchoGuestHello[] = "echo guest ready";

inline std::string_view echo_guest_boot_sector() {
  return {bridgehead_echo_guest_start,
          static_cast<std::size_t>(bridgehead_echo_guest_end - bridgehead_echo_guest_start)};
}

}  // namespace bridgehead::hypervisor::testing
