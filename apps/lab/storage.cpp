#include "lab/storage.h"

#include <charconv>
#include <csignal>
#include <thread>

#include "base/file.h"
#include "lab/network_namespace.h"
#include "lab/report.h"
#include "lab/storage_start.h"

namespace bridgehead::lab {

Result<StorageWish> parse_storage(std::string_view text) {
  StorageWish wish;
  const auto colon = text.find(':');
  const auto kind = model::parse_enum<StorageKind>(text.substr(0, colon));
  if (!kind) return forward(kind);
  wish.kind = *kind;
  if (wish.kind == StorageKind::nfs) wish.servers = 1;
  if (colon == std::string_view::npos) return wish;
  const auto number = text.substr(colon + 1);
  const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), wish.servers);
  const unsigned most = wish.kind == StorageKind::nfs ? 1 : kMostServers;
  if (error != std::errc() || end != number.data() + number.size() || wish.servers < 1 || wish.servers > most) {
    return fail_with_hint(ErrorCode::invalid_argument,
                          fmt::format("--storage: {} can't have '{}' servers", model::to_string(wish.kind), number),
                          wish.kind == StorageKind::nfs ? std::string("It has one: --storage nfs.")
                                                        : fmt::format("Use 1 to {}, as in --storage moosefs:5.", most));
  }
  return wish;
}

std::vector<std::string> server_names(const StorageWish& wish) {
  if (wish.kind == StorageKind::nfs) return {"nfs"};
  const bool moosefs = wish.kind == StorageKind::moosefs;
  std::vector<std::string> names{moosefs ? "master" : "monitor"};
  for (unsigned i = 1; i <= wish.servers; ++i) names.push_back(fmt::format("{}{}", moosefs ? "chunk" : "osd", i));
  return names;
}

std::vector<NeededProgram> server_programs(StorageKind kind) {
  switch (kind) {
    case StorageKind::moosefs:
      return {{"mfsmaster", "moosefs-master"},
              {"mfschunkserver", "moosefs-chunkserver"},
              {"mfscli", "moosefs-cli"},
              {"mfsmount", "moosefs-client"}};
    case StorageKind::cephfs:
      return {{"ceph-mon", "ceph-mon"}, {"ceph-mgr", "ceph-mgr"}, {"ceph-osd", "ceph-osd"},
              {"ceph-mds", "ceph-mds"}, {"ceph", "ceph-common"},  {"monmaptool", "ceph-common"}};
    case StorageKind::nfs: return {{"ganesha.nfsd", "nfs-ganesha and nfs-ganesha-vfs"}, {"rpcbind", "rpcbind"}};
  }
  return {};
}

std::vector<NeededProgram> client_programs(StorageKind kind) {
  switch (kind) {
    case StorageKind::moosefs: return {{"mfsmount", "moosefs-client"}};
    case StorageKind::cephfs: return {{"ceph-fuse", "ceph-fuse"}};
    case StorageKind::nfs: return {{"mount.nfs", "nfs-common"}};
  }
  return {};
}

PoolSource pool_source(const Storage& storage) {
  const auto& address = storage.servers.front().address;
  switch (storage.kind) {
    case StorageKind::moosefs: return {address, {}};
    case StorageKind::cephfs: return {address, {fmt::format("config={}", kCephConfig)}};
    case StorageKind::nfs: return {address + ":/vm", {}};
  }
  return {};
}

std::filesystem::path ceph_config(const Places& places) { return places.storage() / "etc" / "ceph.conf"; }

Status StorageStart::start(Member& server, Command command, std::vector<Bind> binds) {
  // MooseFS's servers look a thousand times a second whether there is something to do. Many share one machine here.
  const Daemon daemon{.command = std::move(command),
                      .network_namespace = places_->namespace_file_of(server.name),
                      .binds = std::move(binds),
                      .log = log(server.name),
                      .timer_slack = std::chrono::milliseconds(10)};
  const auto started = start_daemon(daemon, [&](const ProcessId& process) -> Status {
    // What else the server runs is found by its namespace.
    if (server.process.pid != 0) return {};
    server.process = process;
    return save_();
  });
  return started ? Status() : forward(started);
}

Result<CommandOutput> StorageStart::run(const Command& command) {
  Result<CommandOutput> output = fail(ErrorCode::internal, "it wasn't run");
  const auto entered = run_in_namespace(places_->namespace_file(), [&]() -> Status {
    output = runner_->run(command);
    return {};
  });
  if (!entered) return forward(entered);
  return output;
}

Status StorageStart::wait(const Member& server, std::string_view what, std::chrono::seconds patience,
                          const std::function<bool()>& done) {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  while (std::chrono::steady_clock::now() < deadline) {
    if (!is_running(server.process)) {
      return fail(ErrorCode::failed_precondition, "{} has ended; its log says:\n{}", server.name,
                  last_lines(log(server.name)));
    }
    if (done()) return {};
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  return fail(ErrorCode::timeout, "{} not ready after {} s; the log of {} says:\n{}", what, patience.count(),
              server.name, last_lines(log(server.name)));
}

Status start_storage(CommandRunner& runner, const Places& places, Storage& storage,
                     const std::function<Status()>& save) {
  StorageStart start(runner, places, storage, save);
  if (auto made = make_directories(start.directory(), 0755); !made) return made;
  switch (storage.kind) {
    case StorageKind::moosefs: return start_moosefs(start);
    case StorageKind::cephfs: return start_cephfs(start);
    case StorageKind::nfs: return start_nfs(start);
  }
  return {};
}

Status pause_storage(const Places& places, const Storage& storage, Pausing what) {
  for (const auto& server : storage.servers) {
    const auto processes = processes_in(places.namespace_file_of(server.name));
    if (!processes) return forward(processes);
    for (const auto& process : *processes) send_signal(process, what == Pausing::pause ? SIGSTOP : SIGCONT);
  }
  return {};
}

}  // namespace bridgehead::lab
