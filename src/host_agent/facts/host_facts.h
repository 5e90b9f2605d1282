// What this machine is, read from /proc, /sys and /etc below a root directory (tests give a fixture tree).
// Stateless, thread-safe. Never fails: what can't be read keeps its default, so that a strange machine still reports.
// Formats: proc(5), sysfs(5), os-release(5), machine-id(5).
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "model/node.h"

namespace bridgehead::host_agent {

// Everything of NodeFacts that files tell: not interfaces' addresses, virtualization, libvirt, agent_version.
model::NodeFacts read_host_facts(const std::filesystem::path& root);

// Changes with each boot of the machine; "" where the kernel has none.
std::string read_boot_id(const std::filesystem::path& root);

// "0-3,8" -> 0 1 2 3 8 (cpuset(7), "List format"); what is malformed is left out.
std::vector<std::uint32_t> parse_cpu_list(std::string_view text);

// A small file's text without its last newline; "" when it can't be read.
std::string read_text(const std::filesystem::path& path);

}  // namespace bridgehead::host_agent
