#include "nodeimage/pack.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <map>

#include "base/file.h"
#include "nodeimage/digest.h"
#include "nodeimage/pack_parts.h"
#include "nodeimage/packages.h"
#include "nodeimage/tree.h"
#include "nodeimage/watcher.h"

namespace bridgehead::nodeimage {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

void report(const ProgressSink& progress, std::string_view phase, std::uint64_t percent) {
  if (progress) progress({std::string(phase), percent, 100});
}

Status record(Manifest& manifest, const fs::path& output, std::string_view name, const std::stop_token& stop) {
  const auto hashed = hash_file(output / name, stop);
  if (!hashed) return forward(hashed);
  manifest.files[std::string(name)] = {Bytes(hashed->size), hashed->sha256};
  return {};
}

// "usr/lib/modules 190 MiB, ...": where the bytes are, for a message about too many.
std::string largest_directories(const std::vector<TreeEntry>& entries) {
  std::map<std::string, std::uint64_t> sums;
  for (const auto& entry : entries) {
    std::size_t end = 0;
    for (int depth = 0; depth < 4 && end != std::string::npos; ++depth) end = entry.path.find('/', end + 1);
    if (end == std::string::npos) end = entry.path.rfind('/');
    sums[entry.path.substr(0, end)] += entry.size;
  }
  std::vector<std::pair<std::uint64_t, std::string>> sorted;
  for (const auto& [path, size] : sums) sorted.emplace_back(size, path);
  std::sort(sorted.rbegin(), sorted.rend());
  std::string text;
  for (std::size_t i = 0; i < std::min<std::size_t>(5, sorted.size()); ++i) {
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", sorted[i].second, Bytes(sorted[i].first).human());
  }
  return text;
}

// The kernel's file for a version, or that of the newest version in the tree.
Result<std::string> find_kernel(const Tree& tree, const std::string& version) {
  const auto known_places = [&](const std::string& of) -> std::string {
    for (const auto& path :
         {"/boot/vmlinuz-" + of, "/usr/lib/modules/" + of + "/vmlinuz", "/lib/modules/" + of + "/vmlinuz"}) {
      if (tree.exists(path)) return path;
    }
    return {};
  };
  std::vector<std::string> versions;
  if (!version.empty()) {
    versions.push_back(version);
  } else if (const auto modules = tree.open_directory("/lib/modules")) {
    const auto found = list_directory(fmt::format("/proc/self/fd/{}", modules->get()));
    if (!found) return forward(found);
    for (const auto& path : *found) versions.push_back(path.filename());
    std::sort(versions.begin(), versions.end(),
              [](const auto& a, const auto& b) { return ::strverscmp(a.c_str(), b.c_str()) > 0; });
  }
  for (const auto& candidate : versions) {
    if (auto path = known_places(candidate); !path.empty()) return path;
  }
  return fail_with_hint(ErrorCode::not_found, "the tree has no kernel (/boot/vmlinuz-*, /lib/modules/*/vmlinuz)",
                        "Images of containers come without one: add the distribution's kernel package.");
}

Status copy_kernel(const Tree& tree, const std::string& kernel, const fs::path& target) {
  const auto source = tree.open_file(kernel);
  if (!source) return forward(source);
  std::error_code failed;
  fs::copy_file(fmt::format("/proc/self/fd/{}", source->get()), target, failed);
  if (failed) return fail_errno(failed.value(), fmt::format("copy the kernel to {}", target.native()));
  return {};
}

}  // namespace

Command squashfs_command(const fs::path& tree, const fs::path& output) {
  // No times, so that the same tree gives the same bytes; blocks of 8 KiB: a page that is missing brings its whole
  // block over the network. Larger ones bring more of what isn't wanted than they compress better. Level 12: 15 takes
  // two thirds longer for one per cent.
  return {.program = "mksquashfs",
          .arguments = {tree.native(), output.native(), "-comp", "zstd", "-Xcompression-level", "12", "-b", "8192",
                        "-all-time", "0", "-mkfs-time", "0", "-noappend", "-no-progress", "-quiet"},
          .timeout = 60min};
}

