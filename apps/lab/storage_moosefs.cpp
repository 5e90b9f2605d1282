#include <algorithm>
#include <set>
#include <sstream>

#include "base/file.h"
#include "lab/storage_start.h"

namespace bridgehead::lab {
namespace {

constexpr std::chrono::seconds kMooseFsPatience{180};
constexpr char kEmptyMetadata[] = "/var/lib/mfs/metadata.mfs.empty";
// Of what `mfscli -SCS -p` prints, parted by tabs.
constexpr std::size_t kAddressColumn = 1;
constexpr std::size_t kTotalColumn = 10;  // bytes

Status start_master(StorageStart& start, Member& master) {
  const auto data = start.directory() / master.name;
  if (auto made = make_directories(data); !made) return made;
  const auto empty = read_file(kEmptyMetadata);
  if (!empty) return forward(empty);
  const auto file = [&](std::string_view name, std::string_view content) {
    return write_file_atomic(data / name, content, 0644);
  };
  if (auto done = file("metadata.mfs", *empty); !done) return done;
  if (auto done = file("exports.cfg", "* / rw,alldirs,admin,maproot=0:0\n"); !done) return done;
  if (auto done = file("topology.cfg", ""); !done) return done;
  const auto configuration = fmt::format(
      "WORKING_USER = root\nWORKING_GROUP = root\nDATA_PATH = {0}\nEXPORTS_FILENAME = {0}/exports.cfg\n"
      "TOPOLOGY_FILENAME = {0}/topology.cfg\nREPLICATIONS_DELAY_INIT = 5\nNICE_LEVEL = 0\n",
      data.native());
  if (auto done = file("master.cfg", configuration); !done) return done;
  return start.start(master,
                     {.program = "mfsmaster", .arguments = {"-f", "-c", (data / "master.cfg").native(), "start"}});
}

// Of the number-th one: letter A is on the first server alone, B on the first two, and so on. A storage class of one
// letter keeps what is in it on so many servers.
std::string labels(unsigned number) {
  std::string letters;
  for (unsigned i = number; i <= kMostServers; ++i) {
    letters += fmt::format("{}{}", letters.empty() ? "" : ",", static_cast<char>('A' + i - 1));
  }
  return letters;
}

Status start_chunk_server(StorageStart& start, Member& server, unsigned number, const Member& master) {
  const auto data = start.directory() / server.name;
  for (const auto* part : {"disk", "state"}) {
    if (auto made = make_directories(data / part); !made) return made;
  }
  const auto configuration = fmt::format(
      "WORKING_USER = root\nWORKING_GROUP = root\nDATA_PATH = {0}/state\nHDD_CONF_FILENAME = {0}/disks.cfg\n"
      "HDD_LEAVE_SPACE_DEFAULT = 256MiB\nBIND_HOST = {1}\nCSSERV_LISTEN_HOST = {1}\nMASTER_HOST = {2}\n"
      "MASTER_RECONNECTION_DELAY = 1\nNICE_LEVEL = 0\nLABELS = {3}\n",
      data.native(), server.address, master.address, labels(number));
  if (auto done = write_file_atomic(data / "disks.cfg", (data / "disk").native() + "\n", 0644); !done) return done;
  if (auto done = write_file_atomic(data / "server.cfg", configuration, 0644); !done) return done;
  return start.start(server,
                     {.program = "mfschunkserver", .arguments = {"-f", "-c", (data / "server.cfg").native(), "start"}});
}

// A client sees the space later than the master lists it.
bool client_sees_space(StorageStart& start, const Member& master) {
  const auto look = start.directory() / "look";
  std::error_code error;
  std::filesystem::create_directories(look, error);
  if (!start.run({.program = "mfsmount", .arguments = {look.native(), "-H", master.address}})) return false;
  const auto space = std::filesystem::space(look, error);
  const bool seen = !error && space.available > 0;
  return start.run({.program = "umount", .arguments = {look.native()}}) && seen;
}

}  // namespace

bool have_told_space(const std::string& listed, std::span<const Member> chunk_servers) {
  std::set<std::string> told;
  std::istringstream lines(listed);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream fields(line);
    std::vector<std::string> columns;
    for (std::string field; std::getline(fields, field, '\t');) columns.push_back(field);
    if (columns.size() > kTotalColumn && columns[kTotalColumn] != "0") told.insert(columns[kAddressColumn]);
  }
  return std::all_of(chunk_servers.begin(), chunk_servers.end(),
                     [&](const Member& server) { return told.contains(server.address); });
}

Status start_moosefs(StorageStart& start) {
  auto& servers = start.servers();
  auto& master = servers.front();
  if (auto started = start_master(start, master); !started) return started;
  for (std::size_t i = 1; i < servers.size(); ++i) {
    if (auto started = start_chunk_server(start, servers[i], static_cast<unsigned>(i), master); !started)
      return started;
  }
  const auto told = start.wait(master, "MooseFS is", kMooseFsPatience, [&] {
    const auto listed = start.run({.program = "mfscli", .arguments = {"-H", master.address, "-SCS", "-p", "-n"}});
    return listed && have_told_space(listed->out, std::span(servers).subspan(1));
  });
  if (!told) return told;
  return start.wait(master, "space in MooseFS is", kMooseFsPatience, [&] { return client_sees_space(start, master); });
}

}  // namespace bridgehead::lab
