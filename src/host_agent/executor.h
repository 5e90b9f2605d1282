// Executor: takes the manager's assignments to their end. Journal first, then one lane per guest (image, pool,
// network): one at a time in the order they came, different lanes side by side on a fixed number of workers; what
// copies whole images, which takes long, on workers of its own. A finished one is answered from the journal until it is
// acknowledged. Thread-safe. assign, cancel and acknowledge write the journal at most and never wait for work. Whatever
// fails is reported to the manager as the assignment's end.
//
// stop() ends what can be interrupted without recording an end, so that the next run of the agent takes it up again.
#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/worker_pool.h"
#include "host_agent/assignments/task.h"
#include "host_agent/journal.h"
#include "model/assignment.h"

namespace bridgehead::host_agent {

struct ExecutorOptions {
  std::size_t workers = 8;
  std::size_t import_workers = 2;                    // for what copies whole images
  std::chrono::milliseconds progress_interval{200};  // at most one progress report per assignment in this time
};

class Executor {
 public:
  using Run = std::function<Outcome(const model::Assignment&, const Task&)>;
  using Report = std::function<void(const model::AssignmentReport&)>;
  // A guest was worked on: called before the report of its end.
  using Touched = std::function<void(const model::VmId&)>;

  Executor(Journal& journal, const Clock& clock, Run run, Report report, Touched touched, ExecutorOptions options = {});
  ~Executor();
  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;

  // Takes up what an earlier run had not finished. Once, before the first assign. What may start a guest that waits for
  // the manager isn't gone on with until the manager sends it again: the guest may run on another node by now.
  void recover();

  void assign(const model::Assignment& assignment);
  // Of one that is unknown here: reported as cancelled, nothing was done.
  void cancel(const model::OperationId& operation);
  void acknowledge(const model::OperationId& operation);
  // The agent's own work on a guest, pool or network, in its lane (lane_of). Not journalled.
  void run_in_lane(std::string lane, std::function<void()> work);

  // Running, and finished ones not acknowledged yet: for the first report on a stream.
  std::vector<model::AssignmentReport> reports() const;
  // Interrupts what runs; no end is recorded for what gives up because of it. stop() then waits for it.
  void interrupt();
  void stop();

 private:
  struct Job {
    std::string lane;
    bool slow = false;
    std::optional<model::Assignment> assignment;  // nothing = own work
    std::function<void()> work;
    bool resumed = false;
    bool held = false;  // known, but in no lane yet
    std::stop_source stop;
    Progress progress;
    Monotonic progress_sent{};
    // Closed when the run ends: a call that was given up on may report for long after, and is not listened to any more.
    std::mutex gate;
    bool open = true;
  };
  using JobPtr = std::shared_ptr<Job>;

  void enqueue(JobPtr job);
  void release(const model::OperationId& operation);
  bool may_start_elsewhere(const model::AssignmentBody& body) const;
  void start_locked(const JobPtr& job);
  void run_job(const JobPtr& job);
  void run_assignment(const JobPtr& job);
  void finish(const JobPtr& job, Outcome outcome);
  void note_progress(const JobPtr& job, const Progress& progress);

  Journal& journal_;
  const Clock& clock_;
  const Run run_;
  const Report report_;
  const Touched touched_;
  const ExecutorOptions options_;
  mutable std::mutex mutex_;
  const std::shared_ptr<std::atomic<bool>> stopping_ = std::make_shared<std::atomic<bool>>(false);
  std::map<std::string, std::deque<JobPtr>> lanes_;  // the first of each runs
  std::map<model::OperationId, JobPtr> jobs_;
  std::unique_ptr<WorkerPool> workers_;
  std::unique_ptr<WorkerPool> import_workers_;
};

}  // namespace bridgehead::host_agent
