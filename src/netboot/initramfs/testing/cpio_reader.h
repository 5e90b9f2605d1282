// Reads a newc archive back, for tests.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <string>
#include <vector>

namespace bridgehead::netboot::testing {

struct CpioEntry {
  std::uint32_t inode = 0;
  std::uint32_t mode = 0;
  std::uint32_t uid = 0;
  std::uint32_t mtime = 0;
  std::uint32_t major = 0;
  std::uint32_t minor = 0;
  std::string content;
};

struct CpioContent {
  std::vector<std::string> order;
  std::map<std::string, CpioEntry> entries;
};

inline CpioContent read_cpio(const std::string& bytes) {
  CpioContent result;
  const auto align = [](std::size_t at) { return (at + 3) / 4 * 4; };
  for (std::size_t at = 0; at + 110 <= bytes.size();) {
    const auto field = [&](std::size_t index) {
      return static_cast<std::uint32_t>(std::strtoul(bytes.substr(at + 6 + index * 8, 8).c_str(), nullptr, 16));
    };
    if (bytes.compare(at, 6, "070701") != 0) {
      ADD_FAILURE() << "no cpio header at " << at;
      return result;
    }
    CpioEntry entry{field(0), field(1), field(2), field(5), field(9), field(10), {}};
    const std::string name = bytes.substr(at + 110, field(11) - 1);
    const auto data = align(at + 110 + field(11));
    entry.content = bytes.substr(data, field(6));
    at = align(data + field(6));
    if (name == "TRAILER!!!") return result;
    result.order.push_back(name);
    result.entries[name] = std::move(entry);
  }
  ADD_FAILURE() << "the cpio archive has no end";
  return result;
}

}  // namespace bridgehead::netboot::testing
