#include "base/service_process.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <csignal>
#include <cstddef>
#include <cstring>

#include "base/users.h"

extern char** environ;

namespace bridgehead {
namespace {

constexpr std::size_t kLongestLine = 4096;

// What the child says before exec, if it can't go on.
struct ChildFailure {
  int error_number = 0;
  char what[60] = {};
};

// Everything that the child needs, made before fork: after it only system calls are safe.
struct Prepared {
  const ServiceSpec* spec = nullptr;
  std::vector<std::string> words;
  std::vector<std::string> environment;
  std::vector<char*> argv;
  std::vector<char*> envp;
  std::optional<User> identity;
  pid_t parent = 0;
  int input = -1;
  int output = -1;
  int failure = -1;
};

void fill(Prepared& prepared, const ServiceSpec& spec) {
  prepared.spec = &spec;
  prepared.parent = ::getpid();
  prepared.words.push_back(spec.command.program);
  prepared.words.insert(prepared.words.end(), spec.command.arguments.begin(), spec.command.arguments.end());
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    if (!spec.command.environment.contains(std::string(text.substr(0, text.find('='))))) {
      prepared.environment.emplace_back(text);
    }
  }
  for (const auto& [name, value] : spec.command.environment) prepared.environment.push_back(name + "=" + value);
  for (auto& word : prepared.words) prepared.argv.push_back(word.data());
  for (auto& entry : prepared.environment) prepared.envp.push_back(entry.data());
  prepared.argv.push_back(nullptr);
  prepared.envp.push_back(nullptr);
}

[[noreturn]] void give_up(int to, const char* what) {
  ChildFailure failure;
  failure.error_number = errno;
  std::strncpy(failure.what, what, sizeof failure.what - 1);
  [[maybe_unused]] const auto written = ::write(to, &failure, sizeof failure);
  ::_exit(127);
}

void reset_signals() {
  struct sigaction plain {};
  plain.sa_handler = SIG_DFL;
  for (int number = 1; number < NSIG; ++number) ::sigaction(number, &plain, nullptr);
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

// Root's rights go, the named capabilities stay over exec (ambient).
void become(const Prepared& child) {
  if (!child.identity) return;
  const auto& wanted = child.spec->run_as->capabilities;
  if (::prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0) give_up(child.failure, "PR_SET_KEEPCAPS");
  // The system calls themselves: glibc's wrappers tell all threads, of which the child has one.
  if (::syscall(SYS_setgroups, 0, nullptr) != 0) give_up(child.failure, "setgroups");
  const auto group = child.identity->group;
  const auto user = child.identity->id;
  if (::syscall(SYS_setresgid, group, group, group) != 0) give_up(child.failure, "setresgid");
  if (::syscall(SYS_setresuid, user, user, user) != 0) give_up(child.failure, "setresuid");
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2]{};
  for (const int capability : wanted) {
    const auto bit = 1u << (capability % 32);
    data[capability / 32].effective |= bit;
    data[capability / 32].permitted |= bit;
    data[capability / 32].inheritable |= bit;
  }
  if (::syscall(SYS_capset, &header, data) != 0) give_up(child.failure, "capset");
  for (const int capability : wanted) {
    if (::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0) != 0)
      give_up(child.failure, "ambient capability");
  }
}

// nbdkit in the foreground asks for SIGTERM at our death instead, upon which it lingers until its last client has gone
// and answers it with errors. So prctl(PR_SET_PDEATHSIG) does nothing after exec, though it says that it did.
void keep_death_signal(int failure) {
#if defined(__x86_64__)
  constexpr std::uint32_t kArchitecture = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
  constexpr std::uint32_t kArchitecture = AUDIT_ARCH_AARCH64;
#else
#error "name this architecture for the system call filter"
#endif
  sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, arch)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, kArchitecture, 0, 5),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_prctl, 0, 3),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, args[0])),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PR_SET_PDEATHSIG, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog program{static_cast<unsigned short>(std::size(code)), code};
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) give_up(failure, "PR_SET_NO_NEW_PRIVS");
  if (::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) != 0) give_up(failure, "PR_SET_SECCOMP");
}

