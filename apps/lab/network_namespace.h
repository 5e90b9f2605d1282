// What is done inside a lab's network namespace, and who lives in it. Owns nothing.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <functional>
#include <optional>
#include <type_traits>
#include <vector>

#include "base/result.h"
#include "lab/process.h"

namespace bridgehead::lab {

// Which namespace a file below /run/netns is; empty if it isn't one (not there, or the bare file of a lost one).
std::optional<std::uint64_t> namespace_inode(const std::filesystem::path& file);

// Every process in it but this one. It has no way to hide: what a daemon started there is there too, whoever its
// parent is now. Never the host's own namespace: that gives an error.
Result<std::vector<ProcessId>> processes_in(const std::filesystem::path& namespace_file);

// Runs `work` in a thread of its own that has entered the namespace, and so have the programs it starts.
Status run_in_namespace(const std::filesystem::path& namespace_file, const std::function<Status()>& work);

// This whole process enters it.
Status enter_namespace(const std::filesystem::path& namespace_file);

}  // namespace bridgehead::lab
