// An initramfs that the tree brings: copied, with the same look at the kernel as for one of ours.
#include <algorithm>
#include <cctype>
#include <cstring>
#include <set>

#include "base/file.h"
#include "netboot/initramfs/compression.h"
#include "netboot/initramfs/cpio.h"
#include "netboot/initramfs/initramfs.h"
#include "netboot/initramfs/kernel.h"
#include "netboot/initramfs/tree.h"

namespace bridgehead::netboot {
namespace {

using namespace std::string_view_literals;

constexpr Bytes kLargest = 256_MiB;
constexpr Bytes kLargestUnpacked = 768_MiB;
constexpr auto kProgram = "bin/bridgehead-init"sv;
constexpr auto kModules = "lib/modules/"sv;
constexpr auto kSquashfs = "/kernel/fs/squashfs/squashfs.ko"sv;  // what comes after says how it is compressed

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

// What is in an initramfs, as far as it can be read.
struct Contents {
  std::optional<InitramfsCompression> compression;
  Bytes unpacked_size;
  bool has_program = false;
  bool has_squashfs = false;
  std::set<std::string> kernels;  // whose modules it has
};

// The names come from outside, and some are shown.
bool is_version(std::string_view name) {
  return !name.empty() && name.size() <= 64 && std::all_of(name.begin(), name.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 || std::strchr("._+~-", c) != nullptr;
  });
}

void note_names(const std::vector<std::string_view>& names, Contents& contents) {
  for (auto name : names) {
    contents.has_program = contents.has_program || name.ends_with(kProgram);
    contents.has_squashfs = contents.has_squashfs || name.find(kSquashfs) != std::string_view::npos;
    if (name.starts_with("usr/")) name.remove_prefix(4);
    if (!name.starts_with(kModules)) continue;
    name.remove_prefix(kModules.size());
    name = name.substr(0, name.find('/'));
    if (is_version(name)) contents.kernels.emplace(name);
  }
}

// Microcode for the processor stands first, in an archive of its own that isn't compressed.
Result<Contents> look_into(std::string_view bytes, const std::string& file) {
  Contents contents;
  const auto plain = names_in_cpio(bytes);
  note_names(plain.names, contents);
  contents.compression = compression_by_content(plain.rest);
  if (!contents.compression) return contents;
  const auto unpacked = decompress(plain.rest, *contents.compression, kLargestUnpacked, file);
  if (!unpacked) return forward(unpacked);
  note_names(names_in_cpio(*unpacked).names, contents);
  contents.unpacked_size = Bytes(std::max(unpacked->size(), bytes.size()));
  return contents;
}

// Without our program in it, machines would end at dracut's question for a root, and nobody would hear of it.
Status check_program(const Contents& contents, const std::string& file) {
  if (contents.has_program || !contents.compression) return {};
  return fail_with_hint(
      ErrorCode::failed_precondition, fmt::format("{} has no bridgehead-init in it, so it can't boot a node", file),
      "Make it in the tree with our dracut module: dracut --no-hostonly --add bridgehead FILE VERSION "
      "(docs/netboot.md).");
}

// Our dracut module of before, for roots by EROFS: its machines would fail to mount the root, each time.
Status check_root_module(const Contents& contents, const std::string& file, const RootTree& tree,
                         const std::string& version) {
  if (contents.has_squashfs || !contents.kernels.contains(version)) return {};
  bool is_module = false;
  for (const auto ending : {"", ".xz", ".zst", ".gz"}) {
    is_module = is_module || tree.is_file(fmt::format("{}{}{}{}", kModules, version, kSquashfs, ending));
  }
  if (!is_module) return {};  // built in
  return fail_with_hint(
      ErrorCode::failed_precondition,
      fmt::format("{} lacks the kernel module squashfs, so it can't mount a root by nbd or ram", file),
      "It was made with an older dracut module of ours: install the new one in the tree and make it "
      "again (docs/netboot.md).");
}

// The kernel whose modules are in it; where there are none to tell by (all that is needed is built in, or the
// compression is one that we don't read), the one that the file's name has, of several the longest; "" = no hint.
Result<std::string> kernel_of(const Contents& contents, const std::string& file,
                              const std::vector<std::string>& versions) {
  for (const auto& version : versions) {  // the newest first
    if (contents.kernels.contains(version)) return version;
  }
  if (!contents.kernels.empty()) {
    return fail_with_hint(ErrorCode::failed_precondition,
                          fmt::format("{} has the modules of the kernel {}, which isn't in the tree ({})", file,
                                      *contents.kernels.begin(), fmt::join(versions, ", ")),
                          "Make it for a kernel of the tree: dracut --no-hostonly --add bridgehead FILE VERSION.");
  }
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
  const auto bytes = tree->read(file, kLargest);
  if (!bytes) return forward(bytes);
  const auto contents = look_into(*bytes, file);
  if (!contents) return forward(contents);
  if (auto good = check_program(*contents, file); !good) return forward(good);
  if (request.kernel_version.empty()) {
    const auto newest = find_kernel(*tree, {});
    if (!newest) return forward(newest);
    auto version = kernel_of(*contents, file, newest->found);
    if (!version) return forward(version);
    request.kernel_version = std::move(*version);
  }
  const auto checked = check_kernel(request);
  if (!checked) return forward(checked);
  if (auto good = checked->status(); !good) return forward(good);

  if (auto good = check_root_module(*contents, file, *tree, checked->version); !good) return forward(good);

  InitramfsReport report;
  report.kernel_version = checked->version;
  report.kernel = checked->kernel;
  report.file = output;
  report.size = Bytes(bytes->size());
  report.unpacked_size = contents->unpacked_size;
  report.compression = contents->compression.value_or(InitramfsCompression::none);
  for (const auto& finding : checked->findings) {
    report.warnings.push_back(fmt::format("{}. {}", finding.message, finding.hint));
  }
  if (!contents->compression) {
    report.warnings.push_back(fmt::format(
        "{} is compressed by neither gzip, xz nor zstd: whether bridgehead-init is in it wasn't looked at.", file));
  }
  if (auto written = write_file_atomic(output, *bytes, 0644); !written) return forward(written);
  return report;
}

}  // namespace bridgehead::netboot
