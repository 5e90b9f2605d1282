// What a boot reads of its root until the node is ready, as pages of the NBD device: written down by the first boot of
// an image, read ahead in large pieces by those after it (docs/boot-protocol.md, section 3). Only a hint. Pure.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "result.h"

namespace bridgehead::init {

inline constexpr std::uint64_t reading_page = 4096;  // bytes

struct PageRange {
  std::uint64_t first = 0;
  std::uint64_t count = 0;
  bool operator==(const PageRange&) const = default;
};

// One line a range: "first count", ascending, none touching the next.
std::string format_reading_list(const std::vector<PageRange>& ranges);
// Fails by what isn't such a list, or leads beyond the device's `pages`.
Result<std::vector<PageRange>> parse_reading_list(std::string_view text, std::uint64_t pages);

// As mincore(2) tells it: a byte a page, bit 0 set where the page is in memory.
std::vector<PageRange> resident_ranges(std::span<const unsigned char> pages);
// Ranges with at most `gap` pages between them become one.
std::vector<PageRange> join_near(const std::vector<PageRange>& ranges, std::uint64_t gap);

}  // namespace bridgehead::init