Status pack_root(CommandRunner& runner, const fs::path& tree, const fs::path& output, Bytes limit, Manifest& manifest,
                 const ProgressSink& progress, std::stop_token stop) {
  const auto inside = Tree::open(tree);
  if (!inside) return forward(inside);
  report(progress, kPhaseList, 0);
  const auto entries = list_tree(tree);
  if (!entries) return forward(entries);
  manifest.os = os_name(*inside);
  auto installed = installed_packages(*inside, manifest.notes);
  manifest.packages_from = installed.from;
  manifest.packages = std::move(installed.packages);
  manifest.tree_entries = entries->size();
  for (const auto& entry : *entries) manifest.tree_size += Bytes(entry.size);
  if (auto written = write_file_atomic(output / kListFile, format_list(*entries), 0644); !written) return written;
  report(progress, kPhaseList, 100);

  const fs::path root = output / kRootFile;
  {
    const Watcher watcher([&] {
      std::error_code missing;
      const auto size = fs::file_size(root, missing);
      // Trees shrink to about 45 percent.
      const std::uint64_t expected = manifest.tree_size.count() * 45 / 100 + 1;
      if (!missing) report(progress, kPhaseCompress, std::min<std::uint64_t>(99, size * 100 / expected));
    });
    if (const auto made = runner.run(squashfs_command(tree, root), stop); !made) return forward(made);
  }
  if (::chmod(root.c_str(), 0644) != 0) return fail_errno(errno, root.native());
  for (const auto name : {kRootFile, kListFile}) {
    if (auto done = record(manifest, output, name, stop); !done) return done;
  }
  if (auto fits = check_root_limit(manifest, limit, *entries); !fits) return fits;
  report(progress, kPhaseCompress, 100);
  return {};
}

Status check_root_limit(const Manifest& manifest, Bytes limit, const std::vector<TreeEntry>& entries) {
  const Bytes size = manifest.files.at(std::string(kRootFile)).size;
  if (limit.count() == 0 || size <= limit) return {};
  return fail_with_hint(
      ErrorCode::resource_exhausted,
      fmt::format("the compressed root is {}, more than the limit of {}", size.human(), limit.human()),
      fmt::format("The largest parts: {}. Exclude what nodes don't need, or raise root_limit.",
                  largest_directories(entries)));
}

Status pack_boot(const fs::path& tree, const fs::path& output, const InitramfsMaker& initramfs, Manifest& manifest,
                 const ProgressSink& progress, std::stop_token stop) {
  require(static_cast<bool>(initramfs), "a node image needs an initramfs maker");
  const auto inside = Tree::open(tree);
  if (!inside) return forward(inside);
  report(progress, kPhaseInitramfs, 0);
  const auto summary = initramfs(tree, output / kInitramfsFile);
  if (!summary) return forward(summary);
  auto kernel = summary->kernel.empty() ? find_kernel(*inside, summary->kernel_version)
                                        : Result<std::string>(summary->kernel.native());
  if (!kernel) return forward(kernel);
  if (auto copied = copy_kernel(*inside, *kernel, output / kKernelFile); !copied) return copied;
  for (const auto name : {kKernelFile, kInitramfsFile}) {
    if (::chmod((output / name).c_str(), 0644) != 0) return fail_errno(errno, (output / name).native());
    if (auto done = record(manifest, output, name, stop); !done) return done;
  }
  manifest.kernel_version = summary->kernel_version;
  if (manifest.kernel_version.empty()) {
    const auto dash = kernel->find("vmlinuz-");
    if (dash != std::string::npos) manifest.kernel_version = kernel->substr(dash + 8);
  }
  manifest.notes.insert(manifest.notes.end(), summary->warnings.begin(), summary->warnings.end());
  manifest.initramfs = summary->report;
  report(progress, kPhaseInitramfs, 100);
  return {};
}

Status write_manifest(const Manifest& manifest, const fs::path& output) {
  return write_file_atomic(output / kManifestFile, to_json(manifest).dump(1) + "\n", 0644);
}

Result<Manifest> pack(CommandRunner& runner, const fs::path& tree, const fs::path& output, const PackOptions& options,
                      const InitramfsMaker& initramfs, const ProgressSink& progress, std::stop_token stop) {
  Manifest manifest;
  manifest.role = options.role;
  manifest.source = options.source;
  manifest.has_tree = options.keep_tree;
  manifest.created = SystemClock().now();
  // First what fails soonest: a tree without a kernel, a kernel without a driver.
  if (auto done = pack_boot(tree, output, initramfs, manifest, progress, stop); !done) return forward(done);
  if (auto done = pack_root(runner, tree, output, options.root_limit, manifest, progress, stop); !done) {
    return forward(done);
  }
  if (auto done = write_manifest(manifest, output); !done) return forward(done);
  if (options.keep_tree && ::rename(tree.c_str(), (output / kTreeDirectory).c_str()) != 0) {
    return fail_errno(errno, fmt::format("move {} to {}", tree.native(), output.native()));
  }
  return manifest;
}

}  // namespace bridgehead::nodeimage
