#include "netboot/initramfs/module_info.h"

#include <elf.h>

#include <cstring>
#include <optional>

#include "netboot/initramfs/compression.h"
#include "netboot/initramfs/lines.h"

namespace bridgehead::netboot {
namespace {

bool is_elf64(std::string_view elf) {
  return elf.size() >= sizeof(Elf64_Ehdr) && elf.starts_with(std::string_view(ELFMAG, SELFMAG)) &&
         elf[EI_CLASS] == ELFCLASS64 && elf[EI_DATA] == ELFDATA2LSB;
}

template <typename T>
std::optional<T> at(std::string_view elf, std::uint64_t offset) {
  if (offset > elf.size() || elf.size() - offset < sizeof(T)) return std::nullopt;
  T value;
  std::memcpy(&value, elf.data() + offset, sizeof value);
  return value;
}

std::optional<std::string_view> bytes_of(std::string_view elf, const Elf64_Shdr& section) {
  if (section.sh_type == SHT_NOBITS) return std::string_view{};
  if (section.sh_offset > elf.size() || elf.size() - section.sh_offset < section.sh_size) return std::nullopt;
  return elf.substr(section.sh_offset, section.sh_size);
}

std::string_view text_at(std::string_view table, std::size_t offset) {
  if (offset >= table.size()) return {};
  table.remove_prefix(offset);
  return table.substr(0, table.find('\0'));
}

// nullopt: the file is damaged. An empty view: there is no such section.
std::optional<std::string_view> section_named(std::string_view elf, std::string_view name) {
  const auto header = at<Elf64_Ehdr>(elf, 0);
  if (!header || header->e_shentsize != sizeof(Elf64_Shdr)) return std::nullopt;
  const auto section = [&](std::size_t index) {
    return at<Elf64_Shdr>(elf, header->e_shoff + index * sizeof(Elf64_Shdr));
  };
  const auto names_section = section(header->e_shstrndx);
  if (!names_section) return std::nullopt;
  const auto names = bytes_of(elf, *names_section);
  if (!names) return std::nullopt;
  std::string_view found;
  // All of them, found or not: a file that was cut off lacks the last ones.
  for (std::size_t index = 0; index < header->e_shnum; ++index) {
    const auto candidate = section(index);
    const auto bytes = candidate ? bytes_of(elf, *candidate) : std::nullopt;
    if (!bytes) return std::nullopt;
    if (text_at(*names, candidate->sh_name) == name) found = *bytes;
  }
  return found;
}

void add_field(std::string_view key, std::string_view value, ModuleInfo& info) {
  if (key == "alias") info.aliases.emplace_back(value);
  if (key == "firmware") info.firmware.emplace_back(value);
  if (key == "softdep") read_softdep(value, info);
  if (key == "depends") {
    for (const auto need : split(value, ',')) info.needs.push_back(module_name(need));
  }
}

}  // namespace

std::string module_name(std::string_view text) {
  std::string name(text);
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

std::string module_name_of_path(std::string_view path) {
  path = without_compression(path.substr(path.rfind('/') + 1));
  if (path.ends_with(".ko")) path.remove_suffix(3);
  return module_name(path);
}

void read_softdep(std::string_view text, ModuleInfo& info) {
  std::vector<std::string>* side = nullptr;
  for (const auto word : words(text)) {
    if (word == "pre:") {
      side = &info.soft_pre;
    } else if (word == "post:") {
      side = &info.soft_post;
    } else if (side != nullptr) {
      side->push_back(module_name(word));
    }
  }
}

Result<ModuleInfo> read_module_info(std::string_view elf, std::string_view what) {
  const auto section = is_elf64(elf) ? section_named(elf, ".modinfo") : std::nullopt;
  if (!section) {
    return fail_with_hint(ErrorCode::data_corrupt,
                          fmt::format("{} is not a kernel module (a 64-bit ELF file), or it is damaged", what),
                          "Install the package that it belongs to again in the tree.");
  }
  ModuleInfo info;
  for (const auto field : split(*section, '\0')) {
    if (const auto equals = field.find('='); equals != std::string_view::npos) {
      add_field(field.substr(0, equals), field.substr(equals + 1), info);
    }
  }
  return info;
}

Status check_static_program(std::string_view elf, std::string_view what) {
  const auto header = at<Elf64_Ehdr>(elf, 0);
  if (!is_elf64(elf) || !header || (header->e_type != ET_EXEC && header->e_type != ET_DYN)) {
    return fail(ErrorCode::invalid_argument, "{} is not a 64-bit ELF program", what);
  }
  for (std::size_t index = 0; index < header->e_phnum; ++index) {
    const auto segment = at<Elf64_Phdr>(elf, header->e_phoff + index * sizeof(Elf64_Phdr));
    if (!segment) return fail(ErrorCode::invalid_argument, "{} is damaged", what);
    if (segment->p_type == PT_INTERP) {
      return fail_with_hint(ErrorCode::invalid_argument,
                            fmt::format("{} is linked dynamically; it would find no library in the initramfs", what),
                            "Take a static one (busybox: Debian's package busybox-static).");
    }
  }
  return {};
}

}  // namespace bridgehead::netboot
