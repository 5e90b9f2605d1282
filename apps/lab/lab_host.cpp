#include "lab/lab_host.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>

#include "base/file.h"
#include "lab/host.h"
#include "lab/host_places.h"
#include "lab/host_watchdog.h"
#include "lab/lab_manager.h"
#include "lab/network_namespace.h"

namespace bridgehead::lab {
namespace fs = std::filesystem;
namespace {

// No control groups, name spaces or virtlogd in there; guests start quickly (docs/decisions/0013).
constexpr char kQemuConfiguration[] =
    "user = \"root\"\ngroup = \"root\"\nsecurity_driver = \"none\"\ncgroup_controllers = []\nnamespaces = []\n"
    "stdio_handler = \"file\"\nremember_owner = 0\ncapability_filters = [ \"cpu-unavailable-features\" ]\n";

Status copy_contents(CommandRunner& runner, const fs::path& from, const fs::path& to) {
  const auto copied = runner.run({.program = "cp", .arguments = {"-a", "--", (from / ".").native(), to.native()}});
  return copied ? Status() : forward(copied);
}

Status write_libvirt_configuration(CommandRunner& runner, const fs::path& place) {
  const auto directory = place / "etc/libvirt";
  if (auto copied = copy_contents(runner, "/etc/libvirt", directory); !copied) return copied;
  // Guests, networks and secrets are the machine's own: a host would start them a second time.
  for (const auto* own : {"qemu", "secrets", "storage"}) {
    std::error_code error;
    fs::remove_all(directory / own, error);
    if (error) return fail_errno(error.value(), fmt::format("leave {} out of {}", own, directory.native()));
  }
  if (auto written = write_file_atomic(directory / "qemu.conf", kQemuConfiguration); !written) return written;
  // A copy of the machine's would be the same for all hosts, and libvirt refuses to migrate to itself.
  const auto uuid = read_file("/proc/sys/kernel/random/uuid");
  auto daemon = read_file(directory / "libvirtd.conf");
  if (!uuid) return forward(uuid);
  if (!daemon) return forward(daemon);
  *daemon += fmt::format("\nhost_uuid = \"{}\"\n", uuid->substr(0, 36));
  return write_file_atomic(directory / "libvirtd.conf", *daemon);
}

// The names of the lab's members, its own among them: libvirt asks for its host's name six times in each migration,
// and where neither this file nor a DNS server answers each takes seconds.
Status write_names(const Places& places, const LabState& state, const Member& host) {
  std::string names = "127.0.0.1 localhost\n::1 localhost\n";
  for (const auto* member : state.members()) names += fmt::format("{} {}\n", member->address, member->name);
  return write_file_atomic(places.host(host.name).native() + kHostNames, names, 0644);
}

}  // namespace

Status prepare_host(CommandRunner& runner, const Places& places, const LabState& state, const Member& host) {
  const auto place = places.host(host.name);
  for (const auto* directory : kHostPlaces) {
    if (auto made = make_directories(place.native() + directory); !made) return made;
    // Where a lab lies in another directory than the usual one, this machine may have no /var/lib/bridgehead yet.
    if (auto made = make_directories(directory); !made) return made;
  }
  if (auto written = write_libvirt_configuration(runner, place); !written) return written;
  if (auto written = write_names(places, state, host); !written) return written;
  // What libvirt has found out about QEMU here holds there as well, and takes long.
  if (auto copied = copy_contents(runner, "/var/cache/libvirt", place / "var/cache/libvirt"); !copied) return copied;
  const auto is_ceph = [](const Storage& storage) { return storage.kind == StorageKind::cephfs; };
  if (std::any_of(state.storage.begin(), state.storage.end(), is_ceph)) {
    if (auto made = make_directories(place.native() + kHostCeph); !made) return made;
    if (auto copied = copy_contents(runner, ceph_config(places).parent_path(), place.native() + kHostCeph); !copied) {
      return copied;
    }
  }
  if (auto made = make_directories(place.native() + kHostAgentState, 0711); !made) return made;
  const auto configuration = fmt::format("# Made by bridgehead-lab.\nstate_dir = \"{}\"\nwatchdog = \"{}\"\n",
                                         kHostAgentState, kHostWatchdogDevice);
  if (auto written = write_file_atomic(place.native() + kHostAgentConfig, configuration); !written) return written;
  const auto token = run_bh(
      runner, places, state,
      {"node", "join-token", "--address", fmt::format("{}:{}", state.addresses().manager(), kAgentPort), "-o", "name"});
  if (!token) return forward(token);
  return write_file_atomic(place.native() + kHostJoinToken, token->out);
}

bool is_on(const Member& host) { return is_running(host.process); }

Status switch_host_on(const Places& places, Member& host, const std::function<Status()>& save) {
  if (is_on(host)) return {};
  // As at a boot.
  const auto run = places.host(host.name) / "run";
  std::error_code error;
  std::filesystem::remove_all(run, error);
  if (auto made = make_directories(run / "lock"); !made) return made;  // where libvirt locks guests' consoles
  if (auto watched = start_watchdog(places, host, save); !watched) return watched;
  const auto self = find_own_program("bridgehead-lab");
  if (!self) return forward(self);
  const Daemon daemon{
      .command = {.program = self->native(),
                  .arguments = {"--name", places.lab(), "--directory", places.base().native(), kHostInit, host.name}},
      .network_namespace = places.namespace_file_of(host.name),
      .log = places.host_log(host.name)};
  SystemCommandRunner runner;
  if (const auto plugged = runner.run(plug(places, host, true)); !plugged) return forward(plugged);
  const auto started = start_daemon(daemon, [&](const ProcessId& process) {
    host.process = process;
    return save();
  });
  return started ? Status() : forward(started);
}

Status switch_host_off(const Places& places, Member& host, const std::function<Status()>& save) {
  if (auto ended = end_member(places, host); !ended) return ended;
  host.process = {};
  if (host.watchdog.pid != ::getpid()) {  // it is this process, if that had to act
    if (auto ended = end_watchdog(host); !ended) return ended;
  }
  host.watchdog = {};
  if (auto saved = save(); !saved) return saved;
  // Its kernel is this machine's and would go on answering for its address.
  SystemCommandRunner runner;
  const auto unplugged = runner.run(plug(places, host, false));
  return unplugged ? Status() : forward(unplugged);
}

Status enter_host(const Member& host) {
  if (!is_on(host)) {
    return fail_with_hint(ErrorCode::failed_precondition, fmt::format("host {} is off", host.name),
                          fmt::format("Switch it on with bridgehead-lab power {} on.", host.name));
  }
  const auto of = fmt::format("/proc/{}/ns/", host.process.pid);
  // Opened before the first is entered: /proc is another one afterwards.
  std::vector<UniqueFd> opened;
  for (const auto* kind : {"net", "uts", "pid_for_children", "mnt"}) {
    auto fd = open_file(of + kind, O_RDONLY);
    if (!fd) return forward(fd);
    opened.push_back(std::move(*fd));
  }
  for (const auto& fd : opened) {
    if (::setns(fd.get(), 0) != 0) return fail_errno(errno, fmt::format("enter host {}", host.name));
  }
  // Only a child is among the host's processes: process numbers would be the machine's else.
  const pid_t child = ::fork();
  if (child < 0) return fail_errno(errno, "fork");
  if (child == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGTERM);
    return {};
  }
  // A terminal's Ctrl-C reaches the child as well, which decides.
  ::signal(SIGINT, SIG_IGN);
  ::signal(SIGQUIT, SIG_IGN);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  ::_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

}  // namespace bridgehead::lab
