// Workloads: the kinds of work that a storage benchmark knows, and fio's arguments for each. Pure; thread-safe.
#pragma once

#include <filesystem>

#include "base/command.h"
#include "bench/record.h"

namespace bridgehead::load {

struct Size {
  Bytes node_bytes;                  // the file of each client
  std::chrono::seconds seconds{30};  // what isn't done by then stays undone
};

// In the order in which they run: those that read need the file that large-write has written.
std::vector<std::string> workload_names();
// Errors: invalid_argument (no such workload; a file or time that is too small or too large).
Result<bench::Workload> workload_of(const std::string& name, const Size& size);

// The file of a client, and of whom it reads.
struct Files {
  std::filesystem::path directory;
  std::string own;
  std::string other;
};
// Data is random; caches of the files are dropped before; writes count only once they are safe. fio ends with whoever
// started it. The workload must be one of workload_of.
Command fio_command(const bench::Workload& workload, const Files& files);

}  // namespace bridgehead::load
