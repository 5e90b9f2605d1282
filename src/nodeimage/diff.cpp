// What differs between two images: a merge of two sorted lists, twice.
#include <algorithm>
#include <array>

#include "nodeimage/store.h"

namespace bridgehead::nodeimage {
namespace {

// Differs between any two builds and says nothing.
constexpr std::array<std::string_view, 8> kNoise{
    "/var/cache/",   "/var/log/",        "/var/lib/dpkg/", "/var/lib/apt/", "/var/lib/systemd/catalog/",
    "/var/lib/ucf/", "/etc/ld.so.cache", "/var/lib/rpm/"};

bool is_noise(const std::string& path) {
  return path.ends_with(".pyc") ||
         std::any_of(kNoise.begin(), kNoise.end(), [&](std::string_view prefix) { return path.starts_with(prefix); });
}

// Calls `changed` with (old, new), either of which may be null, for all that are not equal.
template <typename Item, typename Key, typename Changed>
void merge(const std::vector<Item>& from, const std::vector<Item>& to, const Key& key, const Changed& changed) {
  auto left = from.begin();
  auto right = to.begin();
  while (left != from.end() || right != to.end()) {
    if (right == to.end() || (left != from.end() && key(*left) < key(*right))) {
      changed(&*left++, nullptr);
    } else if (left == from.end() || key(*right) < key(*left)) {
      changed(nullptr, &*right++);
    } else {
      if (!(*left == *right)) changed(&*left, &*right);
      ++left;
      ++right;
    }
  }
}

}  // namespace

ImageDiff diff_images(const Manifest& from, const std::vector<TreeEntry>& from_files, const Manifest& to,
                      const std::vector<TreeEntry>& to_files) {
  ImageDiff diff{from.kernel_version, to.kernel_version, {}, {}};
  merge(
      from.packages, to.packages, [](const Package& package) -> const std::string& { return package.name; },
      [&](const Package* old, const Package* now) {
        diff.packages.push_back({old != nullptr ? old->name : now->name, old != nullptr ? old->version : "",
                                 now != nullptr ? now->version : ""});
      });
  merge(
      from_files, to_files, [](const TreeEntry& entry) -> const std::string& { return entry.path; },
      [&](const TreeEntry* old, const TreeEntry* now) {
        FileChange change;
        change.path = old != nullptr ? old->path : now->path;
        if (is_noise(change.path)) return;
        change.size_from = old != nullptr ? old->size : 0;
        change.size_to = now != nullptr ? now->size : 0;
        change.kind = old == nullptr                                       ? FileChange::Kind::added
                      : now == nullptr                                     ? FileChange::Kind::removed
                      : old->type != now->type || old->value != now->value ? FileChange::Kind::content
                                                                           : FileChange::Kind::metadata;
        diff.files.push_back(std::move(change));
      });
  return diff;
}

}  // namespace bridgehead::nodeimage
