// nbdkit as a value: serves every file of a directory, read-only, as the NBD export of its name. Images come and go
// while it runs. Free functions; thread-safe as the file system is.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/supervisor.h"

namespace bridgehead::netboot {

struct NbdServerPlan {
  std::string address;  // to listen on
  std::uint16_t port = 10809;
  std::filesystem::path exports;  // the directory; files are the exports
  std::size_t threads = 16;       // that serve requests, per connection
  bool operator==(const NbdServerPlan&) const = default;
};

// Service "nbdkit". invalid_argument: a bad address.
Result<ServiceSpec> nbd_service(const NbdServerPlan& plan);

// Shows `file` as the export `name` (an image's id or name; no '/', not beginning with '.'), replacing one of that
// name.
Status publish_nbd_export(const std::filesystem::path& exports, const std::string& name,
                          const std::filesystem::path& file);
// Clients that have it open keep it. Missing is success.
Status withdraw_nbd_export(const std::filesystem::path& exports, const std::string& name);
std::vector<std::string> nbd_exports(const std::filesystem::path& exports);  // that are shown

}  // namespace bridgehead::netboot
