#include "netboot/initramfs/firmware.h"

#include <optional>

#include "netboot/initramfs/compression.h"
#include "netboot/initramfs/lines.h"

namespace bridgehead::netboot {
namespace {

constexpr Bytes kFirmwareLimit = 64_MiB;

// Drivers that have no link without their firmware. The others run with what is in the NIC, or with fewer abilities.
constexpr std::string_view kNeedFirmware[] = {"bnx2", "bnx2x", "qed", "qede", "nfp", "liquidio", "cxgb3"};

bool is_firmware_name(std::string_view name) {
  if (name.empty() || name.front() == '/' || name.find_first_of("*?[") != std::string_view::npos) return false;
  for (const char c : name) {
    if (c < ' ' || c == 0x7f) return false;
  }
  for (const auto part : split(name, '/')) {
    if (part == "." || part == "..") return false;
  }
  return name.find("//") == std::string_view::npos;
}

// The order of the kernel's loader: drivers/base/firmware_loader/main.c, fw_path.
std::optional<std::string> find_firmware(const RootTree& tree, const std::string& version, const std::string& name) {
  for (const auto& directory : {"updates/" + version + "/", std::string("updates/"), version + "/", std::string()}) {
    for (const auto* base : {"usr/lib/firmware/", "lib/firmware/"}) {
      for (const auto* ending : {"", ".zst", ".xz"}) {
        auto path = base + directory + name + ending;
        if (tree.is_file(path)) return path;
      }
    }
  }
  return std::nullopt;
}

// The decompressed file, or nothing where the tree hasn't got it.
Result<std::optional<std::string>> read_firmware(const RootTree& tree, const std::string& version,
                                                 const std::string& name) {
  const auto path = is_firmware_name(name) ? find_firmware(tree, version, name) : std::nullopt;
  if (!path) return std::nullopt;
  const auto bytes = tree.read(*path, kFirmwareLimit);
  if (!bytes) return forward(bytes);
  // A file's own name may end in .xz: then it is taken as it is.
  const auto packed = path->ends_with("/" + name) ? InitramfsCompression::none : compression_of(*path);
  auto content = decompress(*bytes, packed, kFirmwareLimit, *path);
  if (!content) return forward(content);
  return std::move(*content);
}

std::string no_link(std::string_view driver) {
  const auto package = driver == "qed" || driver == "qede" ? "qlogic"
                       : driver == "liquidio"              ? "cavium"
                       : driver == "nfp"                   ? "netronome"
                                                           : driver;
  return fmt::format(
      "NICs of driver {} get no link: the tree has none of its firmware. Install it in the tree (Debian: firmware-{}, "
      "in "
      "non-free-firmware; others: linux-firmware).",
      driver, package);
}

}  // namespace

Result<Firmware> collect_firmware(const RootTree& tree, const std::string& kernel_version, const ModuleSet& modules,
                                  const std::vector<std::string>& asked_for) {
  Firmware firmware;
  std::set<std::string> without;  // drivers that have none of theirs
  for (const auto& [name, module] : modules.modules()) {
    std::size_t found = 0;
    for (const auto& file : module.info.firmware) {
      auto content = read_firmware(tree, kernel_version, file);
      if (!content) return forward(content);
      if (!*content) {
        firmware.missing.push_back(fmt::format("{} ({})", file, name));
        continue;
      }
      firmware.files[file] = std::move(**content);
      ++found;
    }
    if (found == 0 && !module.info.firmware.empty()) without.insert(name);
  }
  for (const auto needed : kNeedFirmware) {
    const std::string name(needed);
    const auto is_it = [&](const std::string& asked) {
      const auto module = modules.modules().find(module_name(asked));
      if (module == modules.modules().end()) return false;
      const auto& needs = module->second.needs;
      return module->first == name || std::find(needs.begin(), needs.end(), name) != needs.end();
    };
    if (without.contains(name) && std::any_of(asked_for.begin(), asked_for.end(), is_it)) {
      firmware.warnings.push_back(no_link(name));
    }
  }
  return firmware;
}

}  // namespace bridgehead::netboot
