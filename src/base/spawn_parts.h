// What starting a program by posix_spawn takes, for this module only.
#pragma once

#include <spawn.h>

#include "base/command.h"
#include "base/fd.h"
#include "base/result.h"

namespace bridgehead {

struct Pipe {
  UniqueFd read;
  UniqueFd write;
};

Result<Pipe> make_pipe();

struct SpawnActions {
  SpawnActions() { posix_spawn_file_actions_init(&actions); }
  ~SpawnActions() { posix_spawn_file_actions_destroy(&actions); }
  SpawnActions(const SpawnActions&) = delete;
  SpawnActions& operator=(const SpawnActions&) = delete;
  posix_spawn_file_actions_t actions;
};

// Signals as a fresh process has them. `flags`: POSIX_SPAWN_SETPGROUP or POSIX_SPAWN_SETSID, so that a program can be
// ended together with what it has started.
struct SpawnAttributes {
  explicit SpawnAttributes(int flags);
  ~SpawnAttributes() { posix_spawnattr_destroy(&attributes); }
  SpawnAttributes(const SpawnAttributes&) = delete;
  SpawnAttributes& operator=(const SpawnAttributes&) = delete;
  posix_spawnattr_t attributes;
};

// Descriptors from `first` on stay behind, also those that we were started with: a shell of a program that then gets
// one above 9 can't use it.
inline void close_from(SpawnActions& actions, int first) {
  posix_spawn_file_actions_addclosefrom_np(&actions.actions, first);
}

// Its program, arguments and environment (added to ours); nothing else of it counts here. Errors: not_found, and those
// of posix_spawn.
Result<pid_t> spawn(const Command& command, const SpawnActions& actions, const SpawnAttributes& attributes);

// Exit code, or 128 and the signal that ended it, as shells have it.
int wait_for(pid_t pid);

}  // namespace bridgehead
