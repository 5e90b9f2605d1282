#include "manager.h"

#include "http_client.h"
#include "report_daemon.h"
#include "text.h"

namespace bridgehead::init {
namespace {

constexpr std::chrono::seconds report_limit{3};

}  // namespace

Manager::Manager(Journal& journal, const std::string& server, std::string boot)
    : journal_(journal), server_(Url::parse(server).value_or(Url{})), boot_(std::move(boot)) {}

Url Manager::url(std::string_view target) const {
  auto url = server_;
  if (url.target == "/") url.target.clear();
  url.target += target;
  return url;
}

Result<Url> Manager::resolve(std::string_view text) const {
  if (text.starts_with('/')) return url(text);
  auto parsed = Url::parse(text);
  if (!parsed) return fail("read the plan", concat("'", text, "' isn't http:// with a numeric IPv4 address"));
  return *parsed;
}

Result<PlanReply> Manager::ask_plan(Deadline deadline) {
  const auto target =
      url(concat("/boot/v1/plan?mac=", percent_encode(identity_.mac), "&uuid=", percent_encode(identity_.uuid),
                 "&serial=", percent_encode(identity_.serial), "&boot=", boot_));
  auto answer = http_exchange("GET", target, {}, deadline);
  if (!answer) {
    return fail(concat("ask the manager at ", server_.server.text(), " for the plan"), answer.error().why,
                "is bridgehead-manager running, and does it listen on this network?");
  }
  std::string_view rest = answer->body;
  PlanReply reply;
  reply.reason = trim(take_until(rest, '\n'));
  if (answer->status == 403) {
    reply.answer = PlanAnswer::wait;
  } else if (answer->status == 409) {
    reply.answer = PlanAnswer::reboot;
  } else if (answer->status == 200) {
    auto plan = parse_plan(answer->body);
    if (!plan) return fail(plan.error());
    reply.plan = std::move(*plan);
    if (!reply.plan.boot.empty()) boot_ = reply.plan.boot;
  } else {
    return fail("ask the manager for the plan", concat("it answers ", answer->status, ": ", reply.reason),
                "look at the manager's log");
  }
  return reply;
}

void Manager::add(std::string_view kind, std::string_view more, std::string body) {
  reports_.add({url(concat("/boot/v1/", kind, "?boot=", boot_, "&mac=", percent_encode(identity_.mac), more)),
                std::move(body), since_kernel_start()});
}

// A report that doesn't arrive is no reason to stop: it is told with the next one.
void Manager::report(std::string_view step, std::string_view message) {
  add("progress", concat("&step=", step, "&message=", percent_encode(message)), {});
  add_lines();
  reports_.tell(Deadline(report_limit));
}

void Manager::add_lines() {
  if (auto lines = journal_.take_lines(); !lines.empty()) add("log", {}, std::move(lines));
}

void Manager::report_hardware(std::string json) {
  add("hardware", {}, std::move(json));
  reports_.tell(Deadline(report_limit));
}

void Manager::leave_untold() {
  if (reports_.empty()) return;
  journal_.say("the manager is away; it is told of this boot when it is back");
  add_lines();
  if (auto started = start_report_daemon(reports_); !started) journal_.complain(started.error());
}

}  // namespace bridgehead::init
