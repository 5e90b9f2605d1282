#include "upgrade_desk/package_shelf.h"

#include <algorithm>

#include "base/file.h"
#include "pki/tokens.h"
#include "reconcile/agent_versions.h"
#include "upgrade_desk/messages.h"

namespace bridgehead::upgrade_desk {
namespace {

constexpr std::size_t kKept = 4;  // the one that came last, and three before it
constexpr Bytes kLargest = 256_MiB;

// bridgehead-agent_0.2.0_amd64.deb: 0.2.0; "" = it isn't named so.
std::string version_of(const std::filesystem::path& path) {
  const auto name = path.filename().string();
  const auto begin = std::string(model::kAgentPackage) + "_";
  const auto end = name.find('_', begin.size());
  if (!name.starts_with(begin) || path.extension() != ".deb" || end == std::string::npos) return {};
  return name.substr(begin.size(), end - begin.size());
}

std::vector<std::filesystem::path> packages_in(const std::filesystem::path& directory) {
  auto found = list_directory(directory);
  if (!found) return {};
  std::erase_if(*found, [](const auto& path) { return version_of(path).empty(); });
  return std::move(*found);
}

Status keep(const std::filesystem::path& package, const std::filesystem::path& directory) {
  const auto content = read_file(package, kLargest);
  if (!content) return forward(content);
  const auto copy = directory / package.filename();
  const auto there = read_file(copy, kLargest);
  if (there && *there == *content) return {};
  return write_file_atomic(copy, *content);
}

// The oldest that came go; what came is as new as its copy.
void trim(const std::filesystem::path& directory) {
  auto all = packages_in(directory);
  std::error_code unknown;
  std::sort(all.begin(), all.end(), [&](const auto& a, const auto& b) {
    return std::filesystem::last_write_time(a, unknown) > std::filesystem::last_write_time(b, unknown);
  });
  for (std::size_t i = kKept; i < all.size(); ++i) (void)remove_file(all[i]);
}

}  // namespace

PackageShelf PackageShelf::open(const std::filesystem::path& carried, const std::filesystem::path& kept) {
  PackageShelf shelf;
  const auto came = packages_in(carried);
  Status done = make_directories(kept, 0700);
  for (const auto& package : came) {
    if (done) done = keep(package, kept);
    const auto version = version_of(package);
    if (shelf.carried_version_.empty() || reconcile::is_older(shelf.carried_version_, version)) {
      shelf.carried_version_ = version;
    }
  }
  if (!done) log::warning(package_not_kept, "{}", done.error().describe());
  trim(kept);
  for (const auto& package : packages_in(kept)) shelf.take(package);
  for (const auto& package : came) shelf.take(package);  // where it was trimmed or couldn't be kept
  return shelf;
}

void PackageShelf::take(const std::filesystem::path& path) {
  const auto content = read_file(path, kLargest);
  if (!content) {
    log::warning(package_not_kept, "{}", content.error().describe());
    return;
  }
  Package package;
  package.version = version_of(path);
  package.size = content->size();
  package.sha256 = pki::sha256_hex(*content);
  package.path = path;
  packages_.try_emplace(package.version, std::move(package));
}

std::optional<PackageShelf::Package> PackageShelf::find(const std::string& version) const {
  const auto found = packages_.find(version);
  return found == packages_.end() ? std::nullopt : std::optional(found->second);
}

}  // namespace bridgehead::upgrade_desk
