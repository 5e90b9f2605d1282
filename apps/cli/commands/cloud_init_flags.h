// The flags that say what cloud-init does in a guest; the same for create and set.
#pragma once

#include <string>
#include <vector>

#include <CLI/App.hpp>
#include <nlohmann/json_fwd.hpp>

#include "base/result.h"

namespace bridgehead::cli {

struct CloudInitFlags {
  std::string user, hostname, password_file, user_data, network_config;
  std::vector<std::string> ssh_keys;  // keys, or files with one

  void add_to(CLI::App& command);
  // The API's cloud_init object, with what was given only; reads the files. Errors: those of reading a file.
  Result<nlohmann::json> body() const;
};

}  // namespace bridgehead::cli
