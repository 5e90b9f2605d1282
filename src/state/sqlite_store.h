// The durable StateStore: one SQLite file in WAL mode, synced at every commit; concurrent commits share a sync.
// Thread-safe. One process per file: a lock on "<path>.lock" is held as long as the store is open, and ends with the
// process.
#pragma once

#include <filesystem>
#include <memory>

#include "state/state_store.h"

namespace bridgehead::state {

struct SqliteStoreOptions {
  // The file grows no further; commits beyond fail with resource_exhausted. 0 = as large as the disk. In pages of 4
  // KiB.
  std::uint32_t max_pages = 0;
};

// Makes the file (0600) if there is none; its directory must exist. Brings an older schema to the current one.
// failed_precondition: another process has it open (says which); data_corrupt: damaged or not such a file (it is left
// as it is); unsupported: a newer version wrote it; resource_exhausted: no space.
Result<std::unique_ptr<StateStore>> open_sqlite_store(const std::filesystem::path& path,
                                                      SqliteStoreOptions options = {});

}  // namespace bridgehead::state
