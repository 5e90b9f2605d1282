#include "state/sqlite_store.h"

#include <fcntl.h>

#include <mutex>
#include <span>

#include "base/file.h"
#include "state/callback_list.h"
#include "state/process_lock.h"
#include "state/sqlite.h"
#include "state/sqlite_schema.h"

namespace bridgehead::state {
namespace {

struct Statements {
  Statement get;
  Statement revision_of;
  Statement list;
  Statement list_to_end;
  Statement put;
  Statement erase;
  Statement set_revision;

  static Result<Statements> prepare(const Database& database) {
    const char* texts[] = {
        "SELECT value, revision FROM entries WHERE key = ?1",
        "SELECT revision FROM entries WHERE key = ?1",
        "SELECT key, value, revision FROM entries WHERE key >= ?1 AND key < ?2 ORDER BY key LIMIT ?3",
        "SELECT key, value, revision FROM entries WHERE key >= ?1 ORDER BY key LIMIT ?2",
        ("INSERT INTO entries(key, value, revision) VALUES(?1, ?2, ?3) "
         "ON CONFLICT(key) DO UPDATE SET value = excluded.value, revision = excluded.revision"),
        "DELETE FROM entries WHERE key = ?1",
        "UPDATE last_revision SET revision = ?1",
    };
    std::vector<Statement> prepared;
    for (const auto* text : texts) {
      auto statement = Statement::prepare(database, text);
      if (!statement) return forward(statement);
      prepared.push_back(std::move(*statement));
    }
    return Statements{std::move(prepared[0]), std::move(prepared[1]), std::move(prepared[2]), std::move(prepared[3]),
                      std::move(prepared[4]), std::move(prepared[5]), std::move(prepared[6])};
  }
};

// The first key after all that begin with `prefix`; empty when there is no such key.
std::optional<std::string> end_of(std::string_view prefix) {
  std::string end(prefix);
  while (!end.empty() && end.back() == '\xff') end.pop_back();
  if (end.empty()) return std::nullopt;
  end.back() = static_cast<char>(static_cast<unsigned char>(end.back()) + 1);
  return end;
}

class SqliteStore final : public StateStore {
 public:
  SqliteStore(ProcessLock lock, std::unique_ptr<Database> database, Statements statements, Revision revision)
      : lock_(std::move(lock)),
        database_(std::move(database)),
        statements_(std::move(statements)),
        revision_(revision) {}

  Result<Entry> get(std::string_view key) const override {
    const std::lock_guard lock(database_mutex_);
    statements_.get.bind(1, key);
    auto rows = statements_.get.run();
    const auto row = rows.next();
    if (!row) return forward(row);
    if (!*row) return fail(ErrorCode::not_found, "there is no '{}' in the store", key);
    return Entry{std::string(key), rows.blob(0), static_cast<Revision>(rows.integer(1))};
  }

  Result<std::vector<Entry>> list(std::string_view prefix, std::size_t limit) const override {
    const std::lock_guard lock(database_mutex_);
    const auto end = end_of(prefix);
    const std::int64_t rows_wanted = limit == 0 ? -1 : static_cast<std::int64_t>(limit);
    auto& statement = end ? statements_.list : statements_.list_to_end;
    statement.bind(1, prefix);
    if (end) statement.bind(2, *end);
    statement.bind(end ? 3 : 2, rows_wanted);
    auto rows = statement.run();
    std::vector<Entry> result;
    for (;;) {
      const auto row = rows.next();
      if (!row) return forward(row);
      if (!*row) return result;
      result.push_back({rows.blob(0), rows.blob(1), static_cast<Revision>(rows.integer(2))});
    }
  }

  // Whoever gets the order lock first commits for all that have queued up behind it: one sync for many.
  Result<Revision> commit(const Transaction& transaction) override {
    Request request{&transaction};
    {
      const std::lock_guard lock(queue_mutex_);
      queue_.push_back(&request);
    }
    const std::lock_guard order(order_mutex_);
    if (!request.done) serve_queue();
    return request.result;
  }

  Revision revision() const override { return revision_; }

  std::optional<Error> write_error() const override {
    const std::lock_guard lock(write_error_mutex_);
    return write_error_;
  }

  std::unique_ptr<Watch> watch(Watcher watcher) override { return watchers_.add(std::move(watcher)); }

 private:
  struct Request {
    const Transaction* transaction;
    Result<Revision> result = Revision{0};
    bool done = false;  // guarded by order_mutex_
  };

  void serve_queue() {
    std::vector<Request*> group;
    {
      const std::lock_guard lock(queue_mutex_);
      group.swap(queue_);
    }
    {
      const std::lock_guard lock(database_mutex_);
      if (auto committed = commit_group(group); !committed) {
        // One that is too large for the disk must not take the others down with it.
        for (auto*& request : group) {
          if (auto alone = group.size() == 1 ? committed : commit_group({&request, 1}); !alone) {
            request->result = forward(alone);
          }
        }
      }
    }
    for (auto* request : group) {
      if (request->transaction->empty()) {
        // says nothing of the disk
      } else if (request->result) {
        note_write({});
        watchers_.call(Commit{*request->result, request->transaction->changes()});
      } else if (request->result.error().code != ErrorCode::conflict) {
        note_write(request->result.error());
      }
      request->done = true;
    }
  }

