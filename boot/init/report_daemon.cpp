#include "report_daemon.h"

#include <sys/prctl.h>
#include <unistd.h>

#include "daemon.h"
#include "files.h"
#include "process.h"

namespace bridgehead::init {
namespace {

// Not arguments: with the boot's id in them they are nobody else's.
constexpr auto untold_file = "/run/bridgehead/untold";
constexpr std::chrono::seconds try_again{2};
constexpr std::chrono::seconds tell_limit{10};
constexpr std::chrono::hours longest{1};

}  // namespace

Status start_report_daemon(const Reports& reports) {
  if (auto written = write_file(untold_file, reports.text(), 0600); !written) return written;
  auto daemon = start_daemon({report_daemon_name}, "it can't read what is to be told");
  if (!daemon) return fail(daemon.error());
  return {};
}

int run_report_daemon() {
  ::prctl(PR_SET_NAME, "bh-report");
  ::setsid();
  block_signals();
  const auto text = read_file(untold_file);
  ::unlink(untold_file);
  auto reports = text ? Reports::parse(*text) : std::nullopt;
  if (!reports || !tell_ready()) return 1;
  const Deadline end(longest);
  while (!reports->tell(Deadline(tell_limit)) && !end.passed()) pause_for(try_again);
  if (reports->empty()) return 0;
  log_line("bridgehead-report", "the manager wasn't there for an hour; it misses steps of this boot",
           Severity::warning);
  return 1;
}

}  // namespace bridgehead::init
