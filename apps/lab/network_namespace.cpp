#include "lab/network_namespace.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <thread>

#include "base/file.h"

namespace bridgehead::lab {
namespace fs = std::filesystem;

std::optional<std::uint64_t> namespace_inode(const fs::path& file) {
  struct statfs where {};
  struct stat status {};
  if (::statfs(file.c_str(), &where) != 0 || where.f_type != NSFS_MAGIC) return std::nullopt;
  if (::stat(file.c_str(), &status) != 0) return std::nullopt;
  return status.st_ino;
}

Result<std::vector<ProcessId>> processes_in(const fs::path& namespace_file) {
  std::vector<ProcessId> found;
  const auto wanted = namespace_inode(namespace_file);
  if (!wanted) return found;
  if (wanted == namespace_inode("/proc/self/ns/net")) {
    return fail_with_hint(ErrorCode::failed_precondition, "this command runs inside the lab's own network namespace",
                          "Run it from outside.");
  }
  const auto entries = list_directory("/proc");
  if (!entries) return forward(entries);
  for (const auto& entry : *entries) {
    const auto name = entry.filename().native();
    pid_t pid = 0;
    const auto [end, failed] = std::from_chars(name.data(), name.data() + name.size(), pid);
    if (failed != std::errc() || end != name.data() + name.size() || pid == ::getpid()) continue;
    // Identified first: if the number changes hands in between, the later check of the start time sees it.
    const auto process = identify(pid);
    if (process && namespace_inode(entry / "ns/net") == wanted) found.push_back(*process);
  }
  return found;
}

Status enter_namespace(const fs::path& namespace_file) {
  const auto opened = open_file(namespace_file, O_RDONLY);
  if (!opened) return forward(opened);
  if (::setns(opened->get(), CLONE_NEWNET) != 0) return fail_errno(errno, "enter the lab's network namespace");
  return {};
}

Status run_in_namespace(const fs::path& namespace_file, const std::function<Status()>& work) {
  Status outcome;
  // A namespace is a thread's, so the rest of this program stays where it is.
  std::thread([&] {
    outcome = enter_namespace(namespace_file);
    if (outcome) outcome = work();
  }).join();
  return outcome;
}

}  // namespace bridgehead::lab
