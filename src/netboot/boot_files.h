// The boot loaders of Debian's packages, collected into the TFTP root (and for UEFI HTTP Boot into a directory that the
// boot server shows under kFirstStagePath). Copies, so that an upgrade of a package can't change a file in
// mid-transfer. One caller at a time per directory. Missing packages are no error but named: other methods go on.
#pragma once

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "model/netboot.h"

namespace bridgehead::netboot {

struct MissingBootFile {
  model::BootMethod method = model::BootMethod::ipxe;
  std::string file;     // "undionly.kpxe"
  std::string package;  // "ipxe"
  bool operator==(const MissingBootFile&) const = default;
};

struct BootFiles {
  std::filesystem::path tftp_root;
  std::filesystem::path http_directory;  // ipxe.efi, snponly.efi, memtest.bin, memtest.efi
  std::vector<MissingBootFile> missing;
  bool memtest = false;  // there is one

  bool can(model::BootMethod method) const;
  // "pxelinux.0 isn't there: install the package pxelinux"; "" = nothing is missing.
  std::string explain_missing() const;
};

// Makes both directories and copies what has changed, each file atomically; where nothing has, it only looks. Also
// writes grub/grub.cfg, which leads to a machine's own file, bridgehead.ipxe, which loops until `server`
// ("http://10.20.0.1:7480") gives the machine's script, and, unless they are there already, a pxelinux.cfg/default and
// a grub/discovery.cfg that say that nobody knows the machine. `system_root`: where the packages are installed; "/" but
// for tests.
Result<BootFiles> collect_boot_files(const std::filesystem::path& tftp_root,
                                     const std::filesystem::path& http_directory, const std::string& server,
                                     const std::filesystem::path& system_root = "/");

// Shows an image's kernel and initramfs in the TFTP root as images/<id>/vmlinuz and initramfs.img, for pxelinux and
// GRUB: symbolic links into the image's directory, which must be reachable for the user `dnsmasq`.
Status publish_tftp_image(const std::filesystem::path& tftp_root, const std::string& image_id,
                          const std::filesystem::path& image_directory);
Status withdraw_tftp_image(const std::filesystem::path& tftp_root, const std::string& image_id);
std::vector<std::string> tftp_images(const std::filesystem::path& tftp_root);  // that are shown

// What one machine's pxelinux (pxelinux.cfg/01-<mac>) or GRUB (grub/grub.cfg-01-<mac>) reads; written atomically. An
// empty `mac`: for machines that have none of their own (pxelinux.cfg/default, grub/discovery.cfg). An empty text
// removes a machine's file and lets the one for all say that nobody knows the machine. invalid_argument: the MAC, or a
// method without such files (ipxe).
Status publish_loader_config(const std::filesystem::path& tftp_root, model::BootMethod method, const std::string& mac,
                             const std::string& text);
// Machines that have one of their own, by MAC.
std::vector<std::pair<model::BootMethod, std::string>> loader_configs(const std::filesystem::path& tftp_root);

}  // namespace bridgehead::netboot
