// Stream sockets of the Unix domain, by their paths. Thread-safe. Errors: invalid_argument (the path is too long for
// one), else the errno's.
#pragma once

#include <sys/un.h>

#include <filesystem>

#include "base/fd.h"
#include "base/result.h"

namespace bridgehead {

Result<sockaddr_un> unix_address(const std::filesystem::path& path);
// `flags`: those of socket(2) beside SOCK_CLOEXEC.
Result<UniqueFd> connect_unix(const std::filesystem::path& path, int flags = 0);

}  // namespace bridgehead
