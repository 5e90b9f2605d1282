// Workloads: the kinds of work that a storage benchmark knows, and fio's arguments for each. Pure; thread-safe.
#pragma once

#include <filesystem>

#include "base/command.h"
#include "bench/record.h"

namespace bridgehead::load {

struct Size {
  Bytes node_bytes;                  // the files of each client, in each workload
  std::chrono::seconds seconds{30};  // what isn't done by then stays undone
  unsigned users = 4;                // at once on each client, in the workloads of several users
  Bytes rate;                        // a second, most of each client and way; 0 = no limit
};

// In the order in which they run: those that read, ask for or delete files need the ones that write or create them.
std::vector<std::string> workload_names();
// Each once, in that order. "metadata", and each of them, stands for file-create, file-stat and file-delete: none can
// be without the others.
// Errors: invalid_argument (no such workload, or none).
Result<std::vector<std::string>> workloads_of(const std::vector<std::string>& names);
// Errors: invalid_argument (no such workload; files, time, users or a rate that are too small or too large).
Result<bench::Workload> workload_of(const std::string& name, const Size& size);
// Errors: unsupported (it isn't about a guest's disk).
Status check_in_guest(const std::string& name);
// What must have written every client's files before this one counts; "" = nothing.
std::string prepared_by(const std::string& name);

// The folder of a client, and of whom it reads.
struct Files {
  std::filesystem::path own;
  std::filesystem::path other;
  std::filesystem::path gate;  // a folder of this node's own file system, for what the gate writes
  unsigned each = 0;           // small files of each user that are there; 0: they are to be made
};
// Whether a workload is about small files that file-create has made; their names: file.<user>.<number>, from 0 on.
bool needs_small_files(const std::string& name);
// Data is random; caches of the files are dropped before; writes count only once they are safe. fio ends with whoever
// started it. It gets ready and then waits for the end of its standard input, which is `at`: getting ready takes it a
// part of a second, each time another one. Once the last of its jobs has been let through, gate_file has just been
// written to. The workload must be one of workload_of.
std::filesystem::path gate_file(const bench::Workload& workload, const Files& files);
Command fio_command(const bench::Workload& workload, const Size& size, const Files& files, Timestamp at);

// The same work on a guest's disk, without a file system on it: arguments of fio, and how long it may take. It runs in
// the folder that gets gate_file's name, and waits for the end of its standard input as well.
std::vector<std::string> fio_arguments_in_guest(const bench::Workload& workload, const Size& size,
                                                const std::string& device);
std::chrono::seconds longest(const bench::Workload& workload);

}  // namespace bridgehead::load
