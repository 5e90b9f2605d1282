#include "netboot/boot_files.h"

#include <algorithm>

#include "base/file.h"
#include "netboot/boot_scripts.h"
#include "netboot/boot_values.h"

namespace bridgehead::netboot {
namespace {

using model::BootMethod;

struct LoaderFile {
  BootMethod method;
  std::string_view name;    // in the TFTP root
  std::string_view source;  // of the installed package
  std::string_view package;
  bool by_http = false;
};

// GRUB's netboot image: the one with TFTP inside. shim asks for it as grubx64.efi.
constexpr LoaderFile kLoaderFiles[] = {
    {BootMethod::ipxe, "undionly.kpxe", "usr/lib/ipxe/undionly.kpxe", "ipxe"},
    {BootMethod::ipxe, "snponly.efi", "usr/lib/ipxe/snponly.efi", "ipxe", true},
    {BootMethod::ipxe, "ipxe.efi", "usr/lib/ipxe/ipxe.efi", "ipxe", true},
    {BootMethod::pxelinux, "pxelinux.0", "usr/lib/PXELINUX/pxelinux.0", "pxelinux"},
    {BootMethod::pxelinux, "lpxelinux.0", "usr/lib/PXELINUX/lpxelinux.0", "pxelinux"},
    {BootMethod::pxelinux, "ldlinux.c32", "usr/lib/syslinux/modules/bios/ldlinux.c32", "syslinux-common"},
    {BootMethod::pxelinux, "menu.c32", "usr/lib/syslinux/modules/bios/menu.c32", "syslinux-common"},
    {BootMethod::pxelinux, "libutil.c32", "usr/lib/syslinux/modules/bios/libutil.c32", "syslinux-common"},
    {BootMethod::pxelinux, "libcom32.c32", "usr/lib/syslinux/modules/bios/libcom32.c32", "syslinux-common"},
    {BootMethod::pxelinux, "reboot.c32", "usr/lib/syslinux/modules/bios/reboot.c32", "syslinux-common"},
    {BootMethod::shim, "shimx64.efi", "usr/lib/shim/shimx64.efi.signed", "shim-signed"},
    {BootMethod::shim, "grubx64.efi", "usr/lib/grub/x86_64-efi-signed/grubnetx64.efi.signed", "grub-efi-amd64-signed"},
};

// Not needed for any method.
constexpr LoaderFile kMemtestFiles[] = {
    {BootMethod::ipxe, "memtest.bin", "boot/memtest86+x64.bin", "memtest86+", true},
    {BootMethod::ipxe, "memtest.efi", "boot/memtest86+x64.efi", "memtest86+", true},
};

Status write_if_changed(const std::filesystem::path& path, const std::string& content) {
  const auto old = read_file(path);
  if (old && *old == content) return {};
  return write_file_atomic(path, content, 0644);
}

// A copy has its source's time of change, so that one look tells whether it still is a copy.
Status copy_if_changed(const std::filesystem::path& source, const std::filesystem::path& copy) {
  std::error_code error;
  const auto changed = std::filesystem::last_write_time(source, error);
  if (error) return fail_errno(error.value(), source.string());
  std::error_code none;
  if (std::filesystem::last_write_time(copy, none) == changed && !none &&
      std::filesystem::file_size(copy, none) == std::filesystem::file_size(source, error) && !none && !error) {
    return {};
  }
  const auto content = read_file(source);
  if (!content) return forward(content);
  if (auto written = write_if_changed(copy, *content); !written) return written;
  std::filesystem::last_write_time(copy, changed, error);
  return error ? fail_errno(error.value(), copy.string()) : Status();
}

// False: the package's file isn't there.
Result<bool> copy_loader(const LoaderFile& file, const BootFiles& to, const std::filesystem::path& system_root) {
  const auto source = system_root / file.source;
  std::error_code ignored;
  if (!std::filesystem::exists(source, ignored)) return false;
  if (auto copied = copy_if_changed(source, to.tftp_root / file.name); !copied) return forward(copied);
  if (!file.by_http) return true;
  if (auto copied = copy_if_changed(source, to.http_directory / file.name); !copied) return forward(copied);
  return true;
}

std::filesystem::path loader_config_path(const std::filesystem::path& tftp_root, BootMethod method,
                                         const std::string& mac) {
  std::string dashed = mac;
  std::replace(dashed.begin(), dashed.end(), ':', '-');
  if (method == BootMethod::pxelinux) return tftp_root / "pxelinux.cfg" / (mac.empty() ? "default" : "01-" + dashed);
  return tftp_root / "grub" / (mac.empty() ? "discovery.cfg" : "grub.cfg-01-" + dashed);
}

// For machines that nobody knows, while there is no image.
std::string unknown_machine_text(BootMethod method) {
  const std::string message = "this machine is not known and there is no image to discover it with";
  constexpr std::chrono::seconds kPause{30};
  return method == BootMethod::pxelinux ? pxelinux_wait_config(message, kPause) : grub_wait_config(message, kPause);
}

Status write_shared_files(const std::filesystem::path& tftp_root, const std::string& server) {
  for (const char* directory : {"pxelinux.cfg", "grub", "images"}) {
    if (auto made = make_directories(tftp_root / directory); !made) return made;
  }
  if (auto written = write_if_changed(tftp_root / "bridgehead.ipxe", ipxe_first_script(server)); !written)
    return written;
  if (auto written = write_if_changed(tftp_root / "grub" / "grub.cfg", grub_first_config()); !written) return written;
  for (const auto method : {BootMethod::pxelinux, BootMethod::shim}) {
    const auto path = loader_config_path(tftp_root, method, "");
    std::error_code ignored;
    if (std::filesystem::exists(path, ignored)) continue;
    if (auto written = write_file_atomic(path, unknown_machine_text(method), 0644); !written) return written;
  }
  return {};
}

// Names in it that begin so, without that.
std::vector<std::string> names_in(const std::filesystem::path& directory, std::string_view prefix) {
  std::vector<std::string> names;
  // Not there: none.
  for (const auto& path : list_directory(directory).value_or(std::vector<std::filesystem::path>())) {
    const auto name = path.filename().string();
    if (name.starts_with(prefix)) names.push_back(name.substr(prefix.size()));
  }
  return names;
}

}  // namespace

bool BootFiles::can(BootMethod method) const {
  return std::none_of(missing.begin(), missing.end(), [&](const auto& one) { return one.method == method; });
}

std::string BootFiles::explain_missing() const {
  std::string text;
  for (const auto& one : missing) {
    text += fmt::format("{}{} isn't there: install the package {}", text.empty() ? "" : "; ", one.file, one.package);
  }
  return text;
}

Result<BootFiles> collect_boot_files(const std::filesystem::path& tftp_root,
                                     const std::filesystem::path& http_directory, const std::string& server,
                                     const std::filesystem::path& system_root) {
  if (auto good = check_server(server); !good) return forward(good);
  BootFiles files{.tftp_root = tftp_root, .http_directory = http_directory};
  for (const auto& directory : {tftp_root, http_directory}) {
    if (auto made = make_directories(directory); !made) return forward(made);
  }
  for (const auto& file : kLoaderFiles) {
    const auto copied = copy_loader(file, files, system_root);
    if (!copied) return forward(copied);
    if (!*copied) files.missing.push_back({file.method, std::string(file.name), std::string(file.package)});
  }
  files.memtest = true;
  for (const auto& file : kMemtestFiles) {
    const auto copied = copy_loader(file, files, system_root);
    if (!copied) return forward(copied);
    files.memtest = files.memtest && *copied;
  }
  if (auto written = write_shared_files(tftp_root, server); !written) return forward(written);
  return files;
}

Status publish_tftp_image(const std::filesystem::path& tftp_root, const std::string& image_id,
                          const std::filesystem::path& image_directory) {
  if (auto good = check_image_id(image_id); !good) return good;
  std::error_code error;
  if (!std::filesystem::is_directory(image_directory, error)) {
    return fail(ErrorCode::not_found, "there is no image directory {}", image_directory.string());
  }
  const auto directory = tftp_root / "images" / image_id;
  if (auto made = make_directories(directory); !made) return made;
  for (const char* name : {"vmlinuz", "initramfs.img"}) {
    if (auto shown = point_link(directory / name, std::filesystem::absolute(image_directory) / name); !shown) {
      return shown;
    }
  }
  return {};
}

Status withdraw_tftp_image(const std::filesystem::path& tftp_root, const std::string& image_id) {
  if (auto good = check_image_id(image_id); !good) return good;
  std::error_code error;
  std::filesystem::remove_all(tftp_root / "images" / image_id, error);  // the links, not what they lead to
  if (error) return fail_errno(error.value(), fmt::format("withdraw the image {}", image_id));
  return {};
}

Status publish_loader_config(const std::filesystem::path& tftp_root, BootMethod method, const std::string& mac,
                             const std::string& text) {
  if (method == BootMethod::ipxe) {
    return fail(ErrorCode::invalid_argument, "iPXE asks the boot server, it has no files of its own");
  }
  auto canonical = mac.empty() ? Result<std::string>(std::string()) : canonical_mac(mac);
  if (!canonical) return forward(canonical);
  const auto path = loader_config_path(tftp_root, method, *canonical);
  if (text.empty() && !mac.empty()) return remove_file(path);
  if (auto made = make_directories(path.parent_path()); !made) return made;
  return write_if_changed(path, text.empty() ? unknown_machine_text(method) : text);
}

std::vector<std::pair<BootMethod, std::string>> loader_configs(const std::filesystem::path& tftp_root) {
  std::vector<std::pair<BootMethod, std::string>> found;
  const auto add = [&](BootMethod method, const std::vector<std::string>& names) {
    for (const auto& name : names) {
      if (auto mac = canonical_mac(name)) found.emplace_back(method, std::move(*mac));
    }
  };
  add(BootMethod::pxelinux, names_in(tftp_root / "pxelinux.cfg", "01-"));
  add(BootMethod::shim, names_in(tftp_root / "grub", "grub.cfg-01-"));
  return found;
}

std::vector<std::string> tftp_images(const std::filesystem::path& tftp_root) {
  return names_in(tftp_root / "images", "");
}

}  // namespace bridgehead::netboot
