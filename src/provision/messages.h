// The log messages of provision, each with what it means for the operator.
#pragma once

#include "base/log.h"

namespace bridgehead::provision {

inline constexpr log::Message boot_script_refused{
    "BOOT_SCRIPT_REFUSED", "A machine asked what to boot and got nothing; the text says why and what to do."};
inline constexpr log::Message boot_of_another{
    "BOOT_OF_ANOTHER", "A machine came with a boot that was made for another one; perhaps a copied command line."};
inline constexpr log::Message boot_not_recorded{"BOOT_NOT_RECORDED",
                                                "A step of a machine's boot could not be stored; the machine goes on."};
inline constexpr log::Message netboot_not_served{
    "NETBOOT_NOT_SERVED",
    "What boots machines could not be set up: the boot server, or all else; it is tried again every ten seconds."};
inline constexpr log::Message netboot_serves{"NETBOOT_SERVES", "Machines on the named interface can boot now."};
inline constexpr log::Message netboot_stopped{"NETBOOT_STOPPED", "Machines can't boot here any more, as was asked."};
inline constexpr log::Message foreign_dhcp_server{
    "FOREIGN_DHCP_SERVER",
    "Another DHCP server answers on the provisioning network; machines boot by chance until one of them is off."};
inline constexpr log::Message node_image_made{"NODE_IMAGE_MADE", "A node image is ready to be booted."};
inline constexpr log::Message node_image_not_made{"NODE_IMAGE_NOT_MADE",
                                                  "A node image could not be made; nothing was left behind."};

}  // namespace bridgehead::provision
