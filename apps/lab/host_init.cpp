// The first process of a lab's host: makes its mounts, keeps libvirtd and the agent running, reaps.
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>

#include "base/file.h"
#include "lab/host.h"
#include "lab/host_places.h"
#include "lab/lab_host.h"

namespace bridgehead::lab {
namespace fs = std::filesystem;
namespace {

constexpr std::chrono::seconds kBeforeAnother{1};
constexpr std::chrono::seconds kJoinPatience{90};
constexpr int kJoinAttempts = 10;

Status bind(const fs::path& place, const char* target) {
  const auto source = place.native() + target;
  if (::mount(source.c_str(), target, nullptr, MS_BIND, nullptr) == 0) return {};
  return fail_errno(errno, fmt::format("lay {} over {}", source, target));
}

Status make_mounts(const fs::path& place) {
  // private: what the agent mounts stays in here.
  if (::mount("none", "/", nullptr, MS_PRIVATE | MS_REC, nullptr) != 0)
    return fail_errno(errno, "have mounts of its own");
  // These show its own processes and its own network.
  for (const auto* kind : {"proc", "sysfs"}) {
    const auto* where = std::string_view(kind) == "proc" ? "/proc" : "/sys";
    if (::mount(kind, where, kind, MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr) != 0) {
      return fail_errno(errno, fmt::format("mount {}", where));
    }
  }
  // Their places are below one of those that are covered: that one comes last.
  if (auto done = bind(place, kHostNames); !done) return done;
  if (fs::exists(place.native() + kHostCeph)) {
    if (auto done = bind(place, kHostCeph); !done) return done;
  }
  for (const auto* target : kHostPlaces) {
    if (auto done = bind(place, target); !done) return done;
  }
  return {};
}

class Service {
 public:
  Service(std::string program, std::vector<std::string> arguments, fs::path log)
      : words_{std::move(program)}, log_(std::move(log)) {
    words_.insert(words_.end(), arguments.begin(), arguments.end());
  }
  bool is(pid_t pid) const { return pid == pid_; }
  Status start() {
    std::vector<char*> arguments;
    for (auto& word : words_) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    pid_ = ::fork();
    if (pid_ < 0) return fail_errno(errno, "start " + words_.front());
    if (pid_ > 0) return {};
    const int log = ::open(log_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (log < 0 || ::dup2(log, 1) < 0 || ::dup2(log, 2) < 0) ::_exit(127);
    ::setsid();
    ::execvp(arguments[0], arguments.data());
    ::_exit(127);
  }

 private:
  std::vector<std::string> words_;
  fs::path log_;
  pid_t pid_ = -1;
};

Status join(const std::string& agent) {
  auto token = read_file(kHostJoinToken);
  if (!token && token.error().code == ErrorCode::not_found) return {};  // it has joined before
  if (!token) return forward(token);
  while (token->ends_with('\n')) token->pop_back();
  SystemCommandRunner runner;
  const auto joined = runner.run(
      {.program = agent, .arguments = {"--config", kHostAgentConfig, "join", *token}, .timeout = kJoinPatience});
  if (!joined) return forward(joined);
  return remove_file(kHostJoinToken);
}

Status run_services(const std::string& agent) {
  if (auto made = make_directories(kHostDaemonLogs, 0700); !made) return made;
  const fs::path logs = kHostDaemonLogs;
  std::array services{Service("libvirtd", {}, logs / "libvirtd.log"),
                      Service(agent, {"--config", kHostAgentConfig}, logs / "agent.log")};
  if (auto started = services[0].start(); !started) return started;
  // The manager may be busy with others; a join that was done is found done.
  auto joined = join(agent);
  for (int attempt = 1; !joined && attempt < kJoinAttempts; ++attempt) {
    ::sleep(static_cast<unsigned>(kBeforeAnother.count()));
    joined = join(agent);
  }
  if (!joined) return joined;
  if (auto started = services[1].start(); !started) return started;
  for (;;) {
    const pid_t ended = ::waitpid(-1, nullptr, 0);
    for (auto& service : services) {
      if (!service.is(ended)) continue;
      ::sleep(static_cast<unsigned>(kBeforeAnother.count()));
      if (auto started = service.start(); !started) return started;
    }
  }
}

Status live(const fs::path& place, const std::string& name, const std::string& agent) {
  if (auto mounted = make_mounts(place); !mounted) return mounted;
  if (::sethostname(name.data(), name.size()) != 0) return fail_errno(errno, "take its name");
  return run_services(agent);
}

}  // namespace

Status be_host(const Places& places, const std::string& name) {
  const auto agent = find_own_program("bridgehead-agent");
  if (!agent) return forward(agent);
  const auto place = places.host(name);
  if (::unshare(CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWPID) != 0) return fail_errno(errno, "have namespaces of its own");
  const pid_t first = ::fork();
  if (first < 0) return fail_errno(errno, "fork");
  if (first == 0) {
    // The end of the recorded process is the host's.
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    return live(place, name, agent->native());
  }
  ::waitpid(first, nullptr, 0);
  return fail(ErrorCode::failed_precondition, "host {} has ended", name);
}

}  // namespace bridgehead::lab
