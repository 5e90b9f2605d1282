#include "nodeimage/tree_entry_writer.h"

#include <archive.h>
#include <archive_entry.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>

namespace bridgehead::nodeimage {
namespace {

// What an entry costs beside its content, so that millions of empty files meet the limit, too.
constexpr std::uint64_t kEntryCost = 512;

std::uint32_t mode_of(archive_entry* entry) { return static_cast<std::uint32_t>(archive_entry_perm(entry)) & 07777; }

// Capabilities, ACLs, SELinux labels and users' own; not what overlay and other file systems keep for themselves.
bool wanted_attribute(std::string_view name) {
  return name.starts_with("user.") || name == "security.capability" || name == "security.selinux" ||
         name.starts_with("system.posix_acl_");
}

// After the owner, because a change of owner takes away set-user-ID and capabilities.
Status set_attributes(int fd, archive_entry* entry) {
  archive_entry_xattr_reset(entry);
  const char* name = nullptr;
  const void* value = nullptr;
  std::size_t size = 0;
  while (archive_entry_xattr_next(entry, &name, &value, &size) == ARCHIVE_OK) {
    if (name == nullptr || !wanted_attribute(name)) continue;
    if (::fsetxattr(fd, name, value, size, 0) != 0 && errno != ENOTSUP) {
      return fail_errno(errno, fmt::format("set the extended attribute {}", name));
    }
  }
  return {};
}

Status set_owner_and_mode(int fd, archive_entry* entry) {
  if (::fchown(fd, static_cast<uid_t>(archive_entry_uid(entry)), static_cast<gid_t>(archive_entry_gid(entry))) != 0) {
    return fail_errno(errno, "set the owner");
  }
  if (::fchmod(fd, mode_of(entry)) != 0) return fail_errno(errno, "set the mode");
  return set_attributes(fd, entry);
}

Status write_at(int fd, const char* data, std::size_t size, std::int64_t offset) {
  while (size > 0) {
    const ssize_t done = ::pwrite(fd, data, size, offset);
    if (done < 0 && errno == EINTR) continue;
    if (done < 0) return fail_errno(errno, "write");
    data += done;
    size -= static_cast<std::size_t>(done);
    offset += done;
  }
  return {};
}

}  // namespace

Status TreeEntryWriter::count(std::uint64_t bytes) {
  written_ += Bytes(bytes);
  if (limit_.count() == 0 || written_ <= limit_) return {};
  return fail_with_hint(ErrorCode::resource_exhausted, fmt::format("unpacks to more than {}", limit_.human()),
                        "Raise the limit if that is what it should be.");
}

Status TreeEntryWriter::write(archive* reader, archive_entry* entry, const std::string& path) {
  if (auto counted = count(kEntryCost); !counted) return counted;
  Status done;
  if (path.empty()) {
    done = write_root(entry);
  } else {
    const auto place = tree_.place(path, true);
    if (!place) return forward(place);
    const char* link = archive_entry_hardlink(entry);
    const auto type = archive_entry_filetype(entry);
    if (link != nullptr) {
      done = write_hard_link(link, *place);
    } else if (type == AE_IFDIR) {
      done = write_directory(entry, *place);
    } else if (type == AE_IFREG) {
      done = write_file(reader, entry, *place);
    } else {
      done = write_special(entry, *place);
    }
  }
  if (!done) return fail({done.error().code, fmt::format("/{}: {}", path, done.error().message), done.error().hint});
  return {};
}

Status TreeEntryWriter::write_root(archive_entry* entry) {
  if (archive_entry_filetype(entry) != AE_IFDIR) return fail(ErrorCode::data_corrupt, "the root is to be a file");
  const auto fd = tree_.open_directory("");
  if (!fd) return forward(fd);
  return set_owner_and_mode(fd->get(), entry);
}

Status TreeEntryWriter::write_directory(archive_entry* entry, const Tree::Place& place) {
  struct stat status {};
  const bool there = ::fstatat(place.parent.get(), place.name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0;
  if (!there || !S_ISDIR(status.st_mode)) {
    if (auto removed = remove_entry(place.parent.get(), place.name); !removed) return removed;
    if (::mkdirat(place.parent.get(), place.name.c_str(), 0700) != 0) return fail_errno(errno, "make directory");
  }
  const UniqueFd fd(::openat(place.parent.get(), place.name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd) return fail_errno(errno, "open directory");
  return set_owner_and_mode(fd.get(), entry);
}

Status TreeEntryWriter::write_file(archive* reader, archive_entry* entry, const Tree::Place& place) {
  if (auto removed = remove_entry(place.parent.get(), place.name); !removed) return removed;
  const UniqueFd fd(
      ::openat(place.parent.get(), place.name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!fd) return fail_errno(errno, "create");
  const std::int64_t size = archive_entry_size(entry);
  for (;;) {
    const void* data = nullptr;
    std::size_t length = 0;
    la_int64_t offset = 0;
    const int code = archive_read_data_block(reader, &data, &length, &offset);
    if (code == ARCHIVE_EOF) break;
    if (code != ARCHIVE_OK && code != ARCHIVE_WARN) {
      return fail(ErrorCode::data_corrupt, "{}", archive_error_string(reader));
    }
    if (auto counted = count(length); !counted) return counted;
    if (auto done = write_at(fd.get(), static_cast<const char*>(data), length, offset); !done) return done;
  }
  // Sparse files: holes count when the file is hashed and packed.
  struct stat status {};
  if (::fstat(fd.get(), &status) != 0) return fail_errno(errno, "look at");
  if (size > status.st_size) {
    if (auto counted = count(static_cast<std::uint64_t>(size - status.st_size)); !counted) return counted;
    if (::ftruncate(fd.get(), size) != 0) return fail_errno(errno, "set the size");
  }
  if (auto done = set_owner_and_mode(fd.get(), entry); !done) return done;
  const timespec times[2] = {{archive_entry_mtime(entry), 0}, {archive_entry_mtime(entry), 0}};
  if (::futimens(fd.get(), times) != 0) return fail_errno(errno, "set the time");
  return {};
}

Status TreeEntryWriter::write_hard_link(const std::string& target, const Tree::Place& place) {
  const auto source = tree_.place(target);
  if (!source) return forward(source);
  struct stat status {};
  if (source->name.empty() ||
      ::fstatat(source->parent.get(), source->name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0 ||
      S_ISDIR(status.st_mode)) {
    return fail(ErrorCode::data_corrupt, "a hard link to '{}', which is not a file of this archive", target);
  }
  struct stat own {};
  if (::fstatat(place.parent.get(), place.name.c_str(), &own, AT_SYMLINK_NOFOLLOW) == 0 &&
      own.st_ino == status.st_ino) {
    return {};
  }
  if (auto removed = remove_entry(place.parent.get(), place.name); !removed) return removed;
  if (::linkat(source->parent.get(), source->name.c_str(), place.parent.get(), place.name.c_str(), 0) != 0) {
    return fail_errno(errno, fmt::format("link to {}", target));
  }
  return {};
}

Status TreeEntryWriter::write_special(archive_entry* entry, const Tree::Place& place) {
  const auto type = archive_entry_filetype(entry);
  if (type == AE_IFSOCK) return {};
  if (auto removed = remove_entry(place.parent.get(), place.name); !removed) return removed;
  const char* name = place.name.c_str();
  if (type == AE_IFLNK) {
    const char* target = archive_entry_symlink(entry);
    if (target == nullptr || *target == '\0') return fail(ErrorCode::data_corrupt, "a symbolic link to nothing");
    if (::symlinkat(target, place.parent.get(), name) != 0) return fail_errno(errno, "link");
  } else if (type == AE_IFCHR || type == AE_IFBLK || type == AE_IFIFO) {
    if (::mknodat(place.parent.get(), name, type | 0600, archive_entry_rdev(entry)) != 0) {
      return fail_errno(errno, "make a device file");
    }
  } else {
    return fail(ErrorCode::data_corrupt, "an entry of an unknown type");
  }
  if (::fchownat(place.parent.get(), name, static_cast<uid_t>(archive_entry_uid(entry)),
                 static_cast<gid_t>(archive_entry_gid(entry)), AT_SYMLINK_NOFOLLOW) != 0) {
    return fail_errno(errno, "set the owner");
  }
  if (type != AE_IFLNK && ::fchmodat(place.parent.get(), name, mode_of(entry), 0) != 0) {
    return fail_errno(errno, "set the mode");
  }
  return {};
}

}  // namespace bridgehead::nodeimage
