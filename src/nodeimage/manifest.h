// What a node image is made of: manifest.json (small) and files.list (one line a file). Plain values; thread-safe.
// Errors: data_corrupt (not what we write), and those of reading files.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "base/units.h"
#include "model/netboot.h"

namespace bridgehead::nodeimage {

inline constexpr std::string_view kKernelFile = "vmlinuz";
inline constexpr std::string_view kInitramfsFile = "initramfs.img";
inline constexpr std::string_view kRootFile = "root.squashfs";
inline constexpr std::string_view kOldRootFile = "root.erofs";  // of images made before; their initramfs mounts it
inline constexpr std::string_view kManifestFile = "manifest.json";
inline constexpr std::string_view kListFile = "files.list";
inline constexpr std::string_view kTreeDirectory = "root";  // for nfs

struct FileDigest {
  Bytes size;
  std::string sha256;  // hex
  bool operator==(const FileDigest&) const = default;
};

struct Package {
  std::string name;  // with ":arch" where it isn't the image's main one
  std::string version;
  bool operator==(const Package&) const = default;
};

struct Manifest {
  // Given at publication.
  model::NodeImageId id;
  std::string name;  // "debian-12:3"
  std::string base;  // "debian-12"
  std::uint32_t version = 0;
  // Found at build.
  std::string role;
  std::string source;  // the recipe's name, or where it was imported from
  std::string os;      // PRETTY_NAME
  std::string kernel_version;
  std::string architecture = "amd64";
  Timestamp created{};
  std::map<std::string, FileDigest> files;  // by file name: vmlinuz, initramfs.img, root.squashfs, files.list
  Bytes tree_size;                          // of the files in the root, unpacked
  std::uint64_t tree_entries = 0;
  bool has_tree = false;           // root/ was kept, for nfs
  std::string packages_from;       // "dpkg", "rpm", "" = unknown
  std::vector<Package> packages;   // sorted by name
  std::vector<std::string> notes;  // what the build warned of, for people
  nlohmann::json initramfs;        // what the initramfs builder reports

  bool operator==(const Manifest&) const = default;
};

nlohmann::json to_json(const Manifest& manifest);
Result<Manifest> manifest_from_json(const nlohmann::json& json);
Result<Manifest> read_manifest(const std::filesystem::path& file);

// The record for it, ready to store (state ready).
model::NodeImage to_model(const Manifest& manifest);

// One line of files.list: type (f d l c b p s), octal mode, uid, gid, size, sha256 or link target or device, path.
struct TreeEntry {
  char type = 'f';
  std::uint32_t mode = 0644;
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::uint64_t size = 0;
  std::string value;  // f: sha256 (hex); l: target; c, b: "major:minor"
  std::string path;   // absolute, as inside the root
  bool operator==(const TreeEntry&) const = default;
};

// Sorted by path bytes. Walks without following links and without leaving the file system of `tree`.
Result<std::vector<TreeEntry>> list_tree(const std::filesystem::path& tree);
std::string format_list(const std::vector<TreeEntry>& entries);
Result<std::vector<TreeEntry>> parse_list(std::string_view text);

}  // namespace bridgehead::nodeimage
