#include "load/workloads.h"

#include <algorithm>
#include <array>

namespace bridgehead::load {
namespace {

constexpr std::uint64_t kLarge = 1 << 20;
constexpr std::uint64_t kSmall = 4096;
constexpr unsigned kFiles = 2000;  // that a client creates, of no content
constexpr unsigned kMostUsers = 64;
constexpr std::string_view kMetadata = "metadata";

enum class On { image, user_files, many_files };

struct Kind {
  std::string_view name;
  std::string_view what;
  std::string_view pattern;  // fio's rw
  On on;
  bool in_operations;
  bool writes;
  bool others;  // it is about what another client has written
  std::string_view engine = "psync";
};

constexpr std::array kKinds{
    Kind{"image-write", "writes a file from its beginning to its end, then fsync", "write", On::image, false, true,
         false},
    Kind{"image-read", "reads the file of another node from its beginning to its end", "read", On::image, false, false,
         true},
    Kind{"users-write", "each user writes a file from its beginning to its end, then fsync", "write", On::user_files,
         false, true, false},
    Kind{"users-read", "each user reads a file of another node's user from its beginning to its end", "read",
         On::user_files, false, false, true},
    Kind{"random-write", "writes blocks anywhere in its file, fsync after each", "randwrite", On::image, true, true,
         false},
    Kind{"random-read", "reads blocks anywhere in the file of another node", "randread", On::image, true, false, true},
    Kind{"mixed", "reads (70 %) and writes (30 %) blocks anywhere in its file, fsync after each", "randrw", On::image,
         true, true, false},
    Kind{"file-create", "each user creates files", "read", On::many_files, true, true, false, "filecreate"},
    Kind{"file-stat", "each user asks for the attributes of the files that its node has created", "read",
         On::many_files, true, false, false, "filestat"},
    Kind{"file-delete", "each user deletes the files that its node has created", "read", On::many_files, true, true,
         false, "filedelete"},
};

const Kind* kind_of(std::string_view name) {
  const auto* found = std::find_if(kKinds.begin(), kKinds.end(), [&](const Kind& kind) { return kind.name == name; });
  return found == kKinds.end() ? nullptr : found;
}

Error unknown(std::string_view name) {
  return {ErrorCode::invalid_argument, fmt::format("there is no workload '{}'", name),
          fmt::format("There are: {}, {}", fmt::join(workload_names(), ", "), kMetadata)};
}

unsigned jobs_of(const Kind& kind, const Size& size) { return kind.on == On::image ? 1 : size.users; }

// Whole blocks, the same for each user.
std::uint64_t bytes_of(const Kind& kind, const Size& size) {
  const auto jobs = jobs_of(kind, size);
  return size.node_bytes.count() / jobs / kLarge * kLarge * jobs;
}

Status check(const Size& size) {
  if (size.node_bytes < 4_MiB || size.node_bytes > 16_TiB) {
    return fail(ErrorCode::invalid_argument, "each client's file takes 4 MiB to 16 TiB, not {}",
                size.node_bytes.human());
  }
  if (size.seconds.count() < 1 || size.seconds > std::chrono::hours(24)) {
    return fail(ErrorCode::invalid_argument, "a run takes 1 second to a day, not {} s", size.seconds.count());
  }
  if (size.users < 1 || size.users > kMostUsers || size.node_bytes.count() / size.users < (1_MiB).count()) {
    return fail(ErrorCode::invalid_argument, "each client has 1 to {} users, with a file of 1 MiB at least, not {}",
                kMostUsers, size.users);
  }
  if (size.rate > Bytes() && size.rate < 64_KiB) {
    return fail(ErrorCode::invalid_argument, "a client's rate is at least 64 KiB a second, not {}", size.rate.human());
  }
  return {};
}

// In fio's lists of files a colon separates two.
std::string escaped(const std::filesystem::path& path) {
  std::string text;
  for (const char c : path.native()) text += c == ':' ? std::string("\\:") : std::string(1, c);
  return text;
}

std::vector<std::string> file_arguments(const Kind& kind, const Size& size, const Files& files) {
  std::vector<std::string> all{"--directory=" + escaped(kind.others ? files.other : files.own),
                               fmt::format("--numjobs={}", jobs_of(kind, size))};
  if (kind.on == On::many_files) {
    all.insert(all.end(),
               {"--filename_format=file.$jobnum.$filenum",
                fmt::format("--nrfiles={}", files.each > 0 ? files.each : kFiles / size.users), "--openfiles=1",
                fmt::format("--filesize={}", kSmall), fmt::format("--bs={}", kSmall), "--fallocate=none",
                "--create_on_open=1"});  // otherwise fio would fill them before it begins
    return all;
  }
  all.insert(all.end(), {kind.on == On::image ? "--filename_format=image" : "--filename_format=user.$jobnum",
                         "--allow_file_create=" + std::string(kind.others ? "0" : "1")});
  return all;
}

// Each user has a part of the disk.
std::vector<std::string> device_arguments(const Kind& kind, const bench::Workload& workload, const Size& size,
                                          const std::string& device) {
  const auto jobs = jobs_of(kind, size);
  return {"--filename=" + device, fmt::format("--numjobs={}", jobs),
          fmt::format("--offset_increment={}", workload.node_bytes / jobs)};
}

// Of both ways; before what is about files or a disk.
std::vector<std::string> general_arguments(const Kind& kind, const bench::Workload& workload) {
  return {"--thread=1",  // a job of its own process would outlive it
          "--output-format=json", "--name=" + workload.name,
          // The gate, right before a job's first operation: a word of the shell's own waits until the
          // input ends, and what it then prints tells when. Not into the pool, which others use by then.
          "--exec_prerun=read never; echo", fmt::format("--rw={}", kind.pattern),
          fmt::format("--runtime={:.0f}", workload.seconds), fmt::format("--ioengine={}", kind.engine),
          "--randrepeat=0"};
}

// Of what has content.
std::vector<std::string> content_arguments(const Kind& kind, const bench::Workload& workload, const Size& size) {
  std::vector<std::string> all{fmt::format("--size={}", workload.node_bytes / jobs_of(kind, size)),
                               fmt::format("--bs={}", workload.block_bytes), "--invalidate=1"};
  if (size.rate > Bytes()) all.push_back(fmt::format("--rate={}", size.rate.count() / jobs_of(kind, size)));
  if (kind.writes) all.emplace_back("--refill_buffers=1");  // nothing that compresses, and nothing twice
  if (kind.writes && !kind.in_operations) all.insert(all.end(), {"--end_fsync=1", "--fallocate=none"});
  if (kind.in_operations) {
    all.insert(all.end(), {"--time_based=1", "--norandommap=1"});
    if (kind.writes) all.emplace_back("--fsync=1");
  }
  if (kind.pattern == "randrw") all.emplace_back("--rwmixread=70");
  return all;
}

void append(std::vector<std::string>& all, std::vector<std::string> more) {
  all.insert(all.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
}

}  // namespace

std::vector<std::string> workload_names() {
  std::vector<std::string> names;
  for (const auto& kind : kKinds) names.emplace_back(kind.name);
  return names;
}

Result<std::vector<std::string>> workloads_of(const std::vector<std::string>& names) {
  for (const auto& name : names) {
    if (name != kMetadata && kind_of(name) == nullptr) return fail(unknown(name));
  }
  const auto is_metadata = [](const std::string& name) {
    const auto* kind = kind_of(name);
    return name == kMetadata || kind->on == On::many_files;
  };
  const bool metadata = std::any_of(names.begin(), names.end(), is_metadata);
  std::vector<std::string> all;
  for (const auto& kind : kKinds) {
    const bool named = std::find(names.begin(), names.end(), kind.name) != names.end();
    if (named || (metadata && kind.on == On::many_files)) all.emplace_back(kind.name);
  }
  if (all.empty()) return fail(ErrorCode::invalid_argument, "a benchmark needs a workload");
  return all;
}

Result<bench::Workload> workload_of(const std::string& name, const Size& size) {
  const auto* kind = kind_of(name);
  if (kind == nullptr) return fail(unknown(name));
  if (auto sound = check(size); !sound) return forward(sound);
  bench::Workload workload{.name = name, .in_operations = kind->in_operations, .writes = kind->writes};
  workload.seconds = static_cast<double>(size.seconds.count());
  std::string how;
  if (kind->on == On::many_files) {
    how = fmt::format("{} files by {} users", kFiles / size.users * size.users, size.users);
  } else {
    workload.node_bytes = bytes_of(*kind, size);
    workload.block_bytes = kind->in_operations ? kSmall : kLarge;
    how = fmt::format("{} of {}, blocks of {}",
                      kind->on == On::image ? "file" : fmt::format("files of {} users, together", size.users),
                      Bytes(workload.node_bytes).human(), Bytes(workload.block_bytes).human());
    if (size.rate > Bytes()) how += fmt::format(", no more than {}/s", size.rate.human());
  }
  workload.what = fmt::format("{}; {}, at most {} s", kind->what, how, size.seconds.count());
  return workload;
}

bool needs_small_files(const std::string& name) {
  const auto* kind = kind_of(name);
  return kind != nullptr && kind->on == On::many_files && kind->engine != "filecreate";
}

Status check_in_guest(const std::string& name) {
  const auto* kind = kind_of(name);
  if (kind == nullptr || kind->on != On::many_files) return {};
  return fail_with_hint(ErrorCode::unsupported,
                        fmt::format("{} would be about the guest's own file system, not about its disk", name),
                        "Leave it out, or measure it on the nodes (--through hosts).");
}

std::string prepared_by(const std::string& name) {
  const auto* kind = kind_of(name);
  if (kind == nullptr || kind->on == On::many_files) return {};
  return kind->on == On::image ? "image-write" : "users-write";
}

// fio names what `exec_prerun` prints so, in the folder it runs in.
std::filesystem::path gate_file(const bench::Workload& workload, const Files& files) {
  return files.gate / (workload.name + ".prerun.txt");
}

Command fio_command(const bench::Workload& workload, const Size& size, const Files& files, Timestamp at) {
  const auto* kind = kind_of(workload.name);
  require(kind != nullptr, "a workload of nobody's");
  Command command;
  // fio must not outlive the client that was killed.
  command.program = "setpriv";
  command.arguments = {"--pdeathsig", "KILL", "env", "--chdir=" + files.gate.native(), "fio"};
  append(command.arguments, general_arguments(*kind, workload));
  append(command.arguments, file_arguments(*kind, size, files));
  if (kind->on != On::many_files) append(command.arguments, content_arguments(*kind, workload, size));
  command.input_ends = at;
  command.timeout = longest(workload);
  return command;
}

std::vector<std::string> fio_arguments_in_guest(const bench::Workload& workload, const Size& size,
                                                const std::string& device) {
  const auto* kind = kind_of(workload.name);
  require(kind != nullptr && kind->on != On::many_files, "a workload that isn't for guests");
  auto all = general_arguments(*kind, workload);
  append(all, device_arguments(*kind, workload, size, device));
  append(all, content_arguments(*kind, workload, size));
  return all;
}

// A file system that hangs must not hold the client for ever; the last fsync may take as long as all before.
std::chrono::seconds longest(const bench::Workload& workload) {
  return std::chrono::seconds(static_cast<std::int64_t>(workload.seconds * 3) + 60);
}

}  // namespace bridgehead::load
