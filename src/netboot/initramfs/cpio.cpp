#include "netboot/initramfs/cpio.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include "base/result.h"

namespace bridgehead::netboot {
namespace {

constexpr std::size_t kCpioAlignment = 4;
constexpr std::size_t kCpioBlock = 512;

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
  append_entry(bytes, {}, "TRAILER!!!", {});
  pad_to(bytes, kCpioBlock);
  return bytes;
}

}  // namespace bridgehead::netboot
