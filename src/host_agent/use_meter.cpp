#include "host_agent/use_meter.h"

#include <unistd.h>

#include <sstream>

#include "host_agent/facts/host_facts.h"

namespace bridgehead::host_agent {
namespace {

// 0 = too few operations to say.
double disk_ms(const hypervisor::GuestCounters& before, const hypervisor::GuestCounters& now) {
  if (now.disk_operations < before.disk_operations + UseMeter::kFewOperations || now.disk_time < before.disk_time)
    return 0;
  const auto time = std::chrono::duration<double, std::milli>(now.disk_time - before.disk_time).count();
  return time / static_cast<double>(now.disk_operations - before.disk_operations);
}

}  // namespace

double busy_seconds(const std::string& proc_stat) {
  std::istringstream line(proc_stat.substr(0, proc_stat.find('\n')));
  std::string word;
  // "cpu  user nice system idle iowait irq softirq steal guest guest_nice"; guests' time is in user already.
  double user = 0, nice = 0, system = 0, idle = 0, iowait = 0, irq = 0, softirq = 0, steal = 0;
  line >> word >> user >> nice >> system >> idle >> iowait >> irq >> softirq >> steal;
  if (word != "cpu") return 0;
  return (user + nice + system + irq + softirq + steal) / static_cast<double>(std::max(1L, ::sysconf(_SC_CLK_TCK)));
}

UseMeter::UseMeter(hypervisor::Hypervisor& hypervisor, std::filesystem::path root, Told told,
                   std::chrono::milliseconds interval)
    : hypervisor_(hypervisor), root_(std::move(root)), told_(std::move(told)), interval_(interval) {}

UseMeter::~UseMeter() { stop(); }

void UseMeter::start() {
  if (!thread_.joinable()) thread_ = std::thread([this] { work(); });
}

void UseMeter::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  if (thread_.joinable()) thread_.join();
}

void UseMeter::work() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    lock.unlock();
    look();
    lock.lock();
    wake_.wait_for(lock, interval_, [this] { return stopping_; });
  }
}

void UseMeter::look() {
  const auto guests = hypervisor_.counters();
  if (!guests) return;
  const auto now = std::chrono::steady_clock::now();
  const double seconds = std::chrono::duration<double>(now - looked_).count();
  const bool first = looked_ == Monotonic{};
  const double busy = busy_seconds(read_text(root_ / "proc/stat"));
  model::NodeUse use{
      .cpus = std::max(0.0, busy - busy_) / seconds, .watts = rapl_.watts(now).value_or(0), .guests = {}};
  std::map<model::VmId, hypervisor::GuestCounters> counted;
  double slowest = 0;
  for (const auto& guest : *guests) {
    const auto before = counted_.find(guest.id);
    // A counter that went back belongs to a guest that was started again.
    if (before != counted_.end() && before->second.cpu <= guest.cpu && before->second.storage <= guest.storage &&
        before->second.network <= guest.network) {
      use.guests.push_back({.vm = guest.id,
                            .cpus = std::chrono::duration<double>(guest.cpu - before->second.cpu).count() / seconds,
                            .memory = guest.memory,
                            .storage = static_cast<double>(guest.storage - before->second.storage) / seconds,
                            .network = static_cast<double>(guest.network - before->second.network) / seconds});
      slowest = std::max(slowest, disk_ms(before->second, guest));
    }
    counted.emplace(guest.id, guest);
  }
  counted_ = std::move(counted);
  busy_ = busy;
  looked_ = now;
  guest_disk_ms_ = slowest;
  if (!first) told_(use);
}

}  // namespace bridgehead::host_agent
