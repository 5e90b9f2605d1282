// How one manager on one core carries 2,000 nodes and 20,000 guests: makes such a state directory, starts the real
// manager pinned to a core, connects that many simulated agents by real gRPC with heartbeats, and measures from outside
// how long a list takes and how much memory the manager has.
//   manager_scale --manager PATH [--bh PATH] [--agents N] [--guests N] [--rounds N] [--assert]
// --assert: exit code 1 unless the median list takes under 200 ms and the manager stays under 512 MiB.
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <iostream>

#include "base/command.h"
#include "base/file.h"
#include "performance/simulated_agents.h"
#include "performance/simulated_cluster.h"

namespace bridgehead::performance {
namespace {

constexpr double list_limit_ms = 200;
constexpr double memory_limit_mib = 512;

struct Options {
  std::string manager;
  std::string bh;
  std::size_t agents = 2000;
  std::size_t guests = 20000;
  std::size_t rounds = 21;
  bool assert_limits = false;
};

void use_cpu(int cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  ::sched_setaffinity(0, sizeof(set), &set);
}

// The manager as a child of ours, killed with us.
class ManagerProcess {
 public:
  ManagerProcess(const std::string& program, const std::filesystem::path& directory) : log_(directory / "manager.log") {
    const auto state = (directory / "state").string();
    pid_ = ::fork();
    if (pid_ != 0) return;
    use_cpu(0);
    const auto log = open_file(log_, O_WRONLY | O_CREAT | O_TRUNC).value();
    ::dup2(log.get(), STDERR_FILENO);
    ::execl(program.c_str(), program.c_str(), "--config", (directory / "manager.toml").c_str(), "--state-dir",
            state.c_str(), "--listen", "127.0.0.1:0", "--agent-listen", "127.0.0.1:0", nullptr);
    ::_exit(127);
  }
  ~ManagerProcess() {
    ::kill(pid_, SIGTERM);
    int status = 0;
    ::waitpid(pid_, &status, 0);
  }

