#include "nodeimage/store.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/file.h"
#include "base/log.h"
#include "nodeimage/blobs.h"
#include "nodeimage/digest.h"
#include "nodeimage/tree.h"

namespace bridgehead::nodeimage {
namespace {

namespace fs = std::filesystem;

constexpr log::Message image_damaged{"NODE_IMAGE_DAMAGED",
                                     "A node image in the store has no readable manifest and is left out. Remove its "
                                     "directory, or restore it from a backup."};

constexpr std::string_view kVersionsFile = "versions.json";

Result<std::vector<TreeEntry>> read_list(const fs::path& file) {
  const auto text = read_file(file, 256_MiB);
  if (!text) return forward(text);
  return parse_list(*text);
}

}  // namespace

struct ImageStore::State {
  explicit State(fs::path where) : directory(std::move(where)), blobs(directory / "blobs") {}

  fs::path images() const { return directory / "images"; }
  fs::path tmp() const { return directory / "tmp"; }
  Result<std::map<std::string, std::uint32_t>> highest_versions() const;
  std::vector<Manifest> read_all() const;
  Status share(const fs::path& staged, const Manifest& manifest) const;

  fs::path directory;
  Blobs blobs;
  UniqueFd lock;
  mutable std::mutex mutex;
};

bool is_name_part(std::string_view text) {
  return !text.empty() && text.size() <= 63 && text[0] != '-' && text[0] != '.' &&
         text.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789.-") == std::string_view::npos;
}

ImageStore::ImageStore(std::unique_ptr<State> state) : state_(std::move(state)) {}
ImageStore::ImageStore(ImageStore&&) noexcept = default;
ImageStore& ImageStore::operator=(ImageStore&&) noexcept = default;
ImageStore::~ImageStore() = default;

Result<ImageStore> ImageStore::open(const fs::path& directory) {
  auto state = std::make_unique<State>(directory);
  // 0711: those that serve the files come in by name; device files and set-user-ID programs of trees lie deeper, in
  // directories that only root enters.
  for (const auto& [path, mode] : {std::pair{directory, 0711}, std::pair{state->images(), 0711},
                                   std::pair{directory / "blobs", 0700}, std::pair{state->tmp(), 0700}}) {
    if (auto made = make_directories(path, static_cast<mode_t>(mode)); !made) return forward(made);
  }
  auto lock = open_file(directory / "lock", O_RDWR | O_CREAT);
  if (!lock) return forward(lock);
  if (::flock(lock->get(), LOCK_EX | LOCK_NB) != 0) {
    return fail_with_hint(ErrorCode::failed_precondition,
                          fmt::format("another process has the node images in {}", directory.native()),
                          "Use the manager that has them (bh node-image), or stop it first.");
  }
  state->lock = std::move(*lock);
  const auto temporary = list_directory(state->tmp());
  if (!temporary) return forward(temporary);
  for (const auto& path : *temporary) {
    if (!path.filename().native().starts_with("removed.")) continue;
    if (auto done = remove_tree(path); !done) return forward(done);
  }
  return ImageStore(std::move(state));
}

fs::path image_directory(const fs::path& directory, const model::NodeImageId& id) {
  return directory / "images" / id.str();
}

fs::path root_file(const fs::path& image_directory) {
  std::error_code ignored;
  const auto old = image_directory / kOldRootFile;
  return fs::exists(old, ignored) ? old : image_directory / kRootFile;
}

const fs::path& ImageStore::directory() const { return state_->directory; }
fs::path ImageStore::temporary() const { return state_->tmp(); }
fs::path ImageStore::path(const model::NodeImageId& id) const { return image_directory(state_->directory, id); }
fs::path ImageStore::file(const model::NodeImageId& id, std::string_view name) const { return path(id) / name; }

std::vector<Manifest> ImageStore::State::read_all() const {
  std::vector<Manifest> found;
  for (const auto& image : list_directory(images()).value_or(std::vector<fs::path>())) {
    auto manifest = read_manifest(image / kManifestFile);
    if (!manifest) {
      log::warning(image_damaged, "{}: {}", image.native(), manifest.error().message);
    } else {
      found.push_back(std::move(*manifest));
    }
  }
  std::sort(found.begin(), found.end(), [](const Manifest& a, const Manifest& b) {
    return std::tie(a.base, a.version) < std::tie(b.base, b.version);
  });
  return found;
}

Result<std::map<std::string, std::uint32_t>> ImageStore::State::highest_versions() const {
  std::map<std::string, std::uint32_t> highest;
  const auto text = read_file(directory / kVersionsFile, 4_MiB);
  if (!text && text.error().code != ErrorCode::not_found) return forward(text);
  if (text) {
    const auto value = nlohmann::json::parse(*text, nullptr, false);
    if (!value.is_object()) return fail(ErrorCode::data_corrupt, "{} is damaged", (directory / kVersionsFile).native());
    for (const auto& [name, version] : value.items()) {
      if (version.is_number_unsigned()) highest[name] = version.get<std::uint32_t>();
    }
  }
  for (const auto& manifest : read_all()) {
    highest[manifest.base] = std::max(highest[manifest.base], manifest.version);
  }
  return highest;
}

Result<std::uint32_t> ImageStore::next_version(std::string_view base) const {
  const std::lock_guard lock(state_->mutex);
  auto highest = state_->highest_versions();
  if (!highest) return forward(highest);
  return (*highest)[std::string(base)] + 1;
}

Status ImageStore::State::share(const fs::path& staged, const Manifest& manifest) const {
  for (const auto& [name, digest] : manifest.files) {
    struct stat status {};
    if (::lstat((staged / name).c_str(), &status) != 0 || !S_ISREG(status.st_mode) ||
        static_cast<std::uint64_t>(status.st_size) != digest.size.count()) {
      return fail(ErrorCode::data_corrupt, "the image's {} is not what its manifest says", name);
    }
    if (auto shared = blobs.share_file(staged / name, digest.sha256); !shared) return shared;
  }
  if (!manifest.has_tree) return {};
  const auto entries = read_list(staged / kListFile);
  if (!entries) return forward(entries);
  return blobs.share_tree(staged / kTreeDirectory, *entries);
}

Result<Manifest> ImageStore::publish(StagedImage staged, const model::NodeImageId& id, const std::string& base,
                                     std::uint32_t version) {
  if (!is_uuid(id.str())) return fail(ErrorCode::invalid_argument, "'{}' is not an image's id", id);
  if (!is_name_part(base)) {
    return fail(ErrorCode::invalid_argument, "'{}' is not a name for node images: a-z, 0-9, '.' and '-', at most 63",
                base);
  }
  const std::lock_guard lock(state_->mutex);
  auto highest = state_->highest_versions();
  if (!highest) return forward(highest);
  Manifest manifest = staged.manifest();
  manifest.id = id;
  manifest.base = base;
  manifest.version = version != 0 ? version : (*highest)[base] + 1;
  manifest.name = fmt::format("{}:{}", base, manifest.version);
  for (const auto& other : state_->read_all()) {
    if (other.id == id || other.name == manifest.name) {
      return fail(ErrorCode::already_exists, "there is already a node image {} ({})", other.name, other.id);
    }
  }
  if (auto shared = state_->share(staged.directory(), manifest); !shared) return forward(shared);
  const fs::path file = staged.directory() / kManifestFile;
  if (auto written = write_file_atomic(file, to_json(manifest).dump(1) + "\n", 0444); !written) return forward(written);
  // Remembered before it is there: a version is never given twice, whatever is removed.
  (*highest)[base] = std::max((*highest)[base], manifest.version);
  const auto versions =
      write_file_atomic(state_->directory / kVersionsFile, nlohmann::json(*highest).dump() + "\n", 0644);
  if (!versions) return forward(versions);
  const auto fd = open_file(staged.directory(), O_RDONLY | O_DIRECTORY);
  if (!fd) return forward(fd);
  if (::fchmod(fd->get(), 0711) != 0) return fail_errno(errno, staged.directory().native());
  if (manifest.has_tree && ::syncfs(fd->get()) != 0) return fail_errno(errno, staged.directory().native());
  if (::fsync(fd->get()) != 0) return fail_errno(errno, staged.directory().native());
  if (::rename(staged.directory().c_str(), path(id).c_str()) != 0) {
    return fail_errno(errno, fmt::format("publish {}", path(id).native()));
  }
  staged.release();
  if (auto synced = sync_directory(state_->images()); !synced) return forward(synced);
  return manifest;
}

Result<std::vector<Manifest>> ImageStore::list() const {
  const std::lock_guard lock(state_->mutex);
  return state_->read_all();
}

Result<Manifest> ImageStore::get(const model::NodeImageId& id) const {
  if (!is_uuid(id.str())) return fail(ErrorCode::not_found, "there is no node image with the id '{}'", id);
  auto manifest = read_manifest(file(id, kManifestFile));
  if (!manifest && manifest.error().code == ErrorCode::not_found) {
    return fail(ErrorCode::not_found, "there is no node image with the id '{}'", id);
  }
  return manifest;
}

Result<Manifest> ImageStore::find(std::string_view name) const {
  const std::lock_guard lock(state_->mutex);
  std::optional<Manifest> newest;
  for (auto& manifest : state_->read_all()) {
    if (manifest.name == name || manifest.base == name) newest = std::move(manifest);  // sorted by version
  }
  if (!newest) return fail(ErrorCode::not_found, "there is no node image '{}'", name);
  return std::move(*newest);
}

Status ImageStore::remove(const model::NodeImageId& id) {
  if (!is_uuid(id.str())) return {};
  const std::lock_guard lock(state_->mutex);
  const fs::path gone = state_->tmp() / ("removed." + id.str());
  if (auto done = remove_tree(gone); !done) return done;
  if (::rename(path(id).c_str(), gone.c_str()) != 0) {
    return errno == ENOENT ? Status{} : fail_errno(errno, fmt::format("remove {}", path(id).native()));
  }
  if (auto synced = sync_directory(state_->images()); !synced) return synced;
  return remove_tree(gone);
}

Result<GcReport> ImageStore::gc() {
  const std::lock_guard lock(state_->mutex);
  std::set<std::string> referenced;
  const auto images = list_directory(state_->images());
  if (!images) return forward(images);
  for (const auto& image : *images) {
    // One damaged manifest must not cost the files of a good image.
    const auto manifest = read_manifest(image / kManifestFile);
    if (!manifest) {
      return fail_with_hint(ErrorCode::failed_precondition,
                            fmt::format("nothing was removed: {}", manifest.error().message),
                            "Remove that image first.");
    }
    for (const auto& [name, digest] : manifest->files) referenced.insert(digest.sha256);
  }
  GcReport report;
  if (auto done = state_->blobs.collect(referenced, report.files, report.freed); !done) return forward(done);
  return report;
}

Status ImageStore::verify(const model::NodeImageId& id, const ProgressSink& progress, std::stop_token stop) const {
  const auto manifest = get(id);
  if (!manifest) return forward(manifest);
  std::uint64_t done = 0;
  std::uint64_t total = 0;
  for (const auto& [name, digest] : manifest->files) total += digest.size.count();
  const auto differs = [&](std::string_view name, std::string_view why) {
    return fail_with_hint(ErrorCode::data_corrupt, fmt::format("{} of {} {}", name, manifest->name, why),
                          "Build the image again, and remove this one.");
  };
  for (const auto& [name, digest] : manifest->files) {
    const auto hashed = hash_file(file(id, name), stop);
    if (!hashed) return forward(hashed);
    if (hashed->sha256 != digest.sha256) return differs(name, "has other content than when it was made");
    done += digest.size.count();
    if (progress) progress({"verify", done, total});
  }
  if (!manifest->has_tree) return {};
  const auto wanted = read_list(file(id, kListFile));
  if (!wanted) return forward(wanted);
  const auto found = list_tree(file(id, kTreeDirectory));
  if (!found) return forward(found);
  const auto [left, right] = std::mismatch(wanted->begin(), wanted->end(), found->begin(), found->end());
  if (left == wanted->end() && right == found->end()) return {};
  // Both are sorted: what comes first is what is missing, added or changed.
  const bool missing = right == found->end() || (left != wanted->end() && left->path <= right->path);
  return differs(fmt::format("root{}", missing ? left->path : right->path), "differs from the list");
}

Result<ImageDiff> ImageStore::diff(const model::NodeImageId& from, const model::NodeImageId& to) const {
  const auto old_manifest = get(from);
  if (!old_manifest) return forward(old_manifest);
  const auto new_manifest = get(to);
  if (!new_manifest) return forward(new_manifest);
  const auto old_files = read_list(file(from, kListFile));
  if (!old_files) return forward(old_files);
  const auto new_files = read_list(file(to, kListFile));
  if (!new_files) return forward(new_files);
  return diff_images(*old_manifest, *old_files, *new_manifest, *new_files);
}

}  // namespace bridgehead::nodeimage
