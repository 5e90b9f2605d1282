// The verbs that every noun has, written once: list, show, and a guarded delete.
#pragma once

#include <memory>

#include "cli/context.h"

namespace bridgehead::cli {

struct Noun {
  std::string singular;         // "pool"
  std::string collection;       // "/pools"
  std::vector<Column> columns;  // of `list`, and the first of `show`
  std::vector<Column> details;  // more of `show`
};

// Runs `action` with the client when the command was chosen.
void on_chosen(CLI::App& command, Context& context, std::function<Status(ApiClient&)> action);

CLI::App& add_noun(CLI::App& root, const std::string& name, const std::string& help);
void add_list(CLI::App& noun, Context& context, const Noun& words);
void add_show(CLI::App& noun, Context& context, const Noun& words);
// DELETE with a question; `warning` completes "Delete the pool local?".
CLI::App& add_delete(CLI::App& noun, Context& context, const Noun& words, const std::string& verb,
                     const std::string& help, const std::string& warning);
// POST (or another method by `send`) to an object's path: "start", "pause" and so on.
CLI::App& add_object_argument(CLI::App& command, const std::string& singular, const std::shared_ptr<std::string>& name);

}  // namespace bridgehead::cli
