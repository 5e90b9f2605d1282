// What a machine has taken over TCP from this host, by the kernel's own count of each connection: that is how roots by
// NBD and NFS are counted, whoever serves them. Thread-safe; needs no rights.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/units.h"

namespace bridgehead::netboot {

// Acknowledged by `address` (IPv4) on the connections that it has to `port` here now. Nothing: it has none, or the
// kernel doesn't tell.
std::optional<Bytes> taken_bytes(const std::string& address, std::uint16_t port);

}  // namespace bridgehead::netboot
