#include "lab/host.h"

#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>

#include "base/file.h"
#include "lab/names.h"

namespace bridgehead::lab {
namespace fs = std::filesystem;
namespace {

constexpr Bytes kQemuItself = 160_MiB;

bool is_program(const fs::path& path) { return ::access(path.c_str(), X_OK) == 0 && !fs::is_directory(path); }

fs::path in_path(std::string_view name) {
  const char* variable = std::getenv("PATH");
  std::string_view left = variable != nullptr ? variable : "";
  while (!left.empty()) {
    const auto colon = std::min(left.find(':'), left.size());
    const auto candidate = fs::path(left.substr(0, colon)) / name;
    if (colon > 0 && is_program(candidate)) return candidate;
    left.remove_prefix(std::min(colon + 1, left.size()));
  }
  // Not in everybody's PATH, and the programs of a lab are root's.
  for (const auto* directory : {"/usr/sbin", "/sbin"}) {
    if (is_program(fs::path(directory) / name)) return fs::path(directory) / name;
  }
  return {};
}

}  // namespace

Status require_root() {
  if (::geteuid() == 0) return {};
  return fail_with_hint(ErrorCode::permission_denied, "a lab needs root: it makes a network namespace and taps",
                        "Repeat it with sudo.");
}

Result<fs::path> find_own_program(std::string_view name) {
  std::error_code error;
  const auto self = fs::read_symlink("/proc/self/exe", error);
  if (!error && is_program(self.parent_path() / name)) return self.parent_path() / name;
  if (auto found = in_path(name); !found.empty()) return found;
  return fail_with_hint(ErrorCode::not_found, fmt::format("{} is neither beside bridgehead-lab nor in PATH", name),
                        "Install Bridgehead's packages, or use --no-manager and no --hosts.");
}

Result<fs::path> find_program(std::string_view name, std::string_view package) {
  if (auto found = in_path(name); !found.empty()) return found;
  return fail_with_hint(ErrorCode::not_found, fmt::format("{} isn't installed", name),
                        fmt::format("Install the package {}.", package));
}

Result<FirmwareImage> find_firmware(Firmware firmware, const fs::path& directory) {
  const std::string keys = firmware == Firmware::uefi_secure ? ".ms" : "";
  FirmwareImage image{directory / fmt::format("OVMF_CODE_4M{}.fd", keys),
                      directory / fmt::format("OVMF_VARS_4M{}.fd", keys)};
  for (const auto& file : {image.code, image.variables}) {
    if (fs::exists(file)) continue;
    return fail_with_hint(ErrorCode::not_found, fmt::format("there is no UEFI firmware {}", file.native()),
                          "Install the package ovmf, or use machines with firmware=bios.");
  }
  return image;
}

Result<Bytes> available_memory(std::string_view meminfo) {
  constexpr std::string_view key = "MemAvailable:";
  const auto at = meminfo.find(key);
  if (at == std::string_view::npos) return fail(ErrorCode::internal, "/proc/meminfo has no MemAvailable");
  return Bytes(std::strtoull(std::string(meminfo.substr(at + key.size(), 32)).c_str(), nullptr, 10) << 10);
}

Status require_memory(const std::vector<Machine>& machines, Bytes available) {
  Bytes wanted;
  for (const auto& machine : machines) wanted += machine.memory + kQemuItself;
  if (wanted <= available) return {};
  return fail_with_hint(ErrorCode::resource_exhausted,
                        fmt::format("{} machines need {} of memory, QEMU's own share included; {} are available",
                                    machines.size(), wanted.human(), available.human()),
                        "Use fewer machines or a smaller --memory.");
}

Status require_nfs_client() {
  const auto known = [] {
    const auto file_systems = read_file("/proc/filesystems");
    return file_systems && file_systems->find("\tnfs4\n") != std::string::npos;
  };
  SystemCommandRunner runner;
  if (known() || (runner.run({.program = "modprobe", .arguments = {"nfsv4"}}) && known())) return {};
  return fail_with_hint(
      ErrorCode::failed_precondition, "this kernel has no NFS client, so hosts can't mount the storage",
      "Use --storage moosefs or cephfs, or machines without disks, which bring a kernel of their own.");
}

Status require_short_paths(const fs::path& directory) {
  const auto longest = Places(directory, "0123456789").serial_socket("0123456789").native().size();
  constexpr auto limit = sizeof(sockaddr_un::sun_path);
  if (longest < limit) return {};
  return fail_with_hint(ErrorCode::invalid_argument,
                        fmt::format("the directory's path {} is too long for the sockets in it", directory.native()),
                        fmt::format("Make it at least {} characters shorter.", longest - limit + 1));
}

}  // namespace bridgehead::lab
