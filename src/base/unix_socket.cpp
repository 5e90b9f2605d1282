#include "base/unix_socket.h"

#include <sys/socket.h>

#include <cerrno>
#include <cstring>

namespace bridgehead {

Result<sockaddr_un> unix_address(const std::filesystem::path& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.native().size() >= sizeof address.sun_path) {
    return fail(ErrorCode::invalid_argument, "the path {} is too long for a socket", path.native());
  }
  std::memcpy(address.sun_path, path.c_str(), path.native().size() + 1);
  return address;
}

Result<UniqueFd> connect_unix(const std::filesystem::path& path, int flags) {
  const auto address = unix_address(path);
  if (!address) return forward(address);
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | flags, 0));
  if (!fd) return fail_errno(errno, "make a socket");
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&*address), sizeof *address) != 0) {
    return fail_errno(errno, fmt::format("connect to {}", path.native()));
  }
  return fd;
}

}  // namespace bridgehead
