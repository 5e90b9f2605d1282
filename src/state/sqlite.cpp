#include "state/sqlite.h"

#include <sqlite3.h>

#include <cerrno>
#include <cstring>

namespace bridgehead::state {
namespace {

// How long to wait for somebody who looks into the file with another program.
constexpr int kBusyTimeoutMs = 5000;

ErrorCode code_of(int extended, int system_errno) {
  switch (extended & 0xff) {
    case SQLITE_FULL:
    case SQLITE_NOMEM:
    case SQLITE_TOOBIG: return ErrorCode::resource_exhausted;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB: return ErrorCode::data_corrupt;
    case SQLITE_BUSY:
    case SQLITE_LOCKED: return ErrorCode::unavailable;
    case SQLITE_PERM:
    case SQLITE_READONLY:
    case SQLITE_AUTH: return ErrorCode::permission_denied;
    case SQLITE_CANTOPEN:
    case SQLITE_IOERR:
      return system_errno == ENOSPC || system_errno == EDQUOT ? ErrorCode::resource_exhausted : ErrorCode::io_error;
    default: return ErrorCode::internal;
  }
}

std::string hint_of(ErrorCode code, const std::filesystem::path& path) {
  switch (code) {
    case ErrorCode::resource_exhausted:
      return fmt::format("Free space on the file system of {}; nothing was changed.", path.native());
    case ErrorCode::data_corrupt: return fmt::format("Move {} away and restore it from a backup.", path.native());
    case ErrorCode::unavailable: return fmt::format("Another program holds {}; end it and try again.", path.native());
    default: return {};
  }
}

}  // namespace

void Database::Close::operator()(sqlite3* handle) const { sqlite3_close_v2(handle); }

Error Database::error(int code, std::string_view doing) const {
  const int extended = handle_ ? sqlite3_extended_errcode(handle_.get()) : code;
  const int system_errno = handle_ ? sqlite3_system_errno(handle_.get()) : 0;
  const auto kind = code_of((extended & 0xff) == (code & 0xff) ? extended : code, system_errno);
  std::string text = fmt::format("{}: {} failed: {}", path_.native(), doing,
                                 handle_ ? sqlite3_errmsg(handle_.get()) : sqlite3_errstr(code));
  if (system_errno != 0 && (code & 0xff) != SQLITE_NOTADB && (code & 0xff) != SQLITE_CORRUPT) {
    text += fmt::format(" ({})", std::strerror(system_errno));
  }
  return {kind, std::move(text), hint_of(kind, path_)};
}

Result<std::unique_ptr<Database>> Database::open(const std::filesystem::path& path) {
  sqlite3* handle = nullptr;
  // No mutexes inside: the owner lets one thread in at a time.
  const int code = sqlite3_open_v2(path.c_str(), &handle,
                                   SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, nullptr);
  std::unique_ptr<Database> database(new Database(handle, path));  // SQLite gives a handle even when it fails
  if (code != SQLITE_OK) return fail(database->error(code, "opening"));
  sqlite3_busy_timeout(handle, kBusyTimeoutMs);
  return database;
}

Status Database::execute(const std::string& sql) {
  const int code = sqlite3_exec(handle_.get(), sql.c_str(), nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) return fail(error(code, fmt::format("'{}'", sql.substr(0, 60))));
  return {};
}

Result<std::string> Database::query_text(const std::string& sql) {
  auto statement = Statement::prepare(*this, sql);
  if (!statement) return forward(statement);
  auto rows = statement->run();
  const auto row = rows.next();
  if (!row) return forward(row);
  return *row ? rows.blob(0) : std::string();
}

Cursor::Cursor(Cursor&& other) noexcept
    : database_(other.database_), statement_(std::exchange(other.statement_, nullptr)) {}

Cursor::~Cursor() {
  if (statement_ == nullptr) return;
  sqlite3_reset(statement_);
  sqlite3_clear_bindings(statement_);
}

Result<bool> Cursor::next() {
  const int code = sqlite3_step(statement_);
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  return fail(database_->error(code, fmt::format("'{}'", std::string_view(sqlite3_sql(statement_)).substr(0, 60))));
}

std::string Cursor::blob(int column) const {
  const auto* data = static_cast<const char*>(sqlite3_column_blob(statement_, column));
  const auto size = static_cast<std::size_t>(sqlite3_column_bytes(statement_, column));
  return size == 0 ? std::string() : std::string(data, size);
}

std::int64_t Cursor::integer(int column) const { return sqlite3_column_int64(statement_, column); }

void Statement::Finalize::operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }

Result<Statement> Statement::prepare(const Database& database, std::string_view sql) {
  sqlite3_stmt* statement = nullptr;
  const int code = sqlite3_prepare_v3(database.handle(), sql.data(), static_cast<int>(sql.size()),
                                      SQLITE_PREPARE_PERSISTENT, &statement, nullptr);
  if (code != SQLITE_OK) return fail(database.error(code, fmt::format("'{}'", sql.substr(0, 60))));
  return Statement(database, statement);
}

void Statement::bind(int parameter, std::string_view blob) {
  // A null pointer would bind NULL instead of the empty text.
  const int code =
      sqlite3_bind_blob64(statement_.get(), parameter, blob.empty() ? "" : blob.data(), blob.size(), SQLITE_STATIC);
  require(code == SQLITE_OK || code == SQLITE_TOOBIG || code == SQLITE_NOMEM, "a statement has no such parameter");
}

void Statement::bind(int parameter, std::int64_t number) {
  require(sqlite3_bind_int64(statement_.get(), parameter, number) == SQLITE_OK, "a statement has no such parameter");
}

Cursor Statement::run() { return Cursor(*database_, statement_.get()); }

Status Statement::run_to_end() {
  auto rows = run();
  for (;;) {
    const auto more = rows.next();
    if (!more) return forward(more);
    if (!*more) return {};
  }
}

Result<SqliteTransaction> SqliteTransaction::begin(Database& database) {
  // The write lock at once: a reader that becomes a writer later could fail half-way.
  if (auto begun = database.execute("BEGIN IMMEDIATE"); !begun) return forward(begun);
  return SqliteTransaction(database);
}

Status SqliteTransaction::commit() {
  if (auto committed = database_->execute("COMMIT"); !committed) return committed;
  database_ = nullptr;
  return {};
}

SqliteTransaction::~SqliteTransaction() {
  // Some errors (no space) have rolled back already.
  if (database_ == nullptr || sqlite3_get_autocommit(database_->handle()) != 0) return;
  sqlite3_exec(database_->handle(), "ROLLBACK", nullptr, nullptr, nullptr);
}

}  // namespace bridgehead::state
