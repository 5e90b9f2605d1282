#include "reading_list.h"

#include "text.h"

namespace bridgehead::init {

std::string format_reading_list(const std::vector<PageRange>& ranges) {
  std::string text;
  for (const auto& range : ranges) text += concat(range.first, " ", range.count, "\n");
  return text;
}

Result<std::vector<PageRange>> parse_reading_list(std::string_view text, std::uint64_t pages) {
  std::vector<PageRange> ranges;
  std::uint64_t end = 0;
  while (!text.empty()) {
    auto count_text = take_until(text, '\n');
    const auto first = parse_number(take_until(count_text, ' '));
    const auto count = parse_number(count_text);
    const bool good =
        first && count && *count > 0 && (ranges.empty() || *first > end) && *first < pages && *count <= pages - *first;
    if (!good) return fail("read the reading list", concat("line ", ranges.size() + 1, " can't be one of this root"));
    end = *first + *count;
    ranges.push_back({*first, *count});
  }
  return ranges;
}

std::vector<PageRange> resident_ranges(std::span<const unsigned char> pages) {
  std::vector<PageRange> ranges;
  for (std::size_t page = 0; page < pages.size(); ++page) {
    if ((pages[page] & 1) == 0) continue;
    if (!ranges.empty() && ranges.back().first + ranges.back().count == page) {
      ++ranges.back().count;
    } else {
      ranges.push_back({page, 1});
    }
  }
  return ranges;
}

std::vector<PageRange> join_near(const std::vector<PageRange>& ranges, std::uint64_t gap) {
  std::vector<PageRange> joined;
  for (const auto& range : ranges) {
    if (!joined.empty() && range.first - (joined.back().first + joined.back().count) <= gap) {
      joined.back().count = range.first + range.count - joined.back().first;
    } else {
      joined.push_back(range);
    }
  }
  return joined;
}

}  // namespace bridgehead::init
