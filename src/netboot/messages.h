// Log messages of the netboot module, with what they mean to an operator.
#pragma once

#include "base/log.h"

namespace bridgehead::netboot {

inline constexpr log::Message boot_server_listens{"BOOT_SERVER_LISTENS",
                                                  "The boot server takes connections at this address."};
inline constexpr log::Message boot_server_few_files{
    "BOOT_SERVER_FEW_FILES",
    "The limit of open files (ulimit -n) allows fewer connections than configured; raise LimitNOFILE."};
inline constexpr log::Message boot_server_refused{
    "BOOT_SERVER_REFUSED",
    "Connections were refused: too many in all, or too many from one address. Said once a minute."};
inline constexpr log::Message boot_site_failed{
    "BOOT_SITE_FAILED",
    "What a machine asked for could not be answered because of a fault of ours; it got status 500."};

}  // namespace bridgehead::netboot
