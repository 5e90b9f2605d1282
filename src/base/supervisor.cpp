#include "base/supervisor.h"

#include <poll.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <future>
#include <map>
#include <mutex>
#include <thread>

#include "base/log.h"
#include "base/service_process.h"

namespace bridgehead {
namespace {

constexpr log::Message service_started{"SERVICE_STARTED", "A program that we keep running was started."};
constexpr log::Message service_ended{
    "SERVICE_ENDED",
    "A program that we keep running ended by itself; says how, with its last line, and "
    "when it is started again."};
constexpr log::Message service_start_failed{"SERVICE_START_FAILED",
                                            "A program that we keep running could not be started; it is tried again."};
constexpr log::Message service_stopped{"SERVICE_STOPPED", "A program was told to end and did."};
constexpr log::Message service_killed{"SERVICE_KILLED", "A program didn't end in time after SIGTERM and was killed."};
constexpr log::Message service_line{"SERVICE_LINE", "What a program that we keep running printed."};

}  // namespace

bool ServiceSpec::operator==(const ServiceSpec& other) const {
  return name == other.name && command == other.command && mounts == other.mounts && run_as == other.run_as &&
         restart_first == other.restart_first && restart_last == other.restart_last &&
         stable_after == other.stable_after && stop_grace == other.stop_grace;
}

// Services change on the thread only; callers leave tasks for it and wait. The mutex guards tasks and statuses.
class Supervisor::Engine {
 public:
  explicit Engine(const Clock& clock) : clock_(clock), wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    require(static_cast<bool>(wake_), "eventfd");
    thread_ = std::thread([this] { work(); });
  }

  ~Engine() {
    stop_all();
    post([this] { ending_ = true; });
    thread_.join();
  }

  Status start(ServiceSpec spec) {
    for (;;) {
      bool replace = false;
      auto started = call<Status>([&]() -> Status {
        const auto found = services_.find(spec.name);
        if (found == services_.end()) return begin(spec);
        if (found->second.spec == spec && !found->second.forget) return {};
        replace = true;
        return {};
      });
      if (!replace) return started;
      stop(spec.name);
    }
  }

  void stop(const std::string& name) {
    std::future<void> ended;
    call<bool>([&] {
      const auto found = services_.find(name);
      if (found != services_.end()) ended = end(found->second);
      return true;
    });
    if (ended.valid()) ended.wait();
  }

  void stop_all() {
    std::vector<std::future<void>> ended;
    call<bool>([&] {
      for (auto& [name, service] : services_) ended.push_back(end(service));
      return true;
    });
    for (auto& one : ended) one.wait();
  }

  Status restart(const std::string& name) {
    return call<Status>([&]() -> Status {
      const auto found = services_.find(name);
      if (found == services_.end()) return fail(ErrorCode::not_found, "there is no service named '{}'", name);
      auto& service = found->second;
      service.at_once = true;
      if (service.process) {
        terminate(service);
      } else {
        service.due = std::chrono::steady_clock::now();
      }
      return {};
    });
  }

  Status signal(const std::string& name, int signal_number) {
    return call<Status>([&]() -> Status {
      const auto found = services_.find(name);
      if (found == services_.end()) return fail(ErrorCode::not_found, "there is no service named '{}'", name);
      if (!found->second.process) return fail(ErrorCode::unavailable, "{} isn't running just now", name);
      found->second.process->signal(signal_number);
      return {};
    });
  }

  std::vector<ServiceStatus> all() const {
    const std::lock_guard lock(mutex_);
    std::vector<ServiceStatus> result;
    for (const auto& [name, status] : statuses_) result.push_back(status);
    return result;
  }

  std::optional<ServiceStatus> status(const std::string& name) const {
    const std::lock_guard lock(mutex_);
    const auto found = statuses_.find(name);
    if (found == statuses_.end()) return std::nullopt;
    return found->second;
  }

 private:
  struct Service {
    ServiceSpec spec;
    std::optional<ServiceProcess> process;
    std::chrono::milliseconds delay{0};  // of the last wait; 0 = it was stable
    Monotonic started{};
    std::optional<Monotonic> due;      // next start
    std::optional<Monotonic> kill_at;  // after SIGTERM
    bool forget = false;               // stop(): not started again
    bool at_once = false;              // restart(): without waiting
    std::vector<std::promise<void>> waiters;
  };

