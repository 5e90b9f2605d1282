#include "root_tree.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "text.h"

namespace bridgehead::init {
namespace {

std::string directory_of(const std::string& path) {
  const auto slash = path.rfind('/');
  return slash == std::string::npos ? std::string() : path.substr(0, slash);
}

std::string name_in(const std::string& path) { return path.substr(path.rfind('/') + 1); }

}  // namespace

Result<RootTree> RootTree::open(const std::string& directory) {
  Fd root(::open(directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!root) return fail_errno(concat("open ", directory));
  return RootTree(std::move(root));
}

Fd RootTree::resolve(const std::string& path, int flags) const {
  open_how how{};
  how.flags = static_cast<std::uint64_t>(flags | O_CLOEXEC);
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
  return Fd(static_cast<int>(::syscall(SYS_openat2, root_.get(), path.empty() ? "." : path.c_str(), &how, sizeof how)));
}

Status RootTree::make_directory(const std::string& path) {
  if (resolve(path, O_PATH | O_DIRECTORY)) return {};
  auto parent = parent_of(path);
  if (!parent) return fail(parent.error());
  if (::mkdirat(parent->get(), name_in(path).c_str(), 0755) != 0)
    return fail_errno(concat("make the directory /", path));
  return {};
}

Result<Fd> RootTree::parent_of(const std::string& path) {
  const auto directory = directory_of(path);
  if (!directory.empty()) {
    if (auto made = make_directory(directory); !made) return fail(made.error());
  }
  auto parent = resolve(directory, O_PATH | O_DIRECTORY);
  if (!parent) return fail_errno(concat("open the directory /", directory));
  return parent;
}

Status RootTree::write(const std::string& path, std::string_view content, mode_t mode) {
  const auto what = concat("write /", path);
  auto parent = parent_of(path);
  if (!parent) return fail(parent.error());
  const auto name = name_in(path);
  if (::unlinkat(parent->get(), name.c_str(), 0) != 0 && errno != ENOENT) return fail_errno(what);
  const Fd file(::openat(parent->get(), name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode));
  if (!file || ::fchmod(file.get(), mode) != 0) return fail_errno(what);
  if (auto written = write_all(file.get(), content); !written) {
    return fail(what, written.error().why, "a larger overlay in the node's profile may help");
  }
  return {};
}

std::string RootTree::read(const std::string& path) const {
  const auto file = resolve(path, O_RDONLY | O_NONBLOCK);
  struct stat status {};
  if (!file || ::fstat(file.get(), &status) != 0 || !S_ISREG(status.st_mode)) return {};
  auto content = read_file(concat("/proc/self/fd/", file.get()));
  return content ? std::move(*content) : std::string();
}

bool RootTree::is_executable(const std::string& path) const {
  const auto file = resolve(path, O_PATH);
  struct stat status {};
  return file && ::fstat(file.get(), &status) == 0 && S_ISREG(status.st_mode) && (status.st_mode & 0111) != 0;
}

Status RootTree::add(const TarMember& member) {
  const auto what = concat("unpack /", member.name, " of the bundle");
  if (member.type == MemberType::directory) {
    const bool present = static_cast<bool>(resolve(member.name, O_PATH | O_DIRECTORY));
    // A directory of the image stays as the image has it.
    if (present) return {};
    if (auto made = make_directory(member.name); !made) return made;
  } else if (member.type == MemberType::file) {
    if (auto written = write(member.name, member.content, member.mode); !written) return written;
  }
  auto parent = parent_of(member.name);
  if (!parent) return fail(parent.error());
  const auto name = name_in(member.name);
  if (member.type == MemberType::symlink || member.type == MemberType::hardlink) {
    if (::unlinkat(parent->get(), name.c_str(), 0) != 0 && errno != ENOENT) return fail_errno(what);
  }
  if (member.type == MemberType::symlink && ::symlinkat(member.target.c_str(), parent->get(), name.c_str()) != 0) {
    return fail_errno(what);
  }
  if (member.type == MemberType::hardlink) {
    auto from = parent_of(member.target);
    if (!from) return fail(from.error());
    const auto target = name_in(member.target);
    if (::linkat(from->get(), target.c_str(), parent->get(), name.c_str(), 0) != 0) return fail_errno(what);
    return {};
  }
  if (::fchownat(parent->get(), name.c_str(), member.uid, member.gid, AT_SYMLINK_NOFOLLOW) != 0)
    return fail_errno(what);
  // After the owner: a change of owner takes set-user-ID away.
  if (member.type != MemberType::symlink && ::fchmodat(parent->get(), name.c_str(), member.mode, 0) != 0) {
    return fail_errno(what);
  }
  return {};
}

Status RootTree::unpack(std::string_view archive) {
  TarReader check(archive);  // the whole of it first: a hostile one leaves nothing behind
  for (;;) {
    auto member = check.next();
    if (!member) return fail(member.error());
    if (!*member) break;
  }
  TarReader reader(archive);
  for (;;) {
    auto member = reader.next();
    if (!member) return fail(member.error());
    if (!*member) return {};
    if (auto added = add(**member); !added) return added;
  }
}

}  // namespace bridgehead::init
