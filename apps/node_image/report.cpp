#include "report.h"

#include <unistd.h>

#include <cstdio>

namespace bridgehead::node_image {
namespace {

std::string_view name_of(nodeimage::FileChange::Kind kind) {
  using Kind = nodeimage::FileChange::Kind;
  switch (kind) {
    case Kind::added: return "added";
    case Kind::removed: return "removed";
    case Kind::content: return "content";
    case Kind::metadata: return "metadata";
  }
  return "";
}

nlohmann::json diff_json(const nodeimage::ImageDiff& diff) {
  auto packages = nlohmann::json::array();
  for (const auto& package : diff.packages) {
    packages.push_back({{"name", package.name}, {"from", package.from}, {"to", package.to}});
  }
  auto files = nlohmann::json::array();
  for (const auto& file : diff.files) {
    files.push_back({{"path", file.path},
                     {"change", name_of(file.kind)},
                     {"size_from", file.size_from},
                     {"size_to", file.size_to}});
  }
  return {{"kernel_from", diff.kernel_from}, {"kernel_to", diff.kernel_to}, {"packages", packages}, {"files", files}};
}

}  // namespace

int complain(const Error& error) {
  fmt::print(stderr, "bridgehead-node-image: {}\n", error.describe());
  return error.code == ErrorCode::invalid_argument ? 2 : 1;
}

ProgressSink progress_line() {
  const bool terminal = ::isatty(STDERR_FILENO) == 1;
  return [terminal, last = std::make_shared<Progress>()](const Progress& progress) {
    if (progress == *last) return;
    if (terminal) {
      fmt::print(stderr, "\r{:12} {:3} %\033[K{}", progress.phase, progress.done,
                 progress.phase == "compress" && progress.done == 100 ? "\n" : "");
    } else if (progress.phase != last->phase) {
      fmt::print(stderr, "{}\n", progress.phase);
    }
    *last = progress;
  };
}

void show_image(const nodeimage::Manifest& manifest, const std::filesystem::path& directory, double seconds,
                bool json) {
  if (json) {
    auto value = nodeimage::to_json(manifest);
    value["seconds"] = seconds;
    value["directory"] = directory.native();
    fmt::print("{}\n", value.dump(2));
    return;
  }
  fmt::print("{}: {} for {}, kernel {}, {} packages, made in {:.0f} s\n", directory.native(),
             manifest.os.empty() ? "unknown system" : manifest.os, manifest.role, manifest.kernel_version,
             manifest.packages.size(), seconds);
  for (const auto& [name, digest] : manifest.files) {
    fmt::print("  {:14} {:>10}  {}\n", name, digest.size.human(), digest.sha256);
  }
  fmt::print("  root unpacked: {} in {} files\n", manifest.tree_size.human(), manifest.tree_entries);
  for (const auto& note : manifest.notes) fmt::print("note: {}\n", note);
}

void show_diff(const nodeimage::ImageDiff& diff, bool json) {
  if (json) {
    fmt::print("{}\n", diff_json(diff).dump(2));
    return;
  }
  if (diff.kernel_from != diff.kernel_to) fmt::print("kernel {} -> {}\n", diff.kernel_from, diff.kernel_to);
  for (const auto& package : diff.packages) {
    if (package.from.empty()) {
      fmt::print("+ {} {}\n", package.name, package.to);
    } else if (package.to.empty()) {
      fmt::print("- {} {}\n", package.name, package.from);
    } else {
      fmt::print("  {} {} -> {}\n", package.name, package.from, package.to);
    }
  }
  for (const auto& file : diff.files) {
    fmt::print("{:8} {} ({} -> {})\n", name_of(file.kind), file.path, file.size_from, file.size_to);
  }
  if (diff.packages.empty() && diff.files.empty() && diff.kernel_from == diff.kernel_to) fmt::print("no difference\n");
}

}  // namespace bridgehead::node_image
