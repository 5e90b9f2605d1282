// The log messages of boot_services, each with what it means for the operator.
#pragma once

#include "base/log.h"

namespace bridgehead::boot_services {

inline constexpr log::Message netboot_part_failed{
    "NETBOOT_PART_FAILED", "A part of what boots machines could not be set up; it is tried again every ten seconds."};
inline constexpr log::Message no_router_advertisements{
    "NO_ROUTER_ADVERTISEMENTS", "The interface has no IPv6, so that iPXE waits some 16 s for a router at each boot."};
inline constexpr log::Message node_images_not_swept{
    "NODE_IMAGES_NOT_SWEPT", "What a killed build of a node image left could not be removed; it only takes room."};
inline constexpr log::Message helper_caller_refused{
    "HELPER_CALLER_REFUSED", "A process that isn't the manager spoke to the netboot helper and was turned away."};
inline constexpr log::Message helper_call_refused{
    "HELPER_CALL_REFUSED", "The manager asked the netboot helper for something that can't be; the text says what."};
inline constexpr log::Message helper_away{"HELPER_AWAY",
                                          "The netboot helper isn't there: no machine can boot, and nodes wait "
                                          "whenever they read from a root by NBD or NFS, until "
                                          "it is back."};
inline constexpr log::Message helper_there{"HELPER_THERE", "The netboot helper answers; it gets the manager's plan."};

}  // namespace bridgehead::boot_services
