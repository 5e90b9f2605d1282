#include "state/process_lock.h"

#include <fcntl.h>
#include <sys/file.h>

#include <cerrno>

#include "base/file.h"

namespace bridgehead::state {

Result<ProcessLock> ProcessLock::acquire(const std::filesystem::path& lock_file, const std::filesystem::path& guarded) {
  auto fd = open_file(lock_file, O_RDWR | O_CREAT, 0600);
  if (!fd) return forward(fd);
  if (::flock(fd->get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return fail_errno(errno, fmt::format("lock {}", lock_file.native()));
    char holder[32] = {};
    const ssize_t got = ::pread(fd->get(), holder, sizeof holder - 1, 0);
    return fail_with_hint(ErrorCode::failed_precondition,
                          fmt::format("{} is in use by another process{}{}", guarded.native(),
                                      got > 0 ? ", number " : "", got > 0 ? holder : ""),
                          "Only one may run on a state directory; stop the other one first.");
  }
  // For the message above only; a full disk must not keep us from starting.
  const std::string number = std::to_string(::getpid());
  if (::ftruncate(fd->get(), 0) == 0) std::ignore = ::pwrite(fd->get(), number.data(), number.size(), 0);
  return ProcessLock(std::move(*fd));
}

}  // namespace bridgehead::state