  void post(std::function<void()> task) {
    {
      const std::lock_guard lock(mutex_);
      tasks_.push_back(std::move(task));
    }
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto written = ::write(wake_.get(), &one, sizeof one);
  }

  template <typename T, typename Function>
  T call(Function function) {
    require(std::this_thread::get_id() != thread_.get_id(), "on_line called back into its Supervisor");
    std::promise<T> promise;
    auto result = promise.get_future();
    post([&] { promise.set_value(function()); });
    return result.get();
  }

  void publish(const std::string& name, const std::function<void(ServiceStatus&)>& change) {
    const std::lock_guard lock(mutex_);
    change(statuses_[name]);
  }

  void set_state(const std::string& name, ServiceState state, int pid) {
    publish(name, [&](ServiceStatus& status) {
      status.name = name;
      status.state = state;
      status.pid = pid;
      status.since = clock_.now();
    });
  }

  Status begin(const ServiceSpec& spec) {
    Service service;
    service.spec = spec;
    if (auto started = launch(service); !started) return started;
    services_.emplace(spec.name, std::move(service));
    return {};
  }

  Status launch(Service& service) {
    auto process = ServiceProcess::spawn(service.spec);
    if (!process) return forward(process);
    service.process = std::move(*process);
    service.started = std::chrono::steady_clock::now();
    service.due.reset();
    service.at_once = false;
    set_state(service.spec.name, ServiceState::running, service.process->pid());
    log::info(service_started, "{} (process {}): {}", service.spec.name, service.process->pid(),
              service.spec.command.describe());
    return {};
  }

  void terminate(Service& service) {
    if (service.kill_at) return;
    set_state(service.spec.name, ServiceState::stopping, service.process->pid());
    service.process->signal(service.spec.stop_signal);
    service.kill_at = std::chrono::steady_clock::now() + service.spec.stop_grace;
  }

  std::future<void> end(Service& service) {
    service.forget = true;
    service.waiters.emplace_back();
    auto ended = service.waiters.back().get_future();
    if (service.process) {
      terminate(service);
    } else {
      service.due = std::chrono::steady_clock::now();
    }
    return ended;
  }

  void take_line(const Service& service, std::string_view line) {
    publish(service.spec.name, [&](ServiceStatus& status) { status.last_line = line; });
    log::debug(service_line, "{}: {}", service.spec.name, line);
    if (service.spec.on_line) service.spec.on_line(line);
  }

  void wait_before_start(Service& service) {
    const auto now = std::chrono::steady_clock::now();
    if (service.at_once || service.forget) {
      service.delay = {};
      service.due = now;
      return;
    }
    const bool was_stable = now - service.started >= service.spec.stable_after;
    service.delay = was_stable || service.delay.count() == 0 ? service.spec.restart_first
                                                             : std::min(service.delay * 2, service.spec.restart_last);
    service.due = now + service.delay;
  }

  void ended(Service& service) {
    auto how = service.process->reap([&](std::string_view line) { take_line(service, line); });
    service.process.reset();
    const auto& name = service.spec.name;
    const bool asked = service.kill_at.has_value();
    service.kill_at.reset();
    wait_before_start(service);
    publish(name, [&](ServiceStatus& status) {
      if (!asked && !status.last_line.empty()) how += ": " + status.last_line;
      status.last_exit = how;
    });
    set_state(name, ServiceState::waiting, 0);
    if (asked) {
      log::info(service_stopped, "{} has ended ({})", name, how);
    } else {
      log::warning(service_ended, "{} ended ({}); starts again in {} ms", name, how, service.delay.count());
    }
  }

  void start_again(Service& service) {
    const auto& name = service.spec.name;
    publish(name, [](ServiceStatus& status) { ++status.restarts; });
    service.started = std::chrono::steady_clock::now();
    if (auto started = launch(service); !started) {
      wait_before_start(service);
      publish(name, [&](ServiceStatus& status) { status.last_exit = started.error().describe(); });
      log::error(service_start_failed, "{}: {}; tried again in {} ms", name, started.error().describe(),
                 service.delay.count());
    }
  }

