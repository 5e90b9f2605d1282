#include "provision/reading_lists.h"

#include <algorithm>
#include <charconv>

#include "base/file.h"

namespace bridgehead::provision {
namespace {

constexpr std::uint64_t kPage = 4096;
constexpr Bytes kMost = 64_MiB;

// "first count"
bool read_range(std::string_view line, std::uint64_t& first, std::uint64_t& count) {
  const char* const end = line.data() + line.size();
  const auto blank = std::from_chars(line.data(), end, first);
  if (blank.ec != std::errc() || blank.ptr == end || *blank.ptr != ' ') return false;
  const auto rest = std::from_chars(blank.ptr + 1, end, count);
  return rest.ec == std::errc() && rest.ptr == end;
}

}  // namespace

Status check_reading_list(std::string_view text, Bytes root_size) {
  const std::uint64_t pages = (root_size.count() + kPage - 1) / kPage;
  std::uint64_t sum = 0;
  std::uint64_t end = 0;
  for (std::size_t number = 1; !text.empty(); ++number) {
    const auto line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    std::uint64_t first = 0;
    std::uint64_t count = 0;
    const bool good = read_range(line, first, count) && count > 0 && (number == 1 || first > end) && first < pages &&
                      count <= pages - first;
    if (!good) return fail(ErrorCode::invalid_argument, "line {} is no range of pages of this root", number);
    end = first + count;
    sum += count;
  }
  if (sum == 0) return fail(ErrorCode::invalid_argument, "the reading list is empty");
  if (sum * kPage > kMost.count()) {
    return fail(ErrorCode::invalid_argument, "the reading list names {}, more than {}", Bytes(sum * kPage).human(),
                kMost.human());
  }
  return {};
}

bool ReadingLists::has(const model::NodeImageId& image) const {
  std::error_code missing;
  return std::filesystem::exists(file(image), missing);
}

Status ReadingLists::keep(const model::NodeImage& image, std::string_view text) {
  if (has(image.id)) return {};
  if (auto good = check_reading_list(text, image.root_size); !good) return good;
  if (auto made = make_directories(directory_, 0700); !made) return made;
  return write_file_atomic(file(image.id), text, 0600);
}

void ReadingLists::keep_only(const std::vector<model::NodeImageId>& images) {
  for (const auto& path : list_directory(directory_).value_or(std::vector<std::filesystem::path>())) {
    const model::NodeImageId id(path.filename().string());
    if (std::find(images.begin(), images.end(), id) == images.end()) (void)remove_file(path);
  }
}

}  // namespace bridgehead::provision
