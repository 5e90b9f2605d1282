// Root trees for tests: files, links, and kernel modules that are as much of an ELF file as their readers look at.
// Fails the test that uses it where it can't write.
#pragma once

#include <elf.h>
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "base/file.h"
#include "netboot/initramfs/compression.h"

namespace bridgehead::netboot::testing {

// An ELF object with a .modinfo of these fields ("depends=a,b") and some code, the more the larger.
inline std::string fake_module(const std::vector<std::string>& fields, std::size_t code = 0) {
  std::string modinfo;
  for (const auto& field : fields) modinfo += field + '\0';
  const std::string names("\0.modinfo\0.shstrtab\0.text\0", 26);
  Elf64_Ehdr header{};
  std::memcpy(header.e_ident, ELFMAG, SELFMAG);
  header.e_ident[EI_CLASS] = ELFCLASS64;
  header.e_ident[EI_DATA] = ELFDATA2LSB;
  header.e_type = ET_REL;
  header.e_shentsize = sizeof(Elf64_Shdr);
  header.e_shnum = 4;
  header.e_shstrndx = 2;
  Elf64_Shdr sections[4]{};
  const auto place = [&](int index, std::uint32_t name, std::uint64_t offset, std::uint64_t size) {
    sections[index].sh_name = name;
    sections[index].sh_type = SHT_PROGBITS;
    sections[index].sh_offset = offset;
    sections[index].sh_size = size;
  };
  place(1, 1, sizeof header, modinfo.size());
  place(2, 10, sizeof header + modinfo.size(), names.size());
  place(3, 20, sizeof header + modinfo.size() + names.size(), code);
  header.e_shoff = sizeof header + modinfo.size() + names.size() + code;
  std::string elf(reinterpret_cast<const char*>(&header), sizeof header);
  elf += modinfo + names + std::string(code, '\x90');
  elf.append(reinterpret_cast<const char*>(sections), sizeof sections);
  return elf;
}

// A program without a dynamic loader; with `interpreter`, one that needs it.
inline std::string fake_program(bool interpreter = false) {
  Elf64_Ehdr header{};
  std::memcpy(header.e_ident, ELFMAG, SELFMAG);
  header.e_ident[EI_CLASS] = ELFCLASS64;
  header.e_ident[EI_DATA] = ELFDATA2LSB;
  header.e_type = ET_EXEC;
  header.e_phoff = sizeof header;
  header.e_phentsize = sizeof(Elf64_Phdr);
  header.e_phnum = 1;
  Elf64_Phdr segment{};
  segment.p_type = interpreter ? PT_INTERP : PT_LOAD;
  std::string elf(reinterpret_cast<const char*>(&header), sizeof header);
  elf.append(reinterpret_cast<const char*>(&segment), sizeof segment);
  return elf;
}

class FakeTree {
 public:
  explicit FakeTree(std::filesystem::path root) : root_(std::move(root)) {}
  const std::filesystem::path& root() const { return root_; }

  void file(const std::string& path, std::string_view content) const {
    ASSERT_TRUE(make_directories((root_ / path).parent_path()));
    // Not write_file_atomic: hundreds of files needn't survive a crash.
    std::ofstream stream(root_ / path, std::ios::binary | std::ios::trunc);
    stream << content;
    ASSERT_TRUE(stream.flush().good()) << path;
  }
  void link(const std::string& path, const std::string& target) const {
    ASSERT_TRUE(make_directories((root_ / path).parent_path()));
    std::filesystem::create_symlink(target, root_ / path);
  }
  // Compressed as the path's ending says.
  void packed(const std::string& path, std::string_view content) const {
    const auto bytes = compress(content, compression_of(path));
    ASSERT_TRUE(bytes);
    file(path, *bytes);
  }
  void remove(const std::string& path) const { std::filesystem::remove_all(root_ / path); }

 private:
  std::filesystem::path root_;
};

// What a kernel needs for every root transport, beside NIC drivers; paths below lib/modules/<version>, without endings.
inline const std::vector<std::pair<std::string, std::vector<std::string>>>& boot_modules() {
  static const std::vector<std::pair<std::string, std::vector<std::string>>> modules{
      {"kernel/net/llc/llc", {}},
      {"kernel/net/802/stp", {"depends=llc"}},
      {"kernel/net/bridge/bridge", {"depends=stp,llc", "alias=rtnl-link-bridge"}},
      {"kernel/fs/overlayfs/overlay", {"alias=fs-overlay"}},
      {"kernel/crypto/crc32c_generic", {"alias=crypto-crc32c", "alias=crc32c"}},
      {"kernel/arch/x86/crypto/crc32c-intel", {"alias=crc32c", "alias=cpu:type:x86,ven*fam*mod*:feature:*0094*"}},
      {"kernel/lib/libcrc32c", {"softdep=pre: crc32c"}},
      {"kernel/fs/squashfs/squashfs", {"depends=libcrc32c", "alias=fs-squashfs"}},
      {"kernel/drivers/block/nbd", {}},
      {"kernel/drivers/block/loop", {}},
      {"kernel/net/sunrpc/sunrpc", {}},
      {"kernel/fs/nfs/nfs", {"depends=sunrpc"}},
      {"kernel/fs/nfs/nfsv4", {"depends=nfs,sunrpc"}},
      {"kernel/drivers/net/tun", {}},
      {"kernel/arch/x86/kvm/kvm", {}},
      {"kernel/arch/x86/kvm/kvm-intel", {"depends=kvm"}},
      {"kernel/arch/x86/kvm/kvm-amd", {"depends=kvm"}},
      {"kernel/drivers/vhost/vhost_net", {"depends=tun"}},
      {"kernel/drivers/virtio/virtio_ring", {}},
      {"kernel/drivers/virtio/virtio", {"depends=virtio_ring"}},
      {"kernel/drivers/virtio/virtio_pci", {"depends=virtio,virtio_ring", "alias=pci:v00001AF4d*sv*sd*bc*sc*i*"}},
      {"kernel/drivers/net/virtio_net", {"depends=virtio,virtio_ring", "alias=virtio:d00000001v*"}},
  };
  return modules;
}

}  // namespace bridgehead::netboot::testing
