#include "hypervisor/testing/private_libvirtd.h"

#include <fcntl.h>
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <linux/if.h>
#include <sched.h>
#include <spawn.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <thread>

#include "base/file.h"

extern char** environ;

namespace bridgehead::hypervisor::testing {
namespace {

constexpr char kLibvirtdConf[] = R"(unix_sock_rw_perms = "0700"
auth_unix_ro = "none"
auth_unix_rw = "none"
log_outputs = "2:file:/run/libvirtd.log"
host_uuid = "7d5e1c7a-30a5-4c5e-9a3e-0f2b6d1c8e41"
)";

// No cgroups, no security driver, no chown: what a namespace without systemd can't give. Logs go to files, not
// virtlogd.
constexpr char kQemuConf[] = R"(user = "root"
group = "root"
dynamic_ownership = 0
remember_owner = 0
security_driver = "none"
cgroup_controllers = []
namespaces = []
stdio_handler = "file"
capability_filters = [ "cpu-unavailable-features" ]
)";

int report(const char* what) {
  std::fprintf(stderr, "private namespaces: %s: %s\n", what, std::strerror(errno));
  return 1;
}

bool loopback_up() {
  const UniqueFd sock(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request{};
  std::strncpy(request.ifr_name, "lo", IFNAMSIZ - 1);
  request.ifr_flags = IFF_UP | IFF_RUNNING;
  return sock && ::ioctl(sock.get(), SIOCSIFFLAGS, &request) == 0;
}

// PID 1 of the namespace: starts the body, reaps every orphan (libvirt waits for QEMU to be reaped), ends with the
// body.
[[noreturn]] void run_as_init(const std::function<int()>& body) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) std::_Exit(report("mount /"));
  if (::mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr) != 0)
    std::_Exit(report("mount /proc"));
  // sysfs shows the network devices of the namespace that it was mounted in.
  if (::mount("sysfs", "/sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr) != 0)
    std::_Exit(report("mount /sys"));
  if (!loopback_up()) std::_Exit(report("loopback"));
  const pid_t child = ::fork();
  if (child < 0) std::_Exit(report("fork"));
  if (child == 0) std::exit(body());
  for (;;) {
    int status = 0;
    const pid_t ended = ::wait(&status);
    if (ended != child) continue;
    if (WIFSIGNALED(status)) std::fprintf(stderr, "the test was killed by signal %d\n", WTERMSIG(status));
    std::_Exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
  }
}

Status mount_private(const char* path) {
  if (auto made = make_directories(path); !made) return made;
  if (::mount("tmpfs", path, "tmpfs", 0, "mode=0755") != 0) return fail_errno(errno, fmt::format("mount {}", path));
  return {};
}

bool answers() {
  const auto silent = [](void*, virErrorPtr) {};
  ::virSetErrorFunc(nullptr, silent);
  const auto connection = ::virConnectOpen(PrivateLibvirtd::uri().c_str());
  if (connection != nullptr) ::virConnectClose(connection);
  return connection != nullptr;
}

// libvirt refuses to start without the user and groups that Debian's libvirt-daemon-system makes.
Status add_users() {
  struct Addition {
    const char* file;
    const char* present;
    const char* lines;
  };
  for (const auto& [file, present, lines] :
       {Addition{"/etc/passwd", "\nlibvirt-qemu:", "libvirt-qemu:x:64055:64055::/nonexistent:/usr/sbin/nologin\n"},
        Addition{"/etc/group", "\nlibvirt-qemu:", "libvirt-qemu:x:64055:\n"}}) {
    auto content = read_file(file);
    if (!content) return forward(content);
    if (content->find(present) != std::string::npos) continue;
    if (!content->ends_with('\n')) *content += '\n';
    const auto copy = std::filesystem::path("/run") / std::filesystem::path(file).filename();
    if (auto written = write_file_atomic(copy, *content + lines, 0644); !written) return written;
    if (::mount(copy.c_str(), file, nullptr, MS_BIND, nullptr) != 0)
      return fail_errno(errno, fmt::format("bind {}", file));
  }
  return {};
}

Result<pid_t> launch() {
  char program[] = "libvirtd";
  char* arguments[] = {program, nullptr};
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 2, "/run/libvirtd.err", O_WRONLY | O_CREAT | O_APPEND, 0600);
  pid_t pid = -1;
  const int failed = ::posix_spawn(&pid, "/usr/sbin/libvirtd", &actions, nullptr, arguments, environ);
  posix_spawn_file_actions_destroy(&actions);
  if (failed != 0) return fail_errno(failed, "/usr/sbin/libvirtd");
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(120);
  while (!answers()) {
    if (std::chrono::steady_clock::now() > deadline || ::waitpid(pid, nullptr, WNOHANG) == pid) {
      const auto said = read_file("/run/libvirtd.err");
      return fail(ErrorCode::unavailable, "libvirtd does not answer: {}", said ? *said : "it said nothing");
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return pid;
}

}  // namespace

int run_in_private_namespaces(const std::function<int()>& body) {
  std::fflush(nullptr);
  if (::unshare(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWPID) != 0)
    return report("unshare (root is needed)");
  const pid_t init = ::fork();
  if (init < 0) return report("fork");
  if (init == 0) run_as_init(body);
  int status = 0;
  while (::waitpid(init, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

Result<PrivateLibvirtd> PrivateLibvirtd::start() {
  // As the agent does: libvirt's client writes to its socket whether or not libvirtd has just died.
  ::signal(SIGPIPE, SIG_IGN);
  for (const char* path : {"/run", "/etc/libvirt", "/var/lib/libvirt", "/var/cache/libvirt", "/var/log/libvirt"}) {
    if (auto mounted = mount_private(path); !mounted) return forward(mounted);
  }
  for (const auto& path : {scratch(), std::filesystem::path("/run/lock")}) {  // consoles are locked there
    if (auto made = make_directories(path); !made) return forward(made);
  }
  if (auto added = add_users(); !added) return forward(added);
  if (auto written = write_file_atomic("/etc/libvirt/libvirtd.conf", kLibvirtdConf); !written) return forward(written);
  if (auto written = write_file_atomic("/etc/libvirt/qemu.conf", kQemuConf); !written) return forward(written);
  const auto pid = launch();
  if (!pid) return forward(pid);
  return PrivateLibvirtd(*pid);
}

PrivateLibvirtd::~PrivateLibvirtd() {
  if (pid_ > 0) kill_hard();
}

void PrivateLibvirtd::kill_hard() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

Status PrivateLibvirtd::run_again() {
  const auto pid = launch();
  if (!pid) return forward(pid);
  pid_ = *pid;
  return {};
}

}  // namespace bridgehead::hypervisor::testing
