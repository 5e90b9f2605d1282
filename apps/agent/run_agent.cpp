#include "run_agent.h"

#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <sys/file.h>
#include <unistd.h>

#include <fcntl.h>
#include <cerrno>
#include <cstdio>
#include <iostream>
#include <thread>

#include "base/command.h"
#include "base/file.h"
#include "host_agent/facts/host_facts.h"
#include "host_agent/manager/join.h"
#include "host_agent/messages.h"
#include "host_agent/node_agent.h"
#include "host_agent/upgrade/upgrade_install.h"
#include "hypervisor/kvm_run.h"
#include "hypervisor/libvirt/libvirt_hypervisor.h"
#include "service_manager.h"
#include "state/sqlite_store.h"
#include "storage/image_pool.h"

namespace bridgehead::agent_app {
namespace {

using namespace host_agent;

// QEMU's user passes through it to a guest's seed and logs, but can't list it; the key in it has mode 0600.
constexpr mode_t kStateDirMode = 0711;
// Longer than any call that isn't hung takes to be given up on.
constexpr unsigned kStopSeconds = 30;

// A small resident set: few arenas, and freed memory goes back to the system.
void tame_malloc() {
  ::mallopt(M_ARENA_MAX, 2);
  ::mallopt(M_TRIM_THRESHOLD, 256 << 10);
  ::mallopt(M_MMAP_THRESHOLD, 256 << 10);
}

std::size_t default_workers() { return std::clamp<std::size_t>(2 * std::thread::hardware_concurrency(), 8, 32); }

sigset_t stop_signals() {
  sigset_t signals;
  ::sigemptyset(&signals);
  ::sigaddset(&signals, SIGTERM);
  ::sigaddset(&signals, SIGINT);
  return signals;
}

void wait_for_stop() {
  const auto signals = stop_signals();
  int signal = 0;
  while (::sigwait(&signals, &signal) != 0) {
  }
}

// Something that hangs in the kernel must not keep the service manager waiting: what isn't finished is in the journal.
void leave_if_stop_hangs() {
  std::thread([] {
    ::sleep(kStopSeconds);
    ::_exit(0);
  }).detach();
}

NodeAgentConfig agent_config(const Config& config, const std::filesystem::path& file) {
  std::error_code unknown;
  NodeAgentConfig agent{.state_dir = config.state_dir,
                        .import_directories = config.import_directories,
                        .watchdog = config.watchdog,
                        .version = BRIDGEHEAD_VERSION,
                        .config_file = std::filesystem::absolute(file, unknown),
                        .program = std::filesystem::read_symlink("/proc/self/exe", unknown)};
  agent.executor.workers = config.workers > 0 ? config.workers : default_workers();
  agent.executor.import_workers = config.import_workers;
  return agent;
}

}  // namespace

Status run_agent(const Config& config, const std::filesystem::path& file) {
  tame_malloc();
  ::signal(SIGPIPE, SIG_IGN);
  const auto signals = stop_signals();
  ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);  // before any thread: only wait_for_stop gets them

  if (auto made = make_directories(config.state_dir, kStateDirMode); !made) return made;
  auto identity = IdentityFile(config.state_dir).load();
  if (!identity) return forward(identity);
  if (!*identity) {
    return fail_with_hint(ErrorCode::failed_precondition, "this node has not joined a cluster",
                          "Get a token with 'bh node join-token' and run 'bridgehead-agent join <token>' here.");
  }
  if (!config.manager.empty()) (*identity)->manager = config.manager;
  auto store = state::open_sqlite_store(config.state_dir / "journal.db");
  if (!store) return forward(store);

  const SystemClock clock;
  SystemRandom random;
  SystemCommandRunner commands;
  const auto hypervisor = hypervisor::make_libvirt_hypervisor({.uri = config.libvirt_uri}, commands);
  auto agent =
      NodeAgent::create(agent_config(config, file),
                        {.hypervisor = *hypervisor,
                         .open_pool = [host = storage::PoolHost{config.state_dir / "pools", (*identity)->node.str()}](
                                          const model::Pool& pool) { return storage::open_pool(pool, host); },
                         .kvm = {.run = [] { return hypervisor::try_kvm_without_qemu(); },
                                 .with_qemu = [&commands] { return hypervisor::try_kvm(commands); }},
                         .store = **store,
                         .clock = clock,
                         .random = random,
                         .commands = commands},
                        **identity);
  if (!agent) return forward(agent);
  (*agent)->start();
  notify_service_manager("READY=1\nSTATUS=running");
  wait_for_stop();
  notify_service_manager("STOPPING=1");
  log::info(messages::agent_stopping, "guests go on");
  leave_if_stop_hangs();
  (*agent)->stop();
  return {};
}

Status join(const Config& config, std::string token) {
  if (token == "-") {
    std::getline(std::cin, token);
    if (token.empty()) return fail(ErrorCode::invalid_argument, "no join token came on standard input");
  }
  if (auto made = make_directories(config.state_dir, kStateDirMode); !made) return made;
  const auto lock = open_file(config.state_dir / "join.lock", O_RDWR | O_CREAT);
  if (!lock) return forward(lock);
  if (::flock(lock->get(), LOCK_EX | LOCK_NB) != 0) {
    return fail(ErrorCode::failed_precondition, "another 'bridgehead-agent join' is under way");
  }
  const SystemClock clock;
  const auto facts = read_host_facts("/");
  const auto joined = join_cluster(token, IdentityFile(config.state_dir),
                                   {.hostname = facts.hostname, .machine_id = facts.machine_id}, clock);
  if (!joined) return forward(joined);
  const auto& identity = joined->identity;
  if (joined->already) {
    fmt::print("This node is already a member of the cluster of {} (node {}).\n", identity.manager, identity.node);
  } else {
    fmt::print("This node joined the cluster of {} as node {}.\n", identity.manager, identity.node);
  }
  return {};
}

Status join_boot(const Config& config, const std::filesystem::path& file) {
  const auto boot = read_file(file, 64_KiB);
  if (!boot) return forward(boot);
  std::string_view rest = *boot;
  constexpr std::string_view key = "join=";
  while (!rest.empty()) {
    const auto line = rest.substr(0, std::min(rest.find('\n'), rest.size()));
    if (line.starts_with(key)) return join(config, std::string(line.substr(key.size())));
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
  }
  return fail(ErrorCode::failed_precondition, "{} has no join token: this machine was booted without one",
              file.string());
}

Status install_upgrade(const Config& config) {
  SystemCommandRunner commands;
  return host_agent::install_upgrade(UpgradeFiles(config.state_dir), commands);
}

}  // namespace bridgehead::agent_app
