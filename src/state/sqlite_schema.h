// The SQLite store's schema: a list of migrations, applied one by one, each in a transaction with its version's record.
// Once released, a migration is never changed; a new version is a new entry at the end.
#pragma once

#include <span>

#include "state/sqlite.h"

namespace bridgehead::state {

struct Migration {
  int version;  // 1, 2, 3, ...
  const char* sql;
};

std::span<const Migration> store_migrations();

// Brings an empty or older database to the last version. Errors: data_corrupt when it is a database of something else;
// unsupported when a newer version wrote it; otherwise SQLite's. A failed migration leaves the version before it.
Status migrate(Database& database, std::span<const Migration> migrations);

}  // namespace bridgehead::state