  void note_write(std::optional<Error> error) {
    const std::lock_guard lock(write_error_mutex_);
    write_error_ = std::move(error);
  }

  // In one SQLite transaction. A conflict is the result of its request only; an error means that nothing was changed.
  Status commit_group(std::span<Request* const> group) {
    auto transaction = SqliteTransaction::begin(*database_);
    if (!transaction) return forward(transaction);
    Revision last = revision_;
    for (auto* request : group) {
      const auto conflict = find_conflict(*request->transaction);
      if (!conflict) return forward(conflict);
      if (*conflict != nullptr) {
        request->result = conflict_at(**conflict);
        continue;
      }
      if (!request->transaction->empty()) {
        ++last;
        if (auto written = write_changes(*request->transaction, last); !written) return written;
      }
      request->result = last;
    }
    if (last == revision_) return {};
    statements_.set_revision.bind(1, static_cast<std::int64_t>(last));
    if (auto set = statements_.set_revision.run_to_end(); !set) return set;
    if (auto committed = transaction->commit(); !committed) return committed;
    revision_ = last;
    return {};
  }

  Result<const Transaction::Condition*> find_conflict(const Transaction& transaction) {
    for (const auto& condition : transaction.conditions()) {
      statements_.revision_of.bind(1, condition.key);
      auto rows = statements_.revision_of.run();
      const auto row = rows.next();
      if (!row) return forward(row);
      if (!holds(condition, *row ? static_cast<Revision>(rows.integer(0)) : 0)) return &condition;
    }
    return nullptr;
  }

  Status write_changes(const Transaction& transaction, Revision revision) {
    for (const auto& change : transaction.changes()) {
      auto& statement = change.value ? statements_.put : statements_.erase;
      statement.bind(1, change.key);
      if (change.value) {
        statement.bind(2, *change.value);
        statement.bind(3, static_cast<std::int64_t>(revision));
      }
      if (auto done = statement.run_to_end(); !done) return done;
    }
    return {};
  }

  ProcessLock lock_;                   // first: released last
  std::mutex order_mutex_;             // held over a group and its watchers; taken before database_mutex_
  mutable std::mutex database_mutex_;  // guards the two below
  std::unique_ptr<Database> database_;
  mutable Statements statements_;
  std::atomic<Revision> revision_;
  std::mutex queue_mutex_;
  std::vector<Request*> queue_;
  mutable std::mutex write_error_mutex_;
  std::optional<Error> write_error_;
  CallbackList<const Commit&> watchers_;
};

Status make_file(const std::filesystem::path& path) {
  std::error_code unreadable;
  if (std::filesystem::exists(path, unreadable)) return {};
  auto fd = open_file(path, O_RDWR | O_CREAT, 0600);
  if (!fd) return forward(fd);
  return sync_directory(path.has_parent_path() ? path.parent_path() : ".");
}

Status check_integrity(Database& database) {
  const auto found = database.query_text("PRAGMA quick_check(1)");
  if (!found) return forward(found);
  if (*found == "ok") return {};
  return fail_with_hint(ErrorCode::data_corrupt, fmt::format("{} is damaged: {}", database.path().native(), *found),
                        fmt::format("Move {} away and restore it from a backup.", database.path().native()));
}

Status configure(Database& database, const SqliteStoreOptions& options) {
  const auto mode = database.query_text("PRAGMA journal_mode=WAL");
  if (!mode) return forward(mode);
  if (*mode != "wal") {
    return fail(ErrorCode::unsupported, "the file system of {} can't hold a write-ahead log (SQLite uses '{}' instead)",
                database.path().native(), *mode);
  }
  // FULL: synced at every commit. The log is cut back when a burst has made it large.
  Status done =
      database.execute("PRAGMA synchronous=FULL; PRAGMA journal_size_limit=16777216; PRAGMA temp_store=MEMORY");
  if (done && options.max_pages != 0)
    done = database.execute(fmt::format("PRAGMA max_page_count={}", options.max_pages));
  return done;
}

}  // namespace

Result<std::unique_ptr<StateStore>> open_sqlite_store(const std::filesystem::path& path, SqliteStoreOptions options) {
  auto lock = ProcessLock::acquire(path.native() + ".lock", path);
  if (!lock) return forward(lock);
  if (auto made = make_file(path); !made) return forward(made);
  auto database = Database::open(path);
  if (!database) return forward(database);
  if (auto whole = check_integrity(**database); !whole) return forward(whole);
  // Before anything is set: somebody else's database is left as it is.
  if (auto migrated = migrate(**database, store_migrations()); !migrated) return forward(migrated);
  if (auto configured = configure(**database, options); !configured) return forward(configured);
  auto statements = Statements::prepare(**database);
  if (!statements) return forward(statements);
  auto read = Statement::prepare(**database, "SELECT revision FROM last_revision");
  if (!read) return forward(read);
  Revision revision = 0;
  {
    auto rows = read->run();
    const auto row = rows.next();
    if (!row) return forward(row);
    if (!*row) return fail(ErrorCode::data_corrupt, "{} has lost its revision", path.native());
    revision = static_cast<Revision>(rows.integer(0));
  }
  return std::make_unique<SqliteStore>(std::move(*lock), std::move(*database), std::move(*statements), revision);
}

}  // namespace bridgehead::state
