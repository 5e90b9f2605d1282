// The command line of bridgehead-lab. Each command sets `chosen`, which main runs after parsing.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <string>

#include "base/result.h"
#include "lab/names.h"

namespace bridgehead::lab {

struct CommandContext {
  std::string name = "lab1";
  std::string directory = kDefaultBase;
  bool silent = false;
  std::function<Status()> chosen;

  Places places() const { return {std::filesystem::absolute(directory).lexically_normal(), name}; }
  void tell(const std::string& line) const {
    if (!silent) fmt::print(stderr, "{}\n", line);
  }
};

void add_lab_commands(CLI::App& app, CommandContext& context);      // up, down, status, list
void add_machine_commands(CLI::App& app, CommandContext& context);  // power, console, log
void add_access_commands(CLI::App& app, CommandContext& context);   // run, env, manager

}  // namespace bridgehead::lab
