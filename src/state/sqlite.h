// RAII around SQLite's C interface: Database, Statement, Cursor, SqliteTransaction. Not thread-safe: one thread at a
// time per Database. Errors: resource_exhausted (no space), data_corrupt (damaged, or no database), unavailable (locked
// by somebody else), permission_denied, io_error; each names the file.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"

struct sqlite3;
struct sqlite3_stmt;

namespace bridgehead::state {

class Database {
 public:
  // The file must exist (it may be empty).
  static Result<std::unique_ptr<Database>> open(const std::filesystem::path& path);
  Database(const Database&) = delete;  // statements point to it
  Database& operator=(const Database&) = delete;

  // One or more statements without results.
  Status execute(const std::string& sql);
  // What the first column of the first row says; "" without a row. For pragmas.
  Result<std::string> query_text(const std::string& sql);
  Error error(int code, std::string_view doing) const;

  sqlite3* handle() const { return handle_.get(); }
  const std::filesystem::path& path() const { return path_; }

 private:
  struct Close {
    void operator()(sqlite3* handle) const;
  };
  Database(sqlite3* handle, std::filesystem::path path) : handle_(handle), path_(std::move(path)) {}

  std::unique_ptr<sqlite3, Close> handle_;
  std::filesystem::path path_;
};

// The rows of one run of a Statement; frees it for the next run at the end of its scope.
class Cursor {
 public:
  Cursor(const Database& database, sqlite3_stmt* statement) : database_(&database), statement_(statement) {}
  Cursor(Cursor&& other) noexcept;
  Cursor& operator=(Cursor&&) = delete;
  ~Cursor();

  // False = no more rows.
  Result<bool> next();
  std::string blob(int column) const;
  std::int64_t integer(int column) const;

 private:
  const Database* database_;
  sqlite3_stmt* statement_;
};

// A prepared statement, kept for the life of its Database.
class Statement {
 public:
  static Result<Statement> prepare(const Database& database, std::string_view sql);
  Statement(Statement&&) noexcept = default;
  Statement& operator=(Statement&&) noexcept = default;

  // Parameters from 1. What they point to must live until the run's Cursor ends.
  void bind(int parameter, std::string_view blob);
  void bind(int parameter, std::int64_t number);
  Cursor run();
  // To the end, ignoring rows.
  Status run_to_end();

 private:
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const;
  };
  Statement(const Database& database, sqlite3_stmt* statement) : database_(&database), statement_(statement) {}

  const Database* database_;
  std::unique_ptr<sqlite3_stmt, Finalize> statement_;
};

// Rolls back at the end of its scope unless committed.
class SqliteTransaction {
 public:
  static Result<SqliteTransaction> begin(Database& database);
  SqliteTransaction(SqliteTransaction&& other) noexcept : database_(std::exchange(other.database_, nullptr)) {}
  SqliteTransaction& operator=(SqliteTransaction&&) = delete;
  ~SqliteTransaction();
  Status commit();

 private:
  explicit SqliteTransaction(Database& database) : database_(&database) {}
  Database* database_;
};

}  // namespace bridgehead::state
