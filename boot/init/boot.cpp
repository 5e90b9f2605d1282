#include "boot.h"

#include <signal.h>
#include <sys/reboot.h>
#include <unistd.h>

#include "files.h"
#include "handover.h"
#include "hardware.h"
#include "http_client.h"
#include "lease_daemon.h"
#include "process.h"
#include "text.h"

namespace bridgehead::init {
namespace {

constexpr std::chrono::seconds ask_again{5};
constexpr std::chrono::seconds retry_after{10};
constexpr std::chrono::seconds plan_limit{10};
constexpr std::chrono::seconds say_again{60};
// So many failures in a row to reach the manager, and the network is built anew: an address may be stale.
constexpr int unanswered_limit = 6;

}  // namespace

void restart(Journal& journal, std::string_view why, std::chrono::seconds after) {
  journal.say(concat(why, "; the machine restarts in ", after.count(), " s"));
  pause_for(after);
  ::sync();
  ::reboot(RB_AUTOBOOT);
  for (;;) pause_for(std::chrono::hours(1));  // the kernel refused; process 1 must not end
}

void run_shell(Journal& journal) {
  journal.say("a shell; leave it with 'exit' to try again");
  // busybox's, or in dracut's initramfs the distribution's.
  auto shell = start(Command{exists("/bin/sh") ? "/bin/sh" : "/bin/busybox", {"sh"}, -1, true});
  if (!shell) return journal.complain(shell.error());
  wait_for(*shell, Deadline(std::chrono::hours(24 * 365)));
}

Boot::Boot(Journal& journal, CommandLine line, OnFailure policy)
    : journal_(journal),
      line_(std::move(line)),
      policy_(policy),
      loader_(journal, line_.module_parameters),
      manager_(journal, line_.server, line_.boot),
      network_(journal, loader_, line_) {}

// Steps that passed before the manager could be told, in their order; once for each boot.
void Boot::report_arrival() {
  if (manager_.boot().empty() || manager_.boot() == arrival_reported_for_) return;
  arrival_reported_for_ = manager_.boot();
  manager_.report("kernel", concat("the kernel and the initramfs run; ", uptime(), " s after the kernel's start"));
  const auto where = concat(uplink_->interface, " has ", uplink_->lease.address.text(),
                            uplink_->by_dhcp ? " by DHCP" : "", ", MAC ", uplink_->mac.text());
  if (uplink_->fallback) {
    manager_.report("fallback", concat(where, "; no bridge: ", uplink_->fallback->describe()));
  } else {
    manager_.report("bridge", where);
  }
}

// From now on, since a machine may wait for its approval for longer than its lease lasts.
void Boot::keep_lease() {
  if (line_.static_address && !uplink_->by_dhcp) return;
  auto daemon =
      start_lease_daemon({uplink_->interface, {uplink_->lease.address.address, uplink_->mac, line_.hostname}});
  if (daemon) {
    lease_daemon_ = *daemon;
  } else {
    journal_.complain(daemon.error());  // the address is good for now
  }
}

Status Boot::connect() {
  if (lease_daemon_ > 0) ::kill(lease_daemon_, SIGKILL);
  lease_daemon_ = 0;
  auto uplink = network_.connect([&](Deadline deadline) {
    while (!deadline.passed()) {
      if (host_answers(manager_.server().server, deadline.at_most(std::chrono::seconds(3)))) return true;
      pause_for(deadline.at_most(std::chrono::milliseconds(300)).left());
    }
    return false;
  });
  if (!uplink) return fail(uplink.error());
  uplink_ = std::move(*uplink);
  journal_.say(concat(uplink_->interface, " has ", uplink_->lease.address.text(), ", ", uptime(),
                      " s after the kernel's start"));
  keep_lease();
  manager_.set_identity({uplink_->mac.text(), smbios_uuid(), smbios_serial()});
  report_arrival();
  return {};
}

Result<BootPlan> Boot::wait_for_plan() {
  std::string shown;
  std::string hardware_sent_for = "-";
  Deadline next_line(say_again);
  const auto show = [&](const std::string& line) {
    if (line == shown && !next_line.passed()) return;
    shown = line;
    next_line = Deadline(say_again);
    journal_.say(line);
  };
  for (;;) {
    auto reply = manager_.ask_plan(Deadline(plan_limit));
    if (!reply) return fail(reply.error());
    unanswered_ = 0;
    if (reply->answer == PlanAnswer::reboot) {
      restart(journal_, concat("the manager has another kernel for this machine (", reply->reason, ")"),
              std::chrono::seconds(3));
    }
    if (reply->answer == PlanAnswer::wait) {
      show(concat("waiting for the manager: ", reply->reason));
    } else {
      report_arrival();
      if (reply->plan.root != RootKind::none) return std::move(reply->plan);
      if (hardware_sent_for != manager_.boot()) {
        hardware_sent_for = manager_.boot();
        manager_.report_hardware(hardware_json());
      }
      show(reply->plan.message.empty()
               ? "this machine is known to the manager now and has no image yet; waiting for one"
               : concat("waiting for the manager: ", reply->plan.message));
    }
    pause_for(ask_again);
  }
}

// From the plan to a root that waits for its init.
Result<std::string> Boot::make_root(const BootPlan& plan) {
  if (!plan.hostname.empty() && ::sethostname(plan.hostname.data(), plan.hostname.size()) != 0) {
    return fail_errno(concat("set the host name ", plan.hostname));
  }
  RootContext context{journal_, loader_, manager_, uplink_->lease.address.address, line_.wait, holdings_};
  if (auto done = mount_root(plan, context); !done) return fail(done.error());
  if (auto done = mount_overlay(plan, context); !done) return fail(done.error());
  const auto mounted = uptime();
  auto init = find_init(line_.init);
  if (!init) return fail(init.error());
  journal_.say(concat("the root is mounted, ", mounted, " s after the kernel's start"));
  manager_.report("root", concat("mounted ", mounted, " s after the kernel's start"));
  if (auto done = lay_bundle(plan, context); !done) return fail(done.error());
  if (auto done = write_handover(plan, *uplink_, line_, holdings_); !done) return fail(done.error());
  make_mount_points();
  manager_.report("handover", concat(*init, ", ", uptime(), " s after the kernel's start"));
  manager_.leave_untold();
  return init;
}

void Boot::hand_over(const std::string& init, const Arguments& arguments) {
  const auto failure = switch_root(init, arguments.init, arguments.environment);
  journal_.complain(failure);
  manager_.report("failed", failure.describe());
  restart(journal_, "the initramfs is gone", std::chrono::seconds(20));
}

Result<std::string> Boot::attempt() {
  if (!uplink_ || unanswered_ >= unanswered_limit) {
    uplink_.reset();
    unanswered_ = 0;
    if (auto connected = connect(); !connected) return fail(connected.error());
  }
  auto plan = wait_for_plan();
  if (!plan) {
    ++unanswered_;
    return fail(plan.error());
  }
  return make_root(*plan);
}

void Boot::after(const Failure& failure) {
  holdings_.release();
  journal_.complain(failure);
  if (uplink_) manager_.report("failed", failure.describe());
  switch (policy_) {
    case OnFailure::reboot: restart(journal_, "as its profile wants it", retry_after);
    case OnFailure::shell: return run_shell(journal_);
    case OnFailure::retry: break;
  }
  journal_.say(concat("trying again in ", retry_after.count(), " s"));
  pause_for(retry_after);
}

std::string Boot::prepare_root() {
  loader_.load_always();
  for (;;) {
    auto init = attempt();
    if (init) return std::move(*init);
    after(init.error());
  }
}

}  // namespace bridgehead::init
