#include "netboot/initramfs/cpio.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include "base/result.h"

namespace bridgehead::netboot {
namespace {

constexpr std::size_t kCpioAlignment = 4;
constexpr std::size_t kCpioBlock = 512;
constexpr std::string_view kTrailer = "TRAILER!!!";
// Where "newc" has what, in its 110 bytes.
constexpr std::size_t kHeaderSize = 110;
constexpr std::size_t kFileSizeAt = 54;
constexpr std::size_t kNameSizeAt = 94;

std::size_t aligned(std::size_t size) { return (size + kCpioAlignment - 1) / kCpioAlignment * kCpioAlignment; }

std::optional<std::size_t> field(std::string_view header, std::size_t at) {
  std::uint32_t value = 0;
  const char* const end = header.data() + at + 8;
  const auto [last, error] = std::from_chars(header.data() + at, end, value, 16);
  if (error != std::errc() || last != end) return std::nullopt;
  return value;
}

// The name of the entry that `bytes` begins with, which is taken off; nothing where there is none.
std::optional<std::string_view> take_entry(std::string_view& bytes) {
  const bool newc = bytes.starts_with("070701") || bytes.starts_with("070702");
  if (!newc || bytes.size() < kHeaderSize) return std::nullopt;
  const auto name_size = field(bytes, kNameSizeAt);
  const auto file_size = field(bytes, kFileSizeAt);
  if (!name_size || !file_size || *name_size == 0) return std::nullopt;
  const auto content_at = aligned(kHeaderSize + *name_size);
  if (content_at > bytes.size() || *file_size > bytes.size() - content_at) return std::nullopt;
  const auto name = bytes.substr(kHeaderSize, *name_size - 1);
  bytes.remove_prefix(std::min(aligned(content_at + *file_size), bytes.size()));
  return name;
}

void pad_to(std::string& bytes, std::size_t alignment) {
  bytes.resize((bytes.size() + alignment - 1) / alignment * alignment, '\0');
}

struct CpioHeader {
  std::uint32_t inode = 0;
  std::uint32_t mode = 0;
  std::uint32_t links = 1;
  std::uint32_t major = 0;
  std::uint32_t minor = 0;
};

void append_entry(std::string& bytes, const CpioHeader& header, std::string_view name, std::string_view content) {
  require(content.size() <= UINT32_MAX, "a file in a cpio archive is below 4 GiB");
  // inode mode uid gid nlink mtime filesize devmajor devminor rdevmajor rdevminor namesize check
  fmt::format_to(std::back_inserter(bytes),
                 "070701{:08X}{:08X}{:08X}{:08X}{:08X}{:08X}{:08X}{:08X}{:08X}{:08X}{:08X}{:08X}{:08X}", header.inode,
                 header.mode, 0, 0, header.links, 0, content.size(), 0, 0, header.major, header.minor, name.size() + 1,
                 0);
  bytes += name;
  bytes += '\0';
  pad_to(bytes, kCpioAlignment);
  bytes += content;
  pad_to(bytes, kCpioAlignment);
}

}  // namespace

void CpioArchive::add(const std::string& path, Entry entry) {
  const auto slash = path.rfind('/');
  if (slash != std::string::npos && !entries_.contains(path.substr(0, slash))) add_directory(path.substr(0, slash));
  entries_[path] = std::move(entry);
}

void CpioArchive::add_directory(const std::string& path, std::uint32_t mode) { add(path, {S_IFDIR | mode, {}}); }

void CpioArchive::add_file(const std::string& path, std::string content, std::uint32_t mode) {
  add(path, {S_IFREG | mode, std::move(content)});
}

void CpioArchive::add_symlink(const std::string& path, std::string target) {
  add(path, {S_IFLNK | 0777, std::move(target)});
}

void CpioArchive::add_character_device(const std::string& path, std::uint32_t major, std::uint32_t minor,
                                       std::uint32_t mode) {
  add(path, {S_IFCHR | mode, {}, major, minor});
}

std::string CpioArchive::bytes() const {
  std::string bytes;
  std::uint32_t inode = 0;
  for (const auto& [path, entry] : entries_) {
    append_entry(bytes, {++inode, entry.mode, S_ISDIR(entry.mode) ? 2U : 1U, entry.major, entry.minor}, path,
                 entry.content);
  }
  append_entry(bytes, {}, kTrailer, {});
  pad_to(bytes, kCpioBlock);
  return bytes;
}

CpioNames names_in_cpio(std::string_view bytes) {
  CpioNames found;
  while (auto name = take_entry(bytes)) {
    if (*name == kTrailer) {
      bytes.remove_prefix(std::min(bytes.find_first_not_of('\0'), bytes.size()));
      continue;
    }
    if (name->starts_with("./")) name->remove_prefix(2);
    if (name->starts_with('/')) name->remove_prefix(1);
    found.names.push_back(*name);
  }
  found.rest = bytes;
  return found;
}

}  // namespace bridgehead::netboot