[[noreturn]] void run_child(const Prepared& child) {
  ::setpgid(0, 0);
  reset_signals();
  if (!child.spec->mounts.empty()) {
    if (::unshare(CLONE_NEWNS) != 0) give_up(child.failure, "unshare the mount namespace");
    if (::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) give_up(child.failure, "make mounts private");
    for (const auto& bind : child.spec->mounts) {
      if (::mount(bind.source.c_str(), bind.target.c_str(), nullptr, MS_BIND, nullptr) != 0) {
        give_up(child.failure, bind.target.c_str());
      }
    }
  }
  if (::dup2(child.input, 0) < 0 || ::dup2(child.output, 1) < 0 || ::dup2(child.output, 2) < 0) {
    give_up(child.failure, "dup2");
  }
  ::syscall(SYS_close_range, 3u, ~0u, CLOSE_RANGE_CLOEXEC);
  become(child);
  // After the change of user, which would clear it.
  if (::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0) give_up(child.failure, "PR_SET_PDEATHSIG");
  keep_death_signal(child.failure);
  if (::getppid() != child.parent) ::_exit(127);  // we died in between
  ::execvpe(child.argv[0], child.argv.data(), child.envp.data());
  give_up(child.failure, "execute");
}

}  // namespace

Result<ServiceProcess> ServiceProcess::spawn(const ServiceSpec& spec) {
  Prepared prepared;
  fill(prepared, spec);
  if (spec.run_as) {
    auto identity = find_user(spec.run_as->user);
    if (!identity) return forward(identity);
    prepared.identity = *identity;
  }
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return fail_errno(errno, "pipe");
  UniqueFd output(ends[0]);
  UniqueFd child_output(ends[1]);
  if (::pipe2(ends, O_CLOEXEC) != 0) return fail_errno(errno, "pipe");
  UniqueFd failure(ends[0]);
  UniqueFd child_failure(ends[1]);
  UniqueFd input(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  if (!input) return fail_errno(errno, "/dev/null");
  ::fcntl(output.get(), F_SETFL, O_NONBLOCK);
  prepared.input = input.get();
  prepared.output = child_output.get();
  prepared.failure = child_failure.get();

  const pid_t pid = ::fork();
  if (pid < 0) return fail_errno(errno, "fork");
  if (pid == 0) run_child(prepared);
  child_failure.reset();

  ServiceProcess process;
  process.pid_ = pid;
  process.output_ = std::move(output);
  process.exit_.reset(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  const int pidfd_error = errno;
  ChildFailure said;
  ssize_t got = 0;
  while ((got = ::read(failure.get(), &said, sizeof said)) < 0 && errno == EINTR) {
  }
  if (got > 0 || !process.exit_) {
    ::kill(pid, SIGKILL);
    while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
    }
    if (got <= 0) return fail_errno(pidfd_error, "pidfd_open");
    return fail_errno(said.error_number, fmt::format("start {}: {}", spec.command.program, said.what));
  }
  return process;
}

void ServiceProcess::signal_group(int signal_number) const {
  if (pid_ > 0) ::kill(-pid_, signal_number);
}

void ServiceProcess::signal(int signal_number) const {
  if (pid_ > 0) ::kill(pid_, signal_number);
}

void ServiceProcess::read_output(const std::function<void(std::string_view)>& on_line) {
  char buffer[16384];
  const ssize_t got = ::read(output_.get(), buffer, sizeof buffer);
  if (got < 0 && (errno == EINTR || errno == EAGAIN)) return;
  if (got <= 0) {
    output_.reset();
    return;
  }
  for (const char c : std::string_view(buffer, static_cast<std::size_t>(got))) {
    if (c == '\n') {
      on_line(line_);
      line_.clear();
    } else if (line_.size() < kLongestLine) {
      line_ += c;
    }
  }
}

std::string ServiceProcess::reap(const std::function<void(std::string_view)>& on_line) {
  // What it said last may still be in the pipe. Others that inherited the pipe may keep it open: no waiting for its
  // end.
  for (int i = 0; i < 64 && output_; ++i) {
    pollfd waiting{output_.get(), POLLIN, 0};
    if (::poll(&waiting, 1, 0) <= 0) break;
    read_output(on_line);
  }
  if (!line_.empty()) on_line(std::exchange(line_, {}));
  output_.reset();
  int status = 0;
  pid_t got = 0;
  while ((got = ::waitpid(pid_, &status, 0)) < 0 && errno == EINTR) {
  }
  // What it started must not go on without it.
  ::kill(-pid_, SIGKILL);
  pid_ = -1;
  if (got < 0) return "ended";
  if (WIFSIGNALED(status)) return fmt::format("killed by signal {}", WTERMSIG(status));
  return fmt::format("exit code {}", WEXITSTATUS(status));
}

}  // namespace bridgehead
