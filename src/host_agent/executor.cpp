#include "host_agent/executor.h"

#include "host_agent/assignments/assignments.h"
#include "host_agent/messages.h"

namespace bridgehead::host_agent {

using model::AssignmentReport;
using model::AssignmentState;

Executor::Executor(Journal& journal, const Clock& clock, Run run, Report report, Touched touched,
                   ExecutorOptions options)
    : journal_(journal),
      clock_(clock),
      run_(std::move(run)),
      report_(std::move(report)),
      touched_(std::move(touched)),
      options_(options),
      workers_(std::make_unique<WorkerPool>(options.workers)),
      import_workers_(std::make_unique<WorkerPool>(options.import_workers)) {}

Executor::~Executor() { stop(); }

// Work that may start a guest which meanwhile may run on another node.
bool Executor::may_start_elsewhere(const model::AssignmentBody& body) const {
  if (const auto* ensure = std::get_if<model::EnsureVm>(&body)) {
    return ensure->vm.spec.ha == model::HaMode::restart;
  }
  if (!std::holds_alternative<model::RebootVm>(body) && !std::holds_alternative<model::SnapshotVm>(body)) return false;
  const auto applied = journal_.applied(guest_of(body));
  return applied && applied->waits_for_manager;
}

void Executor::recover() {
  for (auto& assignment : journal_.unfinished()) {
    log::info(messages::assignment_resumed, "operation {}: {}", assignment.operation, model::kind_of(assignment.body));
    auto job = std::make_shared<Job>();
    job->lane = lane_of(assignment.body);
    job->slow = takes_long(assignment.body);
    job->assignment = std::move(assignment);
    job->resumed = true;
    if (may_start_elsewhere(job->assignment->body)) {
      job->held = true;
      const std::lock_guard lock(mutex_);
      jobs_[job->assignment->operation] = std::move(job);
      continue;
    }
    enqueue(std::move(job));
  }
}

void Executor::assign(const model::Assignment& assignment) {
  const auto& operation = assignment.operation;
  const auto receipt = journal_.receive(assignment);
  if (!receipt) {
    log::error(messages::journal_failed, "operation {}: {}", operation, receipt.error().describe());
    auto error = receipt.error();
    error.message = "the node can't keep its journal: " + error.message;
    report_({.operation = operation, .state = AssignmentState::failed, .error = std::move(error)});
    return;
  }
  if (*receipt == Receipt::finished) {
    if (const auto report = journal_.report(operation)) report_(*report);
    return;
  }
  if (*receipt == Receipt::unfinished) {
    AssignmentReport report{.operation = operation, .state = AssignmentState::running};
    {
      const std::lock_guard lock(mutex_);
      if (const auto found = jobs_.find(operation); found != jobs_.end()) report.progress = found->second->progress;
    }
    report_(report);
    release(operation);
    return;
  }
  log::info(messages::assignment_received, "operation {}: {}", operation, model::kind_of(assignment.body));
  auto job = std::make_shared<Job>();
  job->lane = lane_of(assignment.body);
  job->slow = takes_long(assignment.body);
  job->assignment = assignment;
  enqueue(std::move(job));
}

void Executor::run_in_lane(std::string lane, std::function<void()> work) {
  auto job = std::make_shared<Job>();
  job->lane = std::move(lane);
  job->work = std::move(work);
  enqueue(std::move(job));
}

void Executor::enqueue(JobPtr job) {
  const std::lock_guard lock(mutex_);
  if (*stopping_) return;  // in the journal: the next run does it
  if (job->assignment) jobs_[job->assignment->operation] = job;
  auto& lane = lanes_[job->lane];
  lane.push_back(job);
  if (lane.size() == 1) start_locked(job);
}

void Executor::release(const model::OperationId& operation) {
  JobPtr job;
  {
    const std::lock_guard lock(mutex_);
    const auto found = jobs_.find(operation);
    if (found == jobs_.end() || !std::exchange(found->second->held, false)) return;
    job = found->second;
  }
  enqueue(std::move(job));
}

void Executor::start_locked(const JobPtr& job) {
  auto& pool = job->slow ? *import_workers_ : *workers_;
  pool.submit([this, job] { run_job(job); });
}

void Executor::run_job(const JobPtr& job) {
  if (job->assignment) {
    run_assignment(job);
  } else {
    job->work();
  }
  const std::lock_guard lock(mutex_);
  const auto found = lanes_.find(job->lane);
  found->second.pop_front();
  if (found->second.empty()) {
    lanes_.erase(found);
  } else if (!*stopping_) {
    start_locked(found->second.front());
  }
}

void Executor::run_assignment(const JobPtr& job) {
  const Task task{.operation = job->assignment->operation,
                  .stop = job->stop.get_token(),
                  .progress =
                      [this, job](const Progress& progress) {
                        const std::lock_guard lock(job->gate);
                        if (job->open) note_progress(job, progress);
                      },
                  .resumed = job->resumed,
                  .leaving = [stopping = stopping_] { return stopping->load(); }};
  auto outcome = run_(*job->assignment, task);
  {
    const std::lock_guard lock(job->gate);
    job->open = false;
  }
  finish(job, std::move(outcome));
}

void Executor::finish(const JobPtr& job, Outcome outcome) {
  const auto& assignment = *job->assignment;
  const bool cancelled = outcome.error && outcome.error->code == ErrorCode::cancelled;
  AssignmentReport report{
      .operation = assignment.operation, .images = std::move(outcome.images), .stamp = std::move(outcome.stamp)};
  {
    const std::lock_guard lock(mutex_);
    // Interrupted because the agent stops, not because the user wants it: no end; taken up again by the next run.
    if (cancelled && *stopping_) {
      jobs_.erase(assignment.operation);
      return;
    }
    report.progress = job->progress;
  }
  report.state = !outcome.error ? AssignmentState::succeeded
                 : cancelled    ? AssignmentState::cancelled
                                : AssignmentState::failed;
  report.error = std::move(outcome.error);
  report.gate = std::move(outcome.gate);
  report.guest_is_here = outcome.guest_is_here;
  if (report.error && !cancelled) {
    log::warning(messages::assignment_failed, "operation {}: {}: {}", report.operation, model::kind_of(assignment.body),
                 report.error->describe());
  } else {
    log::info(messages::assignment_finished, "operation {}: {}: {}", report.operation, model::kind_of(assignment.body),
              cancelled ? "cancelled" : "succeeded");
  }
  if (auto kept = journal_.finish(report, outcome.change); !kept) {
    log::error(messages::journal_failed, "operation {}: {}", report.operation, kept.error().describe());
  }
  if (const auto guest = guest_of(assignment.body); !guest.empty()) touched_(guest);
  {
    const std::lock_guard lock(mutex_);
    jobs_.erase(report.operation);
  }
  report_(report);
}

void Executor::note_progress(const JobPtr& job, const Progress& progress) {
  AssignmentReport report{
      .operation = job->assignment->operation, .state = AssignmentState::running, .progress = progress};
  {
    const std::lock_guard lock(mutex_);
    const auto now = clock_.monotonic();
    const bool due = job->progress_sent == Monotonic{} || job->progress.phase != progress.phase ||
                     now - job->progress_sent >= options_.progress_interval;
    job->progress = progress;
    if (!due) return;
    job->progress_sent = now;
  }
  report_(report);
}

void Executor::cancel(const model::OperationId& operation) {
  bool known = false;
  {
    const std::lock_guard lock(mutex_);
    if (const auto found = jobs_.find(operation); found != jobs_.end()) {
      found->second->stop.request_stop();
      known = true;
    }
  }
  if (known) return release(operation);
  if (const auto report = journal_.report(operation)) {
    report_(*report);
  } else if (!journal_.is_unfinished(operation)) {
    report_({.operation = operation,
             .state = AssignmentState::cancelled,
             .error = Error{ErrorCode::cancelled, "cancelled before the node had received it", {}}});
  }
}

void Executor::acknowledge(const model::OperationId& operation) {
  if (auto done = journal_.acknowledge(operation); !done) {
    log::warning(messages::journal_failed, "operation {}: {}", operation, done.error().describe());
  }
}

std::vector<AssignmentReport> Executor::reports() const {
  auto all = journal_.finished();
  const std::lock_guard lock(mutex_);
  for (const auto& [operation, job] : jobs_) {
    all.push_back({.operation = operation, .state = AssignmentState::running, .progress = job->progress});
  }
  return all;
}

void Executor::interrupt() {
  const std::lock_guard lock(mutex_);
  *stopping_ = true;
  for (auto& [operation, job] : jobs_) job->stop.request_stop();
}

void Executor::stop() {
  interrupt();
  import_workers_->stop();
  workers_->stop();
}

}  // namespace bridgehead::host_agent
