#include "base/file.h"
#include "lab/storage_start.h"

namespace bridgehead::lab {
namespace {

constexpr std::chrono::seconds kNfsPatience{180};

std::string configuration(const std::filesystem::path& exported) {
  return fmt::format(
      "NFS_CORE_PARAM {{ Protocols = 3, 4; MNT_Port = 20048; Enable_NLM = false; Enable_RQUOTA = false; }}\n"
      "NFSV4 {{ Minor_Versions = 0, 1, 2; Graceless = true; RecoveryBackend = fs; Only_Numeric_Owners = true; "
      "Lease_Lifetime = 10; }}\n"
      "EXPORT {{\n  Export_Id = 1; Path = \"{}\"; Pseudo = \"/vm\"; Protocols = 3, 4; Transports = TCP; SecType = "
      "sys;\n"
      "  Squash = No_Root_Squash; Access_Type = RW;\n  FSAL {{ Name = VFS; }}\n}}\n",
      exported.native());
}

}  // namespace

Status start_nfs(StorageStart& start) {
  auto& server = start.servers().front();
  const auto data = start.directory() / server.name;
  for (const auto* part : {"export", "state", "run/ganesha", "run/rpcbind"}) {
    if (auto made = make_directories(data / part); !made) return made;
  }
  const auto file = data / "ganesha.conf";
  if (auto done = write_file_atomic(file, configuration(data / "export"), 0644); !done) return done;
  // Version 3 is for clients outside of kernels, and needs a port mapper.
  const Bind run{data / "run", "/run"};
  if (auto mapper = start.start(server, {.program = "rpcbind", .arguments = {"-f"}}, {run}); !mapper) return mapper;
  const auto listens = [&](int port) {
    return [&start, &server, port] {
      const auto listed =
          start.run({.program = "ss",
                     .arguments = {"-N", start.namespace_of(server), "-Hltn", fmt::format("sport = :{}", port)}});
      return listed && !listed->out.empty();
    };
  };
  if (auto ready = start.wait(server, "the port mapper is", kNfsPatience, listens(111)); !ready) return ready;
  // Its places under /run and /var/lib are its own. The record is of the server; the mapper is found by its namespace.
  server.process = {};
  const auto started =
      start.start(server,
                  {.program = "ganesha.nfsd",
                   .arguments = {"-F", "-f", file.native(), "-L", "/dev/stdout", "-p", "/run/ganesha.pid"}},
                  {run, {data / "state", "/var/lib/nfs"}});
  if (!started) return started;
  return start.wait(server, "the NFS server is", kNfsPatience, listens(2049));
}

}  // namespace bridgehead::lab
