// Finds out what a mounted directory can do by doing it: nothing is concluded from a file system's name.
#pragma once

#include <filesystem>

#include <functional>

#include "base/command.h"
#include "base/fd.h"
#include "base/result.h"
#include "model/pool.h"

namespace bridgehead::storage {

// Makes (and removes) small files beginning with `prefix`, the first by `create`. Errors: whatever keeps a file from
// being made there.
Result<model::PoolAbilities> try_abilities(const std::filesystem::path& prefix,
                                           const std::function<Result<UniqueFd>(const std::filesystem::path&)>& create);

// Whether MooseFS's snapshot tool makes `copy` from `file` (both are made here, and removed): with the same content,
// and apart from then on.
bool try_snapshot(CommandRunner& runner, const std::filesystem::path& file, const std::filesystem::path& copy);

}  // namespace bridgehead::storage
