// How one device of a domain is recognised from one definition to the next. Internal to domain_xml.
#pragma once

#include <string>

#include <pugixml.hpp>

namespace bridgehead::hypervisor {

// "disk/ua-disk0", "controller/pci/3", "rng/virtio": by our alias if it has one, otherwise by what it is.
std::string device_key(pugi::xml_node device);

}  // namespace bridgehead::hypervisor
