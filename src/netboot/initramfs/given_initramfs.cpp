// An initramfs that the tree brings: copied, with the same look at the kernel as for one of ours.
#include <algorithm>

#include "base/file.h"
#include "netboot/initramfs/compression.h"
#include "netboot/initramfs/initramfs.h"
#include "netboot/initramfs/kernel.h"
#include "netboot/initramfs/tree.h"

namespace bridgehead::netboot {
namespace {

using namespace std::string_view_literals;

constexpr Bytes kLargest = 256_MiB;
constexpr Bytes kLargestUnpacked = 768_MiB;
constexpr auto kProgram = "bin/bridgehead-init"sv;

// What follows the archives that aren't compressed: microcode for the processor stands first, in one of its own.
std::string_view after_plain_archives(std::string_view bytes) {
  constexpr auto last = "TRAILER!!!"sv;
  while (bytes.starts_with("070701")) {
    const auto end = bytes.find(last);
    if (end == std::string_view::npos) return {};
    bytes.remove_prefix(end + last.size());
    bytes.remove_prefix(std::min(bytes.find_first_not_of('\0'), bytes.size()));
  }
  return bytes;
}

// None where it is one that we don't read.
std::optional<InitramfsCompression> compression_by_content(std::string_view bytes) {
  if (bytes.empty()) return InitramfsCompression::none;
  if (bytes.starts_with("\x1f\x8b")) return InitramfsCompression::gzip;
  if (bytes.starts_with("\xfd"
                        "7zXZ"))
    return InitramfsCompression::xz;
  if (bytes.starts_with("\x28\xb5\x2f\xfd")) return InitramfsCompression::zstd;
  return std::nullopt;
}

// Without our program in it, machines would end at dracut's question for a root, and nobody would hear of it.
Status look_into(std::string_view bytes, const std::string& file, InitramfsReport& report) {
  const auto compressed = after_plain_archives(bytes);
  const auto compression = compression_by_content(compressed);
  if (!compression) {
    report.warnings.push_back(fmt::format(
        "{} is compressed by neither gzip, xz nor zstd: whether bridgehead-init is in it wasn't looked at.", file));
    return {};
  }
  report.compression = *compression;
  const auto unpacked = decompress(compressed, *compression, kLargestUnpacked, file);
  if (!unpacked) return forward(unpacked);
  report.unpacked_size = Bytes(std::max(unpacked->size(), bytes.size()));
  if (unpacked->find(kProgram) != std::string::npos || bytes.find(kProgram) != std::string::npos) return {};
  return fail_with_hint(
      ErrorCode::failed_precondition, fmt::format("{} has no bridgehead-init in it, so it can't boot a node", file),
      "Make it in the tree with our dracut module: dracut --no-hostonly --add bridgehead FILE VERSION "
      "(docs/netboot.md).");
}

// The kernel that the file's name has: "initramfs-6.1.0-9-amd64.img"; of several the longest.
std::string version_in(const std::string& file, const std::vector<std::string>& versions) {
  std::string found;
  for (const auto& version : versions) {
    if (version.size() > found.size() && file.find(version) != std::string::npos) found = version;
  }
  return found;
}

}  // namespace

Result<InitramfsReport> take_initramfs(InitramfsRequest request, const std::string& file,
                                       const std::filesystem::path& output) {
  const auto tree = RootTree::open(request.tree);
  if (!tree) return forward(tree);
  if (request.kernel_version.empty()) {
    const auto newest = find_kernel(*tree, {});
    if (!newest) return forward(newest);
    request.kernel_version = version_in(file, newest->found);
  }
  const auto checked = check_kernel(request);
  if (!checked) return forward(checked);
  if (auto good = checked->status(); !good) return forward(good);
  const auto bytes = tree->read(file, kLargest);
  if (!bytes) return forward(bytes);

  InitramfsReport report;
  report.kernel_version = checked->version;
  report.kernel = checked->kernel;
  report.file = output;
  report.size = Bytes(bytes->size());
  for (const auto& finding : checked->findings) {
    report.warnings.push_back(fmt::format("{}. {}", finding.message, finding.hint));
  }
  if (auto good = look_into(*bytes, file, report); !good) return forward(good);
  if (auto written = write_file_atomic(output, *bytes, 0644); !written) return forward(written);
  return report;
}

}  // namespace bridgehead::netboot
