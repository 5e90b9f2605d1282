// CpioArchive: the "newc" format that the kernel unpacks an initramfs from (Documentation/driver-api/early-userspace/
// buffer-format.rst). Entries are sorted, owned by root, dated 0 and numbered in order, so that the same files give the
// same bytes. Directories above an entry are made. One thread at a time.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace bridgehead::netboot {

class CpioArchive {
 public:
  // Paths are relative, without "." and ".."; adding one again replaces it.
  void add_directory(const std::string& path, std::uint32_t mode = 0755);
  void add_file(const std::string& path, std::string content, std::uint32_t mode = 0644);
  void add_symlink(const std::string& path, std::string target);
  void add_character_device(const std::string& path, std::uint32_t major, std::uint32_t minor, std::uint32_t mode);
  std::string bytes() const;

 private:
  struct Entry {
    std::uint32_t mode = 0;  // with the type's bits
    std::string content;
    std::uint32_t major = 0;
    std::uint32_t minor = 0;
  };
  void add(const std::string& path, Entry entry);

  std::map<std::string, Entry> entries_;  // a directory sorts before what it holds
};

// The names in the archives that stand one after the other at the beginning of `bytes`, without a leading "/" or "./";
// `rest` is what follows them and their padding. Where one is damaged its names end, and `rest` begins there.
struct CpioNames {
  std::vector<std::string_view> names;
  std::string_view rest;
};
CpioNames names_in_cpio(std::string_view bytes);

}  // namespace bridgehead::netboot
