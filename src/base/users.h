// The machine's users. Thread-safe.
#pragma once

#include <sys/types.h>

#include <string>

#include "base/result.h"

namespace bridgehead {

struct User {
  uid_t id = 0;
  gid_t group = 0;
};

// not_found: there is no such user.
Result<User> find_user(const std::string& name);

}  // namespace bridgehead
