#include <nlohmann/json.hpp>

#include "base/file.h"
#include "lab/storage_start.h"

namespace bridgehead::lab {
namespace {

constexpr std::chrono::seconds kCephPatience{270};

std::string configuration(const std::filesystem::path& data, const std::string& fsid, const Member& monitor) {
  return fmt::format(
      "[global]\nfsid = {1}\nmon host = v2:{2}:3300,v1:{2}:6789\nauth cluster required = none\n"
      "auth service required = none\nauth client required = none\nrun dir = {0}/run\n"
      "log file = {0}/$name.ceph.log\nadmin socket = {0}/run/$name.asok\nmon data = {0}/$name\nmgr data = {0}/$name\n"
      "mds data = {0}/$name\nosd data = {0}/$name\nosd pool default size = 1\nosd pool default min size = 1\n"
      "osd pool default pg autoscale mode = off\nmon allow pool size one = true\nmon warn on pool no redundancy = "
      "false\n"
      "mgr initial modules =\nosd memory target = 939524096\nbluestore block size = 6442450944\n"
      "osd crush chooseleaf type = 0\n",
      data.native(), fsid, monitor.address);
}

// What its clients need of it; nothing in it names a directory of this machine.
std::string client_configuration(const std::string& fsid, const Member& monitor) {
  return fmt::format(
      "[global]\nfsid = {}\nmon host = v2:{}:3300,v1:{}:6789\nauth cluster required = none\n"
      "auth service required = none\nauth client required = none\nlog to file = false\nadmin socket =\n",
      fsid, monitor.address, monitor.address);
}

class Ceph {
 public:
  Ceph(StorageStart& start, const std::filesystem::path& config) : start_(start), config_(config.native()) {}

  Command of(std::string program, std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), {"-c", config_});
    return {.program = std::move(program), .arguments = std::move(arguments)};
  }
  Result<std::string> ask(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), {"--connect-timeout", "10"});
    auto output = start_.run(of("ceph", std::move(arguments)));
    if (!output) return forward(output);
    while (output->out.ends_with('\n')) output->out.pop_back();
    return std::move(output->out);
  }
  // 0 where there is none, or no answer.
  std::uint64_t number(std::vector<std::string> arguments, const std::string& pointer) const {
    arguments.insert(arguments.end(), {"-f", "json"});
    const auto answer = ask(std::move(arguments));
    const auto value = nlohmann::json::parse(answer.value_or(""), nullptr, false);
    const nlohmann::json::json_pointer where(pointer);
    return value.is_object() && value.contains(where) ? value.at(where).get<std::uint64_t>() : 0;
  }

 private:
  StorageStart& start_;
  std::string config_;
};

Result<std::string> fresh_uuid() {
  auto uuid = read_file("/proc/sys/kernel/random/uuid");
  if (!uuid) return uuid;
  while (uuid->ends_with('\n')) uuid->pop_back();
  return uuid;
}

Status start_monitor(StorageStart& start, const Ceph& ceph, const std::string& fsid) {
  auto& monitor = start.servers().front();
  const auto data = start.directory();
  const auto map = (data / "monmap").native();
  const auto mapped =
      start.run({.program = "monmaptool",
                 .arguments = {"--create", "--addv", "a", fmt::format("[v2:{0}:3300,v1:{0}:6789]", monitor.address),
                               "--fsid", fsid, map}});
  if (!mapped) return forward(mapped);
  const auto made =
      start.run(ceph.of("ceph-mon", {"--mkfs", "-i", "a", "--monmap", map, "--mon-data", (data / "mon.a").native()}));
  if (!made) return forward(made);
  if (auto started = start.start(monitor, ceph.of("ceph-mon", {"-i", "a", "-f"})); !started) return started;
  if (auto ready = start.wait(monitor, "the monitor is", kCephPatience,
                              [&] {
                                return ceph.ask({"mon", "stat"}).has_value();
                              });
      !ready) {
    return ready;
  }
  return start.start(monitor, ceph.of("ceph-mgr", {"-i", "a", "-f"}));
}

Status start_osd(StorageStart& start, const Ceph& ceph, Member& server) {
  const auto uuid = fresh_uuid();
  if (!uuid) return forward(uuid);
  const auto id = ceph.ask({"osd", "new", *uuid});
  if (!id) return forward(id);
  if (auto made = make_directories(start.directory() / ("osd." + *id)); !made) return made;
  const auto formatted = start.run(ceph.of("ceph-osd", {"-i", *id, "--mkfs", "--osd-uuid", *uuid}));
  if (!formatted) return forward(formatted);
  return start.start(server, ceph.of("ceph-osd", {"-i", *id, "-f"}));
}

Status make_file_system(StorageStart& start, const Ceph& ceph) {
  auto& monitor = start.servers().front();
  const std::vector<std::vector<std::string>> commands{{"osd", "pool", "create", "cephfs_metadata", "8"},
                                                       {"osd", "pool", "create", "cephfs_data", "16"},
                                                       {"fs", "new", "cephfs", "cephfs_metadata", "cephfs_data"}};
  for (const auto& command : commands) {
    if (const auto done = ceph.ask(command); !done) return forward(done);
  }
  if (auto started = start.start(monitor, ceph.of("ceph-mds", {"-i", "a", "-f"})); !started) return started;
  const auto active = [&] { return ceph.ask({"mds", "stat"}).value_or("").find("up:active") != std::string::npos; };
  if (auto ready = start.wait(monitor, "the MDS is", kCephPatience, active); !ready) return ready;
  return start.wait(monitor, "CephFS is", kCephPatience,
                    [&] { return ceph.number({"df"}, "/stats/total_avail_bytes") > 0; });
}

}  // namespace

Status start_cephfs(StorageStart& start) {
  auto& servers = start.servers();
  auto& monitor = servers.front();
  const auto data = start.directory();
  for (const auto* part : {"run", "etc", "mon.a", "mgr.a", "mds.a"}) {
    if (auto made = make_directories(data / part); !made) return made;
  }
  const auto fsid = fresh_uuid();
  if (!fsid) return forward(fsid);
  const auto config = data / "servers.conf";
  if (auto done = write_file_atomic(config, configuration(data, *fsid, monitor), 0644); !done) return done;
  const auto client = data / "etc" / "ceph.conf";
  if (auto done = write_file_atomic(client, client_configuration(*fsid, monitor), 0644); !done) return done;
  const Ceph ceph(start, config);
  if (auto started = start_monitor(start, ceph, *fsid); !started) return started;
  for (std::size_t i = 1; i < servers.size(); ++i) {
    if (auto started = start_osd(start, ceph, servers[i]); !started) return started;
  }
  const auto all_up = [&] { return ceph.number({"osd", "stat"}, "/num_up_osds") >= servers.size() - 1; };
  if (auto ready = start.wait(monitor, "the OSDs are", kCephPatience, all_up); !ready) return ready;
  return make_file_system(start, ceph);
}

}  // namespace bridgehead::lab
