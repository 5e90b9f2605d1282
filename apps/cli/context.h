// What every command gets: the global options, the client, the output. Made once in main.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "base/result.h"
#include "cli/api_client.h"
#include "cli/output.h"

namespace bridgehead::cli {

struct Column {
  std::string header;
  std::function<std::string(const nlohmann::json&)> cell;
};

class Context {
 public:
  // Global options.
  std::string format_name = "table";
  std::filesystem::path config_file = Connection::default_file();
  std::string server;  // overrides the configured one
  bool quiet = false;  // no progress

  // Set by the command that was chosen; run by main after parsing.
  std::function<Status()> chosen;

  Result<std::reference_wrapper<ApiClient>> client();
  OutputFormat format() const;

  // A list answer ({"items": [...]}) or one object, in the chosen format.
  void print_list(const nlohmann::json& answer, const std::vector<Column>& columns) const;
  // `table`: label and value lines; `-o phase`: only the value of that field.
  Status print_object(const nlohmann::json& object, const std::vector<Column>& fields) const;
  void say(const std::string& line) const;  // plain words; nothing when the output is for machines

  // After a change was accepted: follows its operations to their end with progress, or (wait false) prints their ids.
  // `answer` has "operation" or "operations". The first failed operation's error is returned.
  Status follow(const nlohmann::json& answer, bool wait);
  Status follow_operation(const std::string& id, const std::string& title);

  // Asks on a terminal; elsewhere needs --yes (failed_precondition).
  Status confirm(const std::string& what, bool yes) const;

 private:
  Status print_field(const nlohmann::json& object, const std::vector<Column>& fields) const;

  std::unique_ptr<ApiClient> client_;
};

// Flags that many commands share.
struct ChangeFlags {
  bool wait = true;
  bool dry_run = false;
  std::string query() const { return dry_run ? "?dry_run=true" : ""; }
};
void add_change_flags(CLI::App& command, ChangeFlags& flags);

// Field access that never throws: "" or 0 when missing.
const nlohmann::json* find(const nlohmann::json& object, std::string_view pointer);  // "/a/b"; null = not there
std::string text(const nlohmann::json& object, std::string_view pointer);
std::uint64_t number(const nlohmann::json& object, std::string_view pointer);
// A column that shows the field at a JSON pointer ("/status/phase").
Column column(std::string header, std::string pointer);
Column bytes_column(std::string header, std::string pointer);
Column age_column(std::string header, std::string pointer);

}  // namespace bridgehead::cli
