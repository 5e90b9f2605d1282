// Node images on disk, immutable once published:
//   images/<id>/{vmlinuz,initramfs.img,root.squashfs,manifest.json,files.list[,root/]}
//   blobs/<2 hex>/<key>   every file by its content; the images' are hard links to it, so equal files are stored once
//   tmp/                  work in progress (BuilderPaths::work may be this)
// Publication is one rename: an image is whole or not there. Thread-safe; for one process at a time (it holds lock).
// Errors: not_found, already_exists (id or name), failed_precondition (another process has the store), data_corrupt
// (verify; a manifest that isn't ours), io_error, resource_exhausted.
#pragma once

#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.h"
#include "base/progress.h"
#include "base/result.h"
#include "base/units.h"
#include "model/netboot.h"
#include "nodeimage/builder.h"
#include "nodeimage/manifest.h"

namespace bridgehead::nodeimage {

struct PackageChange {
  std::string name;
  std::string from;  // "" = added
  std::string to;    // "" = removed
  bool operator==(const PackageChange&) const = default;
};

struct FileChange {
  enum class Kind { added, removed, content, metadata };
  Kind kind = Kind::content;
  std::string path;
  std::uint64_t size_from = 0;
  std::uint64_t size_to = 0;
  bool operator==(const FileChange&) const = default;
};

struct ImageDiff {
  std::string kernel_from, kernel_to;
  std::vector<PackageChange> packages;  // by name
  std::vector<FileChange> files;        // by path; not the caches and logs that differ between any two builds
  bool operator==(const ImageDiff&) const = default;
};

ImageDiff diff_images(const Manifest& from, const std::vector<TreeEntry>& from_files, const Manifest& to,
                      const std::vector<TreeEntry>& to_files);

struct GcReport {
  std::uint64_t files = 0;
  Bytes freed;
  bool operator==(const GcReport&) const = default;
};

// Of an image's name and of what it is made from: a-z, 0-9, '.' and '-', at most 63, begun by a letter or digit.
bool is_name_part(std::string_view text);

// Where a published image lies in the store in `directory`, for those that only read it: anybody may, by name.
std::filesystem::path image_directory(const std::filesystem::path& directory, const model::NodeImageId& id);
// The packed root in it, by the name that the image has for it.
std::filesystem::path root_file(const std::filesystem::path& image_directory);

class ImageStore {
 public:
  // Makes the directories, takes the lock, removes what a crash left half published.
  static Result<ImageStore> open(const std::filesystem::path& directory);
  ImageStore(ImageStore&&) noexcept;
  ImageStore& operator=(ImageStore&&) noexcept;
  ~ImageStore();

  const std::filesystem::path& directory() const;
  std::filesystem::path temporary() const;                         // BuilderPaths::work
  std::filesystem::path path(const model::NodeImageId& id) const;  // images/<id>
  std::filesystem::path file(const model::NodeImageId& id, std::string_view name) const;

  // The next free version of "debian-12": 1 + the highest that was ever published, removed ones included.
  Result<std::uint32_t> next_version(std::string_view base) const;

  // Gives the image its id, name ("<base>:<version>") and version; 0 = next_version(). The staged directory is used up,
  // whatever comes of it.
  Result<Manifest> publish(StagedImage staged, const model::NodeImageId& id, const std::string& base,
                           std::uint32_t version = 0);

  Result<std::vector<Manifest>> list() const;  // by base and version; damaged ones are logged and left out
  Result<Manifest> get(const model::NodeImageId& id) const;
  Result<Manifest> find(std::string_view name) const;  // "debian-12:3", or "debian-12" for its newest version

  // The caller knows that no machine boots or runs from it. Missing is success.
  Status remove(const model::NodeImageId& id);
  // Removes files that no image has any more.
  Result<GcReport> gc();

  // Reads every byte and compares; names the first file that differs.
  Status verify(const model::NodeImageId& id, const ProgressSink& progress = {}, std::stop_token stop = {}) const;
  Result<ImageDiff> diff(const model::NodeImageId& from, const model::NodeImageId& to) const;

 private:
  struct State;
  explicit ImageStore(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace bridgehead::nodeimage
