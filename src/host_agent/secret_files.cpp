#include "host_agent/secret_files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <set>

#include <nlohmann/json.hpp>

#include "base/file.h"
#include "host_agent/messages.h"
#include "model/overlay.h"

namespace bridgehead::host_agent {
namespace {

constexpr char kSecretsMeta[] = "secret_files";

// What the journal remembers: {"digest": "...", "paths": [...]}. No digest: a set was begun.
struct Kept {
  std::string digest;
  std::set<std::string> paths;
};

Kept kept_in(const Journal& journal) {
  Kept kept;
  const auto json = nlohmann::json::parse(journal.meta(kSecretsMeta), nullptr, false);
  if (!json.is_object()) return kept;
  if (const auto digest = json.find("digest"); digest != json.end() && digest->is_string()) {
    kept.digest = digest->get<std::string>();
  }
  const auto paths = json.find("paths");
  if (paths == json.end() || !paths->is_array()) return kept;
  for (const auto& path : *paths) {
    if (path.is_string()) kept.paths.insert(path.get<std::string>());
  }
  return kept;
}

Status keep(Journal& journal, const Kept& kept) {
  return journal.set_meta(kSecretsMeta, nlohmann::json{{"digest", kept.digest}, {"paths", kept.paths}}.dump());
}

// `path` is relative; "" = the root itself. No link is followed (ELOOP). Step by step rather than by openat2(), which
// systemd's RestrictSUIDSGID= takes from the agent: it can't look into that call's arguments.
UniqueFd open_directory(int root, const std::string& path) {
  UniqueFd here(::openat(root, ".", O_PATH | O_DIRECTORY | O_CLOEXEC));
  for (std::size_t begin = 0; here && begin < path.size();) {
    const auto end = std::min(path.find('/', begin), path.size());
    const auto name = path.substr(begin, end - begin);
    UniqueFd next(::openat(here.get(), name.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!next && errno == ENOTDIR) {
      struct stat status {};
      const bool link =
          ::fstatat(here.get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(status.st_mode);
      errno = link ? ELOOP : ENOTDIR;
    }
    const int why = errno;
    here = std::move(next);
    errno = why;  // which closing the one above may change
    begin = end + 1;
  }
  return here;
}

tl::unexpected<Error> fail_directory(const std::string& path) {
  if (errno != ELOOP) return fail_errno(errno, fmt::format("open the directory /{}", path));
  return fail_with_hint(ErrorCode::failed_precondition, fmt::format("/{} leads through a symbolic link", path),
                        "None is followed to write a secret: give the path that it stands for.");
}

// Makes what is missing, 0755 whatever the umask is.
Result<UniqueFd> make_directory(int root, const std::string& path) {
  if (auto found = open_directory(root, path)) return found;
  if (errno != ENOENT) return fail_directory(path);
  const auto slash = path.rfind('/');
  const auto parent = make_directory(root, slash == std::string::npos ? std::string() : path.substr(0, slash));
  if (!parent) return forward(parent);
  const auto name = path.substr(slash == std::string::npos ? 0 : slash + 1);
  if (::mkdirat(parent->get(), name.c_str(), 0755) != 0)
    return fail_errno(errno, fmt::format("make the directory /{}", path));
  // By what was opened: a link may have taken the name's place.
  UniqueFd made(::openat(parent->get(), name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!made || ::fchmod(made.get(), 0755) != 0) return fail_directory(path);
  return made;
}

struct Place {
  std::string directory;  // relative
  std::string name;
};

Place place_of(const std::string& path) {
  const auto slash = path.rfind('/');
  return {slash == 0 ? std::string() : path.substr(1, slash - 1), path.substr(slash + 1)};
}

Status fill(int fd, const SecretFile& file) {
  const auto what = fmt::format("write {}", file.path);
  // The owner first: a directory may give its group, and a change of owner may take bits of the mode away.
  if (::fchown(fd, ::geteuid(), ::getegid()) != 0) return fail_errno(errno, what);
  if (::fchmod(fd, file.mode) != 0) return fail_errno(errno, what);
  if (auto written = write_all(fd, file.content, file.path); !written) return written;
  if (::fsync(fd) != 0) return fail_errno(errno, what);
  return {};
}

// What is gone, or lies behind a link by now, isn't what we wrote.
Status remove_below(int root, const std::string& path) {
  const auto place = place_of(path);
  const auto parent = open_directory(root, place.directory);
  if (!parent)
    return errno == ENOENT || errno == ENOTDIR || errno == ELOOP ? Status() : fail_directory(place.directory);
  if (::unlinkat(parent.get(), place.name.c_str(), 0) == 0 || errno == ENOENT || errno == EISDIR) return {};
  return fail_errno(errno, fmt::format("remove {}", path));
}

}  // namespace

SecretFiles::SecretFiles(Journal& journal, std::filesystem::path root, std::filesystem::path state_dir)
    : journal_(journal), root_(std::move(root)), state_dir_(std::move(state_dir)) {
  report_.digest = kept_in(journal_).digest;
}

model::SecretsOnNode SecretFiles::report() const {
  const std::lock_guard lock(mutex_);
  return report_;
}

void SecretFiles::apply(SecretSet set) {
  const std::lock_guard turn(applying_);
  pending_ = std::move(set);
  try_again();
}

bool SecretFiles::retry() {
  const std::lock_guard turn(applying_);
  if (!pending_) return false;
  try_again();
  return true;
}

void SecretFiles::try_again() {
  const auto written = write(*pending_);
  model::SecretsOnNode now;
  if (written) {
    now.digest = pending_->digest;
    log::info(messages::secrets_written, "{} file{}", pending_->files.size(), pending_->files.size() == 1 ? "" : "s");
    pending_.reset();
  } else {
    now.message = written.error().describe();
    if (now != report()) log::error(messages::secrets_not_written, "{}", now.message);
  }
  const std::lock_guard lock(mutex_);
  report_ = now;
}

Status SecretFiles::check(const std::string& path) const {
  if (auto checked = model::check_secret_path(path); !checked) return checked;
  const auto own = state_dir_.lexically_normal().string();
  if (!path.starts_with(own.ends_with('/') ? own : own + "/")) return {};
  return fail(ErrorCode::invalid_argument, "{}: nothing is laid below the agent's {}", path, own);
}

// The paths are in the journal before the first file is there: after a crash at any step nothing is left that no later
// set removes.
Status SecretFiles::write(const SecretSet& set) {
  for (const auto& file : set.files) {
    if (auto checked = check(file.path); !checked) return checked;
  }
  const auto root = open_file(root_, O_PATH | O_DIRECTORY);
  if (!root) return forward(root);
  Kept next{.digest = set.digest};
  for (const auto& file : set.files) next.paths.insert(file.path);
  const auto before = kept_in(journal_).paths;
  Kept begun{.digest = {}, .paths = next.paths};
  begun.paths.insert(before.begin(), before.end());
  if (auto remembered = keep(journal_, begun); !remembered) return remembered;
  for (const auto& path : before) {
    if (next.paths.contains(path)) continue;
    if (auto removed = remove_below(root->get(), path); !removed) return removed;
  }
  for (const auto& file : set.files) {
    if (auto written = write_file(root->get(), file); !written) return written;
  }
  return keep(journal_, next);
}

Status SecretFiles::write_file(int root, const SecretFile& file) const {
  const auto place = place_of(file.path);
  const auto parent = make_directory(root, place.directory);
  if (!parent) return forward(parent);
  const auto temporary = fmt::format(".{}.bridgehead", place.name);
  if (::unlinkat(parent->get(), temporary.c_str(), 0) != 0 && errno != ENOENT) {
    return fail_errno(errno, fmt::format("write {}", file.path));
  }
  const UniqueFd fd(
      ::openat(parent->get(), temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!fd) return fail_errno(errno, fmt::format("write {}", file.path));
  auto written = fill(fd.get(), file);
  if (written && ::renameat(parent->get(), temporary.c_str(), parent->get(), place.name.c_str()) != 0) {
    written = fail_errno(errno, fmt::format("write {}", file.path));
  }
  if (!written) ::unlinkat(parent->get(), temporary.c_str(), 0);
  return written;
}

}  // namespace bridgehead::host_agent
