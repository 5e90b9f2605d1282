#include "nodeimage/work_directory.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>

#include "base/file.h"
#include "base/log.h"
#include "nodeimage/tree.h"

namespace bridgehead::nodeimage {
namespace {

constexpr log::Message work_left{"NODE_IMAGE_WORK_LEFT",
                                 "A directory of a finished build could not be removed; it is tried again at the next "
                                 "start. Look for what holds it (a mount below it, for example)."};
constexpr log::Message work_swept{"NODE_IMAGE_WORK_SWEPT", "What a killed build had left behind was removed."};

constexpr std::array<std::string_view, 3> kPrefixes{"build.", "image.", "removed."};

}  // namespace

Result<WorkDirectory> WorkDirectory::create(const std::filesystem::path& parent, std::string_view prefix) {
  if (auto made = make_directories(parent, 0700); !made) return forward(made);
  for (;;) {
    std::string name = (parent / fmt::format("{}.XXXXXX", prefix)).native();
    if (::mkdtemp(name.data()) == nullptr) return fail_errno(errno, fmt::format("create directory {}", name));
    auto fd = open_file(name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    // A sweep may have taken it between the two calls.
    struct stat opened {};
    struct stat named {};
    if (fd && ::flock(fd->get(), LOCK_EX | LOCK_NB) == 0 && ::fstat(fd->get(), &opened) == 0 &&
        ::lstat(name.c_str(), &named) == 0 && opened.st_ino == named.st_ino) {
      return WorkDirectory(name, std::move(*fd));
    }
    if (!fd && fd.error().code != ErrorCode::not_found) return forward(fd);
  }
}

WorkDirectory& WorkDirectory::operator=(WorkDirectory&& other) noexcept {
  if (this != &other) {
    remove();
    path_ = std::exchange(other.path_, {});
    lock_ = std::move(other.lock_);
  }
  return *this;
}

WorkDirectory::~WorkDirectory() { remove(); }

void WorkDirectory::remove() {
  if (path_.empty()) return;
  if (auto removed = remove_tree(path_); !removed)
    log::warning(work_left, "{}: {}", path_.native(), removed.error().message);
  path_.clear();
}

Status sweep_work(const std::filesystem::path& parent) {
  const auto present = list_directory(parent);
  if (!present) return present.error().code == ErrorCode::not_found ? Status{} : forward(present);
  Status result;
  for (const auto& path : *present) {
    const auto is_ours = [&](const auto prefix) { return path.filename().native().starts_with(prefix); };
    if (std::none_of(std::begin(kPrefixes), std::end(kPrefixes), is_ours)) continue;
    const auto fd = open_file(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    if (!fd || ::flock(fd->get(), LOCK_EX | LOCK_NB) != 0) continue;
    if (auto removed = remove_tree(path); !removed) {
      result = removed;
    } else {
      log::info(work_swept, "{}", path.native());
    }
  }
  return result;
}

}  // namespace bridgehead::nodeimage
