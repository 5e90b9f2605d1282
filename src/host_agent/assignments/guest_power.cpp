#include "host_agent/assignments/guest_power.h"

namespace bridgehead::host_agent {
namespace {

using hypervisor::GuestState;
using std::chrono::milliseconds;

bool is_off(GuestState state) { return state == GuestState::stopped || state == GuestState::absent; }

}  // namespace

Status stop_guest(const NodeServices& services, const model::VmId& vm, const StopPolicy& policy, const Task& task) {
  auto& hypervisor = services.hypervisor;
  if (policy.force) return hypervisor.power_off(vm);
  const bool may_force = policy.grace.count() > 0;
  const milliseconds patience = may_force ? milliseconds(policy.grace) : services.timings.default_grace;
  const auto started = services.clock.monotonic();
  auto ask_next = started;
  for (;;) {
    const auto seen = services.events.count(vm);
    const auto info = hypervisor.get(vm);
    if (!info) return forward(info);
    if (is_off(info->state)) return {};
    if (info->state == GuestState::crashed) return hypervisor.power_off(vm);
    if (task.stop.stop_requested()) return fail(cancelled_error());
    const auto now = services.clock.monotonic();
    if (now - started >= patience) break;
    if (now >= ask_next) {
      // A paused guest can't answer.
      if (info->state == GuestState::paused) {
        if (auto resumed = hypervisor.resume(vm); !resumed) return resumed;
      }
      if (auto asked = hypervisor.request_shutdown(vm); !asked) {
        // It may have ended between the look and the request.
        const auto again = hypervisor.get(vm);
        if (again && is_off(again->state)) return {};
        return asked;
      }
      ask_next = now + services.timings.shutdown_repeat;
    }
    const auto seconds = [](auto duration) {
      return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::seconds>(duration).count());
    };
    task.progress({.phase = "shutdown", .done = seconds(now - started), .total = seconds(patience)});
    const auto until = std::min(ask_next, started + patience);
    services.events.wait(vm, seen, std::chrono::ceil<milliseconds>(until - now), task.stop);
  }
  if (may_force) return hypervisor.power_off(vm);
  return fail_with_hint(ErrorCode::failed_precondition,
                        fmt::format("the guest did not shut down within {} s of being asked",
                                    std::chrono::duration_cast<std::chrono::seconds>(patience).count()),
                        "Shut it down from inside, or stop it with force.");
}

Status run_guest(const NodeServices& services, const model::VmId& vm, GuestState now, bool paused,
                 std::stop_token stop) {
  auto& hypervisor = services.hypervisor;
  if (now == GuestState::crashed) {
    if (auto off = hypervisor.power_off(vm); !off) return off;
    now = GuestState::stopped;
  }
  if (is_off(now)) {
    if (services.leases != nullptr) {
      if (auto may = services.leases->begin_start(vm, std::move(stop)); !may) return may;
    }
    auto started = hypervisor.start(vm);
    if (services.leases != nullptr) services.leases->end_start(vm, started.has_value());
    if (!started) return started;
    return paused ? hypervisor.pause(vm) : Status{};
  }
  if (paused && now == GuestState::running) return hypervisor.pause(vm);
  if (!paused && now == GuestState::paused) return hypervisor.resume(vm);
  return {};
}

}  // namespace bridgehead::host_agent
