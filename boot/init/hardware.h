// What the machine is, from /sys. Thread-safe; what can't be read is left empty.
#pragma once

#include <string>

namespace bridgehead::init {

std::string smbios_uuid();
std::string smbios_serial();
// The JSON object of docs/boot-protocol.md, section 4.
std::string hardware_json();

}  // namespace bridgehead::init
