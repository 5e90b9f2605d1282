// Process 1 of our initramfs, or what prepares the root in dracut's; and by its other names what it starts: the NBD
// client, the keeper of the DHCP lease, udhcpc's script, the kernel's modprobe.
#include <fcntl.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <array>
#include <new>
#include <string>
#include <string_view>

#include "boot.h"
#include "dhcp.h"
#include "files.h"
#include "lease_daemon.h"
#include "module_loader.h"
#include "nbd_daemon.h"
#include "prefetch_daemon.h"
#include "process.h"
#include "report_daemon.h"
#include "text.h"

namespace {

using namespace bridgehead::init;  // NOLINT(google-build-using-namespace)

// The machine would stand still in a kernel panic; it restarts, so that it can be read what happened.
// Async-signal-safe.
[[noreturn]] void die(std::string_view line) {
  if (::write(STDERR_FILENO, line.data(), line.size()) < 0) {
    // Nobody hears it.
  }
  ::sleep(20);
  ::reboot(RB_AUTOBOOT);
  for (;;) ::pause();
}

void on_fault(int /*signal*/) {
  die("\r\nbridgehead: internal fault of the initramfs: this is a bug; the machine restarts in 20 s\r\n");
}

void on_no_memory() {
  die("\r\nbridgehead: out of memory in the initramfs: give the machine more; it restarts in 20 s\r\n");
}

void mount_base() {
  struct Base {
    const char* type;
    const char* target;
    unsigned long flags;
    const char* data;
  };
  constexpr std::array<Base, 4> bases{Base{"devtmpfs", "/dev", MS_NOSUID, "mode=0755"},
                                      Base{"proc", "/proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, ""},
                                      Base{"sysfs", "/sys", MS_NOSUID | MS_NODEV | MS_NOEXEC, ""},
                                      Base{"tmpfs", "/run", MS_NOSUID | MS_NODEV, "mode=0755"}};
  for (const auto& base : bases) {
    ::mkdir(base.target, 0755);
    ::mount(base.type, base.target, base.type, base.flags, base.data);
  }
}

// The kernel starts us without open files where the initramfs holds no device nodes.
void open_console() {
  ::mknod("/dev/console", S_IFCHR | 0600, makedev(5, 1));
  int console = ::open("/dev/console", O_RDWR | O_NOCTTY);
  if (console < 0) console = ::open("/dev/kmsg", O_RDWR);
  if (console < 0) console = ::open("/dev/null", O_RDWR);
  for (int fd = 0; fd < 3; ++fd) {
    if (fd != console) ::dup2(console, fd);
  }
  if (console > 2) ::close(console);
}

void prepare_process() {
  ::umask(022);
  for (const int number : {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT}) ::signal(number, on_fault);
  ::signal(SIGPIPE, SIG_IGN);
  std::set_new_handler(on_no_memory);
  block_signals();
}

Boot make_boot(Journal& journal) {
  journal.say(concat("initramfs, ", uptime(), " s after the kernel's start"));
  const auto text = read_value("/proc/cmdline");
  const auto policy = on_failure(text);
  auto line = parse_command_line(text);
  if (!line) {
    journal.complain(line.error());
    if (policy == OnFailure::shell) run_shell(journal);
    restart(journal, "nothing can be booted this way", std::chrono::seconds(60));
  }
  return Boot(journal, std::move(*line), policy);
}

[[noreturn]] void run_as_init(const Arguments& arguments) {
  mount_base();
  open_console();
  prepare_process();
  // The kernel asks for modules by /sbin/modprobe; with the initramfs that link goes away.
  ::mkdir("/sbin", 0755);
  if (::symlink("/init", "/sbin/modprobe") != 0) {
    // The builder has put one there.
  }
  Journal journal(STDOUT_FILENO);
  auto boot = make_boot(journal);
  boot.hand_over(boot.prepare_root(), arguments);
}

// In dracut's initramfs (boot/dracut): everything up to a root at /sysroot, which dracut then enters by itself.
int run_for_dracut() {
  open_console();
  prepare_process();
  // systemd ends what belongs to its units in the initramfs; the NBD client has to live on. Versions 2 and 1.
  for (const auto group : {"/sys/fs/cgroup/cgroup.procs", "/sys/fs/cgroup/systemd/cgroup.procs"})
    write_value(group, "0");
  Journal journal(STDOUT_FILENO);
  make_boot(journal).prepare_root();
  return 0;
}

std::vector<std::string> strings(char** pointers) {
  std::vector<std::string> result;
  for (; *pointers != nullptr; ++pointers) result.emplace_back(*pointers);
  return result;
}

}  // namespace

int main(int count, char** arguments) {
  if (count < 1) return 2;
  const std::string_view name = arguments[0];
  if (name == nbd_daemon_name) return run_nbd_daemon(strings(arguments));
  if (name == lease_daemon_name) return run_lease_daemon(strings(arguments));
  if (name == prefetch_daemon_name) return run_prefetch_daemon(strings(arguments));
  if (name == report_daemon_name) return run_report_daemon();
  if (name.ends_with("/modprobe")) return run_as_modprobe(count, arguments);
  if (is_dhcp_script_call(count, arguments)) return run_as_dhcp_script(arguments[1]);
  if (::getpid() == 1) run_as_init({strings(arguments + 1), strings(environ)});
  if (count == 2 && arguments[1] == std::string_view("mount-root")) return run_for_dracut();
  constexpr std::string_view usage =
      "bridgehead-init: the init of Bridgehead's initramfs; runs as process 1 of a booting machine, or in dracut's "
      "initramfs as 'bridgehead-init mount-root'\n";
  return ::write(STDERR_FILENO, usage.data(), usage.size()) < 0 ? 1 : 2;
}
