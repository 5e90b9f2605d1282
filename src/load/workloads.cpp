#include "load/workloads.h"

#include <algorithm>
#include <array>

namespace bridgehead::load {
namespace {

constexpr std::uint64_t kLarge = 1 << 20;
constexpr std::uint64_t kSmall = 4096;

struct Kind {
  std::string_view name;
  std::string_view what;
  std::string_view pattern;  // fio's rw
  bool in_operations;
  bool writes;
  bool others_file;  // it reads what another client has written
};

constexpr std::array kKinds{
    Kind{"large-write", "writes a file from its beginning to its end, then fsync", "write", false, true, false},
    Kind{"large-read", "reads the file of another node from its beginning to its end", "read", false, false, true},
    Kind{"random-write", "writes blocks anywhere in its file, fsync after each", "randwrite", true, true, false},
    Kind{"random-read", "reads blocks anywhere in the file of another node", "randread", true, false, true},
    Kind{"mixed", "reads (70 %) and writes (30 %) blocks anywhere in its file, fsync after each", "randrw", true, true,
         false},
};

const Kind* kind_of(const std::string& name) {
  const auto* found = std::find_if(kKinds.begin(), kKinds.end(), [&](const Kind& kind) { return kind.name == name; });
  return found == kKinds.end() ? nullptr : found;
}

}  // namespace

std::vector<std::string> workload_names() {
  std::vector<std::string> names;
  for (const auto& kind : kKinds) names.emplace_back(kind.name);
  return names;
}

Result<bench::Workload> workload_of(const std::string& name, const Size& size) {
  const auto* kind = kind_of(name);
  if (kind == nullptr) {
    return fail_with_hint(ErrorCode::invalid_argument, fmt::format("there is no workload '{}'", name),
                          fmt::format("There are: {}", fmt::join(workload_names(), ", ")));
  }
  if (size.node_bytes < 4_MiB || size.node_bytes > 16_TiB) {
    return fail(ErrorCode::invalid_argument, "each client's file takes 4 MiB to 16 TiB, not {}",
                size.node_bytes.human());
  }
  if (size.seconds.count() < 1 || size.seconds > std::chrono::hours(24)) {
    return fail(ErrorCode::invalid_argument, "a run takes 1 second to a day, not {} s", size.seconds.count());
  }
  const auto block = kind->in_operations ? kSmall : kLarge;
  return bench::Workload{.name = name,
                         .what = fmt::format("{}; file of {}, blocks of {}, at most {} s", kind->what,
                                             size.node_bytes.human(), Bytes(block).human(), size.seconds.count()),
                         .in_operations = kind->in_operations,
                         .writes = kind->writes,
                         .node_bytes = size.node_bytes.count() / kLarge * kLarge,
                         .block_bytes = block,
                         .seconds = static_cast<double>(size.seconds.count()),
                         .direct = false};
}

Command fio_command(const bench::Workload& workload, const Files& files) {
  const auto* kind = kind_of(workload.name);
  require(kind != nullptr, "a workload of nobody's");
  const auto file = files.directory / ((kind->others_file ? files.other : files.own) + ".data");
  Command command;
  // fio must not outlive the client that was killed.
  command.program = "setpriv";
  command.arguments = {"--pdeathsig",
                       "KILL",
                       "fio",
                       "--thread=1",  // a job of its own process would outlive it
                       "--output-format=json",
                       "--name=" + workload.name,
                       "--filename=" + file.native(),
                       fmt::format("--rw={}", kind->pattern),
                       fmt::format("--bs={}", workload.block_bytes),
                       fmt::format("--size={}", workload.node_bytes),
                       fmt::format("--runtime={:.0f}", workload.seconds),
                       "--ioengine=psync",
                       "--invalidate=1",
                       "--randrepeat=0",
                       "--allow_file_create=" + std::string(kind->others_file ? "0" : "1")};
  const auto add = [&](const char* argument) { command.arguments.emplace_back(argument); };
  if (kind->writes) {
    add("--refill_buffers=1");  // nothing that compresses, and nothing twice
    if (!kind->in_operations) {
      add("--end_fsync=1");
      add("--fallocate=none");
    }
  }
  if (kind->in_operations) {
    add("--time_based=1");
    add("--norandommap=1");
    if (kind->writes) add("--fsync=1");
  }
  if (kind->pattern == "randrw") add("--rwmixread=70");
  // A file system that hangs must not hold the client for ever; the last fsync may take as long as all before.
  command.timeout = std::chrono::seconds(static_cast<std::int64_t>(workload.seconds * 3) + 60);
  return command;
}

}  // namespace bridgehead::load
