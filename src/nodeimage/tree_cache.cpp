#include "nodeimage/tree_cache.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <thread>

#include "base/file.h"
#include "nodeimage/digest.h"
#include "nodeimage/tree.h"

namespace bridgehead::nodeimage {

namespace fs = std::filesystem;

namespace {

std::optional<InitramfsSummary> read_summary(const fs::path& image, const fs::path& description) {
  const auto text = read_file(description, 16_MiB);
  const auto hashed = hash_file(image);
  if (!text || !hashed) return std::nullopt;
  try {
    const auto value = nlohmann::json::parse(*text);
    if (value.at("sha256") != hashed->sha256) return std::nullopt;
    return InitramfsSummary{value.at("kernel_version"), value.at("kernel").get<std::string>(),
                            value.at("warnings").get<std::vector<std::string>>(), value.at("report")};
  } catch (const nlohmann::json::exception&) {
    return std::nullopt;
  }
}

Status keep_summary(const fs::path& image, const fs::path& description, const InitramfsSummary& summary) {
  const auto hashed = hash_file(image);
  if (!hashed) return forward(hashed);
  const nlohmann::json value{{"sha256", hashed->sha256},
                             {"kernel_version", summary.kernel_version},
                             {"kernel", summary.kernel.native()},
                             {"warnings", summary.warnings},
                             {"report", summary.report}};
  return write_file_atomic(description, value.dump());
}

}  // namespace

InitramfsMaker cached_maker(const CachedTree& cached, InitramfsMaker maker, const std::string& key) {
  const std::string name = (cached.directory / ("initramfs-" + sha256_of(key).substr(0, 32))).native();
  return [image = fs::path(name + ".img"), description = fs::path(name + ".json"), maker = std::move(maker)](
             const fs::path& tree, const fs::path& output) -> Result<InitramfsSummary> {
    if (auto known = read_summary(image, description)) {
      if (auto linked = link_or_copy(image, output); !linked) return forward(linked);
      return std::move(*known);
    }
    auto summary = maker(tree, output);
    if (!summary) return summary;
    if (auto removed = remove_file(image); !removed) return forward(removed);
    if (auto linked = link_or_copy(output, image); !linked) return forward(linked);
    if (auto kept = keep_summary(image, description, *summary); !kept) return forward(kept);
    return summary;
  };
}

Status link_or_copy(const fs::path& from, const fs::path& to) {
  if (::link(from.c_str(), to.c_str()) == 0) return {};
  std::error_code failed;
  fs::copy_file(from, to, failed);
  if (failed) return fail_errno(failed.value(), fmt::format("copy {} to {}", from.native(), to.native()));
  return {};
}

Result<UniqueFd> TreeCache::lock(const std::string& key, const std::stop_token& stop) const {
  if (auto made = make_directories(directory_, 0700); !made) return forward(made);
  auto fd = open_file(directory_ / (key + ".lock"), O_RDWR | O_CREAT);
  if (!fd) return fd;
  while (::flock(fd->get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK && errno != EINTR) return fail_errno(errno, "lock the cache of node images");
    if (stop.stop_requested()) return fail(ErrorCode::cancelled, "the build was cancelled");
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  return fd;
}

std::optional<CachedTree> TreeCache::find(const std::string& key, const std::stop_token& stop) const {
  const fs::path entry = directory_ / key;
  auto manifest = read_manifest(entry / kManifestFile);
  if (!manifest) return std::nullopt;
  for (const auto& [name, digest] : manifest->files) {
    const auto hashed = hash_file(entry / name, stop);
    if (!hashed || hashed->sha256 != digest.sha256) return std::nullopt;
  }
  std::error_code ignored;
  if (!fs::is_directory(entry / "tree", ignored)) return std::nullopt;
  ::utimensat(AT_FDCWD, entry.c_str(), nullptr, 0);  // used now
  return CachedTree{entry, std::move(*manifest)};
}

Result<CachedTree> TreeCache::put(const std::string& key, const fs::path& built) {
  const fs::path entry = directory_ / key;
  auto manifest = read_manifest(built / kManifestFile);
  if (!manifest) return forward(manifest);
  if (auto removed = remove_tree(entry); !removed) return forward(removed);
  if (::rename(built.c_str(), entry.c_str()) != 0) {
    return fail_errno(errno, fmt::format("move {} to {}", built.native(), entry.native()));
  }
  ::utimensat(AT_FDCWD, entry.c_str(), nullptr, 0);
  remove_oldest();
  return CachedTree{entry, std::move(*manifest)};
}

Status TreeCache::remove(const std::string& key) const { return remove_tree(directory_ / key); }

void TreeCache::remove_oldest() const {
  std::vector<std::pair<fs::file_time_type, fs::path>> entries;
  for (const auto& path : list_directory(directory_).value_or(std::vector<fs::path>())) {
    std::error_code ignored;
    if (is_sha256(path.filename().native())) entries.emplace_back(fs::last_write_time(path, ignored), path);
  }
  std::sort(entries.rbegin(), entries.rend());
  for (std::size_t i = kEntries; i < entries.size(); ++i) {
    const fs::path file = entries[i].second.native() + ".lock";
    const auto fd = open_file(file, O_RDWR | O_CREAT);
    // In use by somebody: it goes another time. The lock's file stays, so that nobody waits on one that is gone.
    if (!fd || ::flock(fd->get(), LOCK_EX | LOCK_NB) != 0) continue;
    (void)remove_tree(entries[i].second);
  }
}

}  // namespace bridgehead::nodeimage