  // What is due now; the time until the next thing is. False: the service is over and forgotten.
  bool advance(Service& service, Monotonic now) {
    if (service.process && service.kill_at && now >= *service.kill_at) {
      log::warning(service_killed, "{} (process {}) didn't end within {} ms", service.spec.name, service.process->pid(),
                   service.spec.stop_grace.count());
      service.process->signal_group(SIGKILL);
      service.kill_at = now + std::chrono::seconds(1);
    }
    if (service.process) return true;
    if (service.forget) return false;
    if (service.due && now >= *service.due) start_again(service);
    return true;
  }

  void forget(const std::string& name, Service& service) {
    {
      const std::lock_guard lock(mutex_);
      statuses_.erase(name);
    }
    for (auto& waiter : service.waiters) waiter.set_value();
  }

  std::optional<Monotonic> next_deadline() const {
    std::optional<Monotonic> next;
    for (const auto& [name, service] : services_) {
      const auto& deadline = service.process ? service.kill_at : service.due;
      if (deadline && (!next || *deadline < *next)) next = deadline;
    }
    return next;
  }

  void wait_for_events() {
    std::vector<pollfd> waiting{{wake_.get(), POLLIN, 0}};
    std::vector<Service*> whose{nullptr};
    for (auto& [name, service] : services_) {
      if (!service.process) continue;
      waiting.push_back({service.process->output_fd(), POLLIN, 0});
      waiting.push_back({service.process->exit_fd(), POLLIN, 0});
      whose.insert(whose.end(), 2, &service);
    }
    int timeout = -1;
    if (const auto next = next_deadline()) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(*next - std::chrono::steady_clock::now());
      timeout = static_cast<int>(std::clamp<std::int64_t>(left.count(), 0, 60'000));
    }
    if (::poll(waiting.data(), waiting.size(), timeout) <= 0) return;
    std::uint64_t count = 0;
    [[maybe_unused]] const auto got = ::read(wake_.get(), &count, sizeof count);
    for (std::size_t i = 1; i < waiting.size(); i += 2) {
      auto& service = *whose[i];
      if (waiting[i].revents != 0) {
        service.process->read_output([&](std::string_view line) { take_line(service, line); });
      }
      if (waiting[i + 1].revents != 0) ended(service);
    }
  }

  void work() {
    while (!ending_) {
      wait_for_events();
      std::vector<std::function<void()>> tasks;
      {
        const std::lock_guard lock(mutex_);
        tasks.swap(tasks_);
      }
      for (const auto& task : tasks) task();
      const auto now = std::chrono::steady_clock::now();
      for (auto at = services_.begin(); at != services_.end();) {
        if (advance(at->second, now)) {
          ++at;
          continue;
        }
        forget(at->first, at->second);
        at = services_.erase(at);
      }
    }
  }

  const Clock& clock_;
  UniqueFd wake_;
  std::map<std::string, Service> services_;
  bool ending_ = false;
  mutable std::mutex mutex_;
  std::vector<std::function<void()>> tasks_;
  std::map<std::string, ServiceStatus> statuses_;
  std::thread thread_;
};

Supervisor::Supervisor(const Clock& clock) : engine_(std::make_unique<Engine>(clock)) {}
Supervisor::~Supervisor() = default;
Status Supervisor::start(ServiceSpec spec) { return engine_->start(std::move(spec)); }
void Supervisor::stop(std::string_view name) { engine_->stop(std::string(name)); }
void Supervisor::stop_all() { engine_->stop_all(); }
Status Supervisor::restart(std::string_view name) { return engine_->restart(std::string(name)); }
Status Supervisor::signal(std::string_view name, int signal_number) {
  return engine_->signal(std::string(name), signal_number);
}
std::optional<ServiceStatus> Supervisor::status(std::string_view name) const {
  return engine_->status(std::string(name));
}
std::vector<ServiceStatus> Supervisor::all() const { return engine_->all(); }

}  // namespace bridgehead
