// What a pool's fields may hold, driver by driver: the one place that knows which driver needs which source, path and
// options. Pure functions. Errors: invalid_argument, beginning with the field's name, saying what the driver needs.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "model/pool.h"

namespace bridgehead::model {

// "10.0.0.5@tcp:/scratch" -> servers "10.0.0.5@tcp", folder "/scratch"; the folder is "" where none is written.
struct PoolSource {
  std::string servers;
  std::string folder;
};
PoolSource split_source(std::string_view source);

enum class PoolOptionKind { word, path, count, size, choice, logins };
struct PoolOption {
  PoolDriver driver;
  std::string_view name;
  PoolOptionKind kind;
  std::string_view meaning;       // for people
  std::string_view choices = {};  // kind choice: "on|off"
};
// Of all drivers; no value of any of them can hold a comma, a space or a quote.
std::span<const PoolOption> pool_options();

Status check_pool_place(PoolDriver driver, std::string_view source, std::string_view path,
                        const std::map<std::string, std::string>& options);
// The options alone.
Status check_pool_options(PoolDriver driver, const std::map<std::string, std::string>& options);

// A dead node's locks in it can be freed by another node: its driver has a way, and was given what that needs.
bool can_free_locks(const Pool& pool);

// New files can be told over how many storage targets they are spread.
bool spreads_files(const Pool& pool);

}  // namespace bridgehead::model
