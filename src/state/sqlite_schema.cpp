#include "state/sqlite_schema.h"

namespace bridgehead::state {
namespace {

constexpr Migration kMigrations[] = {
    {1,
     // WITHOUT ROWID: prefix scans read keys and values in one go. Keys are blobs so that any byte compares as itself.
     "CREATE TABLE entries(key BLOB PRIMARY KEY NOT NULL, value BLOB NOT NULL, revision INTEGER NOT NULL) WITHOUT "
     "ROWID;"
     // Apart from the entries: deleting the newest one must not give its revision out again.
     "CREATE TABLE last_revision(revision INTEGER NOT NULL);"
     "INSERT INTO last_revision VALUES(0);"},
};

Result<std::int64_t> query_number(Database& database, const std::string& sql) {
  auto statement = Statement::prepare(database, sql);
  if (!statement) return forward(statement);
  auto rows = statement->run();
  const auto row = rows.next();
  if (!row) return forward(row);
  return *row ? rows.integer(0) : 0;
}

// 0 = an empty database.
Result<std::int64_t> read_version(Database& database) {
  const auto tables = query_number(database, "SELECT count(*) FROM sqlite_master");
  if (!tables) return forward(tables);
  if (*tables == 0) return 0;
  const auto ours =
      query_number(database, "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'schema_version'");
  if (!ours) return forward(ours);
  if (*ours == 0) {
    return fail_with_hint(ErrorCode::data_corrupt,
                          fmt::format("{} is a database, but not one of Bridgehead", database.path().native()),
                          "Check the configured state directory.");
  }
  return query_number(database, "SELECT max(version) FROM schema_version");
}

Status apply(Database& database, const Migration& migration) {
  auto transaction = SqliteTransaction::begin(database);
  if (!transaction) return forward(transaction);
  Status done = database.execute("CREATE TABLE IF NOT EXISTS schema_version(version INTEGER PRIMARY KEY NOT NULL)");
  if (done) done = database.execute(migration.sql);
  if (done) done = database.execute(fmt::format("INSERT INTO schema_version VALUES({})", migration.version));
  if (done) done = transaction->commit();
  return done;
}

}  // namespace

std::span<const Migration> store_migrations() { return kMigrations; }

Status migrate(Database& database, std::span<const Migration> migrations) {
  const auto found = read_version(database);
  if (!found) return forward(found);
  const int newest = migrations.back().version;
  if (*found > newest) {
    return fail_with_hint(
        ErrorCode::unsupported,
        fmt::format("{} has schema version {}, written by a newer Bridgehead; this one knows up to {}",
                    database.path().native(), *found, newest),
        "Install the newer version again.");
  }
  for (const auto& migration : migrations) {
    if (migration.version <= *found) continue;
    if (auto applied = apply(database, migration); !applied) return applied;
  }
  return {};
}

}  // namespace bridgehead::state
