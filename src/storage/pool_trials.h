// Finds out what a mounted directory can do by doing it: nothing is concluded from a file system's name.
#pragma once

#include <filesystem>

#include "base/result.h"
#include "model/pool.h"

namespace bridgehead::storage {

// Makes (and removes) small files beginning with `prefix`. Errors: whatever keeps a file from being made there.
Result<model::PoolAbilities> try_abilities(const std::filesystem::path& prefix);

}  // namespace bridgehead::storage
