#include "performance/storm_crowd.h"

#include <arpa/inet.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include <array>
#include <thread>

namespace bridgehead::performance {
namespace {

constexpr std::uint64_t kWake = ~std::uint64_t{0};

}  // namespace

StormCrowd::StormCrowd(const StormPlan& plan)
    : plan_(plan),
      epoll_(::epoll_create1(EPOLL_CLOEXEC)),
      wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      left_(plan.machines.size()) {
  for (const auto& identity : plan_.machines) {
    machines_.emplace_back(identity.mac, identity.address, plan_.discovered);
    busy_.push_back({.machine = busy_.size(), .exchange = nullptr});
  }
  epoll_event event{EPOLLIN, {.u64 = kWake}};
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, wake_.get(), &event);
}

double StormCrowd::now() const {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begun_).count();
}

Result<StormOutcome> StormCrowd::run() {
  begun_ = std::chrono::steady_clock::now();
  const auto deadline = begun_ + plan_.patience;
  std::optional<StormFirmware> firmware;
  std::jthread firmware_thread;
  if (plan_.discovered) {
    for (auto& busy : busy_) ask(busy);
  } else {
    auto opened = StormFirmware::open(plan_.interface, plan_.machines);
    if (!opened) return forward(opened);
    firmware.emplace(std::move(*opened));
    firmware_thread = std::jthread([&] {
      firmware->run([this](std::size_t machine, const std::string& problem) { loaded(machine, problem); }, deadline);
    });
  }
  std::array<epoll_event, 256> events;
  while (left_ > 0 && std::chrono::steady_clock::now() < deadline + std::chrono::seconds(5)) {
    const int count = ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), 100);
    for (int i = 0; i < count; ++i) {
      const auto id = events[static_cast<std::size_t>(i)].data.u64;
      if (id == kWake) {
        take_loaded();
      } else if (auto& busy = busy_[id]; busy.exchange) {
        follow(busy, busy.exchange->advance());
      }
    }
  }
  for (const auto& busy : busy_) {
    if (busy.exchange) end(busy.machine, fmt::format("no {} in time", step_name(machines_[busy.machine].step())));
  }
  outcome_.seconds = now();
  if (firmware_thread.joinable()) firmware_thread.join();
  if (firmware) outcome_.repeated = firmware->repeated();
  return std::move(outcome_);
}

void StormCrowd::loaded(std::size_t machine, const std::string& problem) {
  const std::lock_guard lock(mutex_);
  loaded_.emplace_back(machine, problem);
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = ::write(wake_.get(), &one, sizeof one);
}

void StormCrowd::take_loaded() {
  std::uint64_t count = 0;
  [[maybe_unused]] const auto got = ::read(wake_.get(), &count, sizeof count);
  std::vector<std::pair<std::size_t, std::string>> loaded;
  {
    const std::lock_guard lock(mutex_);
    loaded.swap(loaded_);
  }
  for (const auto& [machine, problem] : loaded) {
    outcome_.all_loaded = now();
    if (outcome_.first_loaded == 0) outcome_.first_loaded = outcome_.all_loaded;
    if (problem.empty()) {
      ask(busy_[machine]);
    } else {
      end(machine, problem);
    }
  }
}

void StormCrowd::ask(Busy& busy) {
  const auto& machine = machines_[busy.machine];
  const in_addr from{htonl(machine.address())};
  busy.exchange = std::make_unique<HttpExchange>(from, plan_.server, machine.question(plan_.files));
  busy.want = HttpExchange::Want::write;
  epoll_event event{EPOLLOUT, {.u64 = busy.machine}};
  if (busy.exchange->fd() < 0 || ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, busy.exchange->fd(), &event) != 0) {
    end(busy.machine, busy.exchange->problem());
  }
}

void StormCrowd::follow(Busy& busy, HttpExchange::Want want) {
  if (want == HttpExchange::Want::nothing) return answered(busy);
  if (want == busy.want) return;
  busy.want = want;
  epoll_event event{want == HttpExchange::Want::read ? EPOLLIN : EPOLLOUT, {.u64 = busy.machine}};
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, busy.exchange->fd(), &event);
}

void StormCrowd::answered(Busy& busy) {
  auto& machine = machines_[busy.machine];
  const auto& exchange = *busy.exchange;
  outcome_.bytes += exchange.received();
  outcome_.answers[std::string(step_name(machine.step()))].push_back(exchange.age().count());
  auto problem = exchange.problem();
  if (problem.empty()) problem = machine.take(exchange.status(), exchange.body());
  if (!problem.empty() || machine.step() == StormMachine::Step::ended) return end(busy.machine, problem);
  ask(busy);
}

void StormCrowd::end(std::size_t machine, const std::string& problem) {
  busy_[machine].exchange.reset();
  --left_;
  if (problem.empty()) {
    ++outcome_.served;
  } else {
    outcome_.problems.push_back(fmt::format("{}: {}", plan_.machines[machine].mac, problem));
  }
}

}  // namespace bridgehead::performance
