#include "base/users.h"

#include <pwd.h>

namespace bridgehead {

Result<User> find_user(const std::string& name) {
  passwd entry{};
  passwd* found = nullptr;
  char buffer[4096];
  if (const int failed = ::getpwnam_r(name.c_str(), &entry, buffer, sizeof buffer, &found); failed != 0) {
    return fail_errno(failed, fmt::format("look up the user {}", name));
  }
  if (found == nullptr) return fail(ErrorCode::not_found, "there is no user named '{}'", name);
  return User{entry.pw_uid, entry.pw_gid};
}

}  // namespace bridgehead