  // The two ports, from the line that says that it is ready.
  bool wait_ready(int& rest_port, int& agent_port) const {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::minutes(3);
    while (std::chrono::steady_clock::now() < deadline) {
      const auto text = read_file(log_).value_or("");
      const auto at = text.find("MANAGER_READY");
      const auto end = at == std::string::npos ? at : text.find('\n', at);
      if (end != std::string::npos) {
        const auto line = text.substr(at, end - at);
        const auto rest = line.find("REST at 127.0.0.1:");
        const auto agents = line.find("agents at 127.0.0.1:");
        if (rest == std::string::npos || agents == std::string::npos) return false;
        rest_port = std::atoi(line.c_str() + rest + 18);
        agent_port = std::atoi(line.c_str() + agents + 20);
        return true;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
    return false;
  }

  double memory_mib(const std::string& field) const {
    std::ifstream status(fmt::format("/proc/{}/status", pid_));
    for (std::string line; std::getline(status, line);) {
      if (line.starts_with(field + ":")) return std::atof(line.c_str() + field.size() + 1) / 1024;
    }
    return 0;
  }
  double cpu_seconds() const {
    const auto text = read_file(fmt::format("/proc/{}/stat", pid_)).value_or("");
    unsigned long user = 0;
    unsigned long system = 0;
    const auto after_name = text.rfind(')');
    if (after_name == std::string::npos) return 0;
    std::sscanf(text.c_str() + after_name + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system);
    return static_cast<double>(user + system) / static_cast<double>(::sysconf(_SC_CLK_TCK));
  }
  void print_log() const { std::cerr << read_file(log_).value_or("") << '\n'; }

 private:
  std::filesystem::path log_;
  pid_t pid_ = -1;
};

struct Timing {
  double median = 0;  // milliseconds
  double worst = 0;
  double client_cpu = 0;   // of one run, in the client's processes
  double manager_cpu = 0;  // in the manager, with the heartbeats of that time
};

double children_cpu_ms() {
  rusage usage{};
  ::getrusage(RUSAGE_CHILDREN, &usage);  // only of those that have ended: not the manager
  const auto ms = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) * 1e3 + static_cast<double>(time.tv_usec) / 1e3;
  };
  return ms(usage.ru_utime) + ms(usage.ru_stime);
}

void print_timing(std::string_view what, const Timing& timing) {
  fmt::print("{:30} {:7.1f} ms median, {:.1f} ms worst; CPU per run: client {:.1f} ms, manager {:.1f} ms\n", what,
             timing.median, timing.worst, timing.client_cpu, timing.manager_cpu);
}

// Runs it `rounds` times; the whole process counts, as it does for a user.
Timing time_command(const Command& command, std::size_t rounds, const ManagerProcess& manager,
                    const std::function<bool(const std::string&)>& right) {
  SystemCommandRunner runner;
  const double client_before = children_cpu_ms();
  const double manager_before = manager.cpu_seconds();
  std::vector<double> times;
  for (std::size_t n = 0; n < rounds; ++n) {
    const auto began = std::chrono::steady_clock::now();
    const auto output = runner.run(command);
    times.push_back(std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - began).count());
    require(output.has_value(), output ? "" : output.error().describe());
    require(right(output->out), "the answer isn't what it should be: " + output->out.substr(0, 200));
  }
  std::ranges::sort(times);
  const auto per_run = [&](double sum) { return sum / static_cast<double>(rounds); };
  return {times[times.size() / 2], times.back(), per_run(children_cpu_ms() - client_before),
          per_run((manager.cpu_seconds() - manager_before) * 1e3)};
}

int measure(const Options& options, const std::filesystem::path& directory, const SimulatedCluster& cluster,
            const ManagerProcess& manager, int rest_port) {
  const auto ca = (directory / "state" / "ca" / "ca.pem").string();
  const auto base = fmt::format("https://127.0.0.1:{}/api/v1", rest_port);
  const auto token_file = directory / "header";
  require(write_file_atomic(token_file, "Authorization: Bearer " + cluster.admin_token + "\n").has_value(),
          "header file");
  const Command list{
      .program = "curl",
      .arguments = {"-sS", "--fail", "--cacert", ca, "-H", "@" + token_file.string(), base + "/vms?summary=true"}};
  const auto complete = [&](const std::string& out) {
    const auto json = nlohmann::json::parse(out, nullptr, false);
    return !json.is_discarded() && json.contains("items") && json["items"].size() == options.guests;
  };
  Command big_list = list;
  big_list.output_limit = 256_MiB;

  // Ten seconds of nothing but heartbeats.
  const double cpu_before = manager.cpu_seconds();
  std::this_thread::sleep_for(std::chrono::seconds(10));
  const double idle_cpu = (manager.cpu_seconds() - cpu_before) / 10 * 100;
  fmt::print("heartbeats only                 {:6.1f} % of the core\n", idle_cpu);

  const auto http = time_command(big_list, options.rounds, manager, complete);
  print_timing("GET /vms?summary=true by curl", http);
  double slowest_median = http.median;
  if (!options.bh.empty()) {
    const Command command{.program = options.bh,
                          .arguments = {"vm", "list"},
                          .environment = {{"BH_SERVER", fmt::format("https://127.0.0.1:{}", rest_port)},
                                          {"BH_TOKEN", cluster.admin_token},
                                          {"BH_CA", ca}},
                          .output_limit = 256_MiB};
    const auto cli = time_command(command, options.rounds, manager, [&](const std::string& out) {
      return static_cast<std::size_t>(std::ranges::count(out, '\n')) >= options.guests;
    });
    print_timing("bh vm list", cli);
    slowest_median = std::max(slowest_median, cli.median);
  }
  const double now = manager.memory_mib("VmRSS");
  const double peak = manager.memory_mib("VmHWM");
  fmt::print("memory of the manager           {:6.1f} MiB now, {:.1f} MiB at most\n", now, peak);
  fmt::print("limits                          list {:.0f} ms, memory {:.0f} MiB\n", list_limit_ms, memory_limit_mib);
  const bool within = slowest_median < list_limit_ms && peak < memory_limit_mib;
  if (options.assert_limits && !within) {
    fmt::print("FAILED: beyond the limits\n");
    return 1;
  }
  return 0;
}

int run(const Options& options) {
  const auto temporary = TemporaryDirectory::create("manager-scale");
  require(temporary.has_value(), "no temporary directory");
  const auto& directory = temporary->path();
  require(write_file_atomic(directory / "manager.toml", "log_level = \"info\"\n").has_value(), "manager.toml");
  const auto began = std::chrono::steady_clock::now();
  const auto seconds = [&] { return std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count(); };
  const auto cluster = make_simulated_cluster(directory / "state", options.agents, options.guests);
  fmt::print("{} nodes and {} guests written after {:.1f} s\n", options.agents, options.guests, seconds());

  const ManagerProcess manager(options.manager, directory);
  int rest_port = 0;
  int agent_port = 0;
  if (!manager.wait_ready(rest_port, agent_port)) {
    manager.print_log();
    return 1;
  }
  fmt::print("manager ready after {:.1f} s, {:.1f} MiB\n", seconds(), manager.memory_mib("VmRSS"));
  if (::sysconf(_SC_NPROCESSORS_ONLN) > 1) use_cpu(1);
  SimulatedAgents agents(cluster, agent_port);
  if (!agents.wait_connected(std::chrono::minutes(5))) {
    fmt::print("only {} of {} agents connected\n", agents.connected(), options.agents);
    manager.print_log();
    return 1;
  }
  fmt::print("{} agents connected after {:.1f} s, {:.1f} MiB, {:.1f} s of CPU\n", agents.connected(), seconds(),
             manager.memory_mib("VmRSS"), manager.cpu_seconds());
  // What their first reports changed is written before anything is measured.
  double before = -1;
  for (int n = 0; n < 120 && manager.cpu_seconds() - before > 0.3; ++n) {
    before = manager.cpu_seconds();
    std::this_thread::sleep_for(std::chrono::seconds(1));
  }
  fmt::print("settled after {:.1f} s\n", seconds());
  const int code = measure(options, directory, cluster, manager, rest_port);
  if (agents.connected() != options.agents) {
    fmt::print("FAILED: {} agents lost their stream\n", options.agents - agents.connected());
    return 1;
  }
  return code;
}

}  // namespace
}  // namespace bridgehead::performance

int main(int argc, char** argv) {
  bridgehead::performance::Options options;
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  for (std::size_t n = 0; n < arguments.size(); ++n) {
    const auto value = [&] { return n + 1 < arguments.size() ? arguments[++n] : std::string(); };
    if (arguments[n] == "--manager")
      options.manager = value();
    else if (arguments[n] == "--bh")
      options.bh = value();
    else if (arguments[n] == "--agents")
      options.agents = std::stoul(value());
    else if (arguments[n] == "--guests")
      options.guests = std::stoul(value());
    else if (arguments[n] == "--rounds")
      options.rounds = std::stoul(value());
    else if (arguments[n] == "--assert")
      options.assert_limits = true;
    else
      options.manager.clear(), n = arguments.size();
  }
  if (options.manager.empty() || options.rounds == 0 || options.agents == 0) {
    std::cerr << "usage: manager_scale --manager PATH [--bh PATH] [--agents N] [--guests N] [--rounds N] [--assert]\n";
    return 2;
  }
  return bridgehead::performance::run(options);
}
