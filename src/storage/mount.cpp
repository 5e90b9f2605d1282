#include "storage/mount.h"

#include <sys/statfs.h>
#include <unistd.h>

#include <cerrno>

#include "base/file.h"
#include "storage/messages.h"

namespace bridgehead::storage {
namespace {

constexpr mode_t kPassThrough = 0711;  // QEMU's user passes, others see no list of pools
constexpr int kMostOverEachOther = 100;

// What the helpers and the kernel say where the kernel has no such file system.
bool lacks_kernel_part(const std::string& message) {
  for (const auto* words : {"No such device", "unknown filesystem", "not supported by kernel", "modprobe"}) {
    if (message.find(words) != std::string::npos) return true;
  }
  return false;
}

// Of what is mounted there, not of the directory under it; 0 = it answers.
int error_at(const std::filesystem::path& point) {
  struct statfs status {};
  return ::statfs(point.c_str(), &status) == 0 ? 0 : errno;
}

// Its client has ended, or the server knows it no more: nothing in it will ever work again. Every other error passes (a
// server that fails over, a network that is away), and then the guests on it go on.
bool is_dead(int error) { return error == ENOTCONN || error == ECONNABORTED || error == ESTALE; }

// As the kernel tells of it: it knows no symbolic links.
std::filesystem::path resolved(const std::filesystem::path& point) {
  std::error_code failed;
  const auto parent = std::filesystem::weakly_canonical(point.parent_path(), failed);
  return failed ? point : parent / point.filename();
}

}  // namespace

Mount::Mount(MountPlan plan, const std::filesystem::path& point, std::shared_ptr<CommandRunner> runner,
             std::function<void()> before)
    : plan_(std::move(plan)), point_(resolved(point)), runner_(std::move(runner)), before_(std::move(before)) {}

Result<MountEntry> Mount::entry() const {
  const auto table = read_mount_table();
  if (!table) return forward(table);
  auto found = mount_at(*table, point_);
  if (!found) return fail(ErrorCode::unavailable, "nothing is mounted at {}", point_.native());
  if (found->file_system() != plan_.file_system) {
    return fail_with_hint(ErrorCode::failed_precondition,
                          fmt::format("something else is mounted at {}: {}", point_.native(), found->describe()),
                          "Unmount it.");
  }
  return std::move(*found);
}

Status Mount::ensure() {
  const std::lock_guard lock(mutex_);
  if (const auto mounted = entry()) {
    const int error = error_at(point_);
    if (error == 0) return {};
    const auto reason = fail_errno(error, fmt::format("the file system at {} doesn't work", point_.native()));
    if (!is_dead(error)) return reason;
    log::warning(mount_renewed, "{}", reason.value().message);
    // Not forced: that would end requests that others still wait for.
    if (auto off = unmount({"-l"}); !off) return off;
  } else if (mounted.error().code != ErrorCode::unavailable) {
    return forward(mounted);
  }
  if (auto made = make_directories(point_, kPassThrough); !made) return made;
  if (before_) before_();
  std::string reasons;
  for (std::size_t i = 0; i < plan_.ways.size(); ++i) {
    const auto done = try_way(plan_.ways[i], i + 1 == plan_.ways.size(), reasons);
    if (!done) return forward(done);
    if (!*done) continue;
    if (auto mounted = entry(); !mounted) {
      // Left where it is, each try would lay one more over it.
      [[maybe_unused]] const auto off = unmount({"-l"});
      return forward(mounted);
    }
    log::info(mount_made, "{} by {}", point_.native(), plan_.ways[i].command.describe());
    return {};
  }
  return fail(ErrorCode::internal, "there is no way to mount {}", point_.native());
}

// False: the next way should be tried.
Result<bool> Mount::try_way(const MountWay& way, bool last, std::string& reasons) {
  const auto& program = way.command.program;
  const auto done = runner_->run(way.command);
  if (done) return true;
  const auto& error = done.error();
  std::string hint;
  if (error.code == ErrorCode::not_found) {
    reasons += fmt::format("{}this node has no {}", reasons.empty() ? "" : "; ", program);
    hint = fmt::format("Install the package {} on the node, or in its node image.", way.package);
  } else if (lacks_kernel_part(error.message)) {
    reasons += fmt::format("{}this node's kernel can't mount it ({})", reasons.empty() ? "" : "; ", error.message);
    hint = "Load the kernel module, or put it into the node image.";
  } else if (error.code == ErrorCode::timeout) {
    return fail_with_hint(ErrorCode::timeout, fmt::format("{} got no answer from the servers", program),
                          "Check that they run and that this node reaches them.");
  } else {
    return forward(done);
  }
  if (!last) return false;
  return fail_with_hint(ErrorCode::unsupported, reasons, hint);
}

Status Mount::unmount(std::vector<std::string> arguments) const {
  arguments.push_back(point_.native());
  auto done =
      runner_->run({.program = "umount", .arguments = std::move(arguments), .timeout = std::chrono::seconds(10)});
  if (!done) return forward(done);
  return {};
}

// Without the lock: a forced unmount is what frees an ensure() that hangs.
Status Mount::release() {
  for (int i = 0; i < kMostOverEachOther; ++i) {
    const auto mounted = entry();
    if (!mounted && mounted.error().code != ErrorCode::unavailable) return forward(mounted);
    if (!mounted) break;
    // Busy or hung: out of sight now, gone when its last user is.
    if (!unmount({})) {
      if (auto off = unmount({"-l", "-f"}); !off) return off;
    }
    log::info(mount_released, "{}", point_.native());
  }
  if (::rmdir(point_.c_str()) != 0 && errno != ENOENT) {
    return fail_errno(errno, fmt::format("remove the mount point {}", point_.native()));
  }
  return {};
}

}  // namespace bridgehead::storage
