// What all builders of libvirt XML share: elements and attributes in one line, and the sizes written into them.
#pragma once

#include <cstdint>
#include <string>

#include <pugixml.hpp>

namespace bridgehead::hypervisor {

// Bytes; the step in which virtio-mem gives and takes memory: one x86 huge page.
constexpr std::uint64_t kMemoryBlock = 2ull << 20;

inline pugi::xml_node child(pugi::xml_node parent, const char* name, const std::string& text) {
  auto node = parent.append_child(name);
  node.text().set(text.c_str());
  return node;
}

inline void set(pugi::xml_node node, const char* name, const std::string& value) {
  node.append_attribute(name).set_value(value.c_str());
}

}  // namespace bridgehead::hypervisor
