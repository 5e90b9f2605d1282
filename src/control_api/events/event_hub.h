// EventHub: tells waiting clients what changes: event streams (SSE) and long polls of operations. One thread, woken by
// commits and by the reconciler's progress. Thread-safe. Nobody waits for a slow client: its queue is bounded, and when
// it overflows the stream ends with the event "stream.dropped"; it may resume with Last-Event-ID. Nothing here fails;
// what concerns a client is told to that client.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <thread>
#include <unordered_map>
#include <vector>

#include "control_api/events/event_stream.h"
#include "reconcile/progress_board.h"
#include "state/inventory.h"

namespace bridgehead::control_api {

class EventHub {
 public:
  struct Options {
    std::chrono::milliseconds heartbeat{15'000};
    std::size_t queue = 1024;  // messages that a client may be behind
  };

  EventHub(state::Inventory& inventory, reconcile::ProgressBoard& progress, Options options);
  ~EventHub();

  void start();
  // Ends the streams, answers the long polls, joins. Idempotent.
  void stop();

  // Begins with the events after `since` (empty: with those to come). `allowed` is asked now and then whether the
  // client may still listen.
  void subscribe(std::shared_ptr<http::Exchange> exchange, std::optional<state::Revision> since,
                 std::function<bool()> allowed);

  // Calls `done` once with the operation as it is when `enough` of it is true, or at the deadline, or when it has gone
  // (empty). From the hub's thread.
  using Enough = std::function<bool(const model::Operation&)>;
  using Done = std::function<void(std::optional<model::Operation>)>;
  void wait_for(const model::OperationId& operation, std::chrono::steady_clock::time_point deadline, Enough enough,
                Done done);

  std::size_t streams() const;

 private:
  struct Waiter {
    model::OperationId operation;
    std::chrono::steady_clock::time_point deadline;
    Enough enough;
    Done done;
  };
  struct Newcomer {
    std::shared_ptr<EventStream> stream;
    state::Revision since = 0;
  };
  // What has come in since the last pass.
  struct Inbox {
    std::vector<std::pair<state::Revision, std::vector<model::Event>>> commits;
    std::unordered_map<model::OperationId, model::Operation> progress;
    std::vector<Newcomer> newcomers;
    std::vector<Waiter> waiters;
    bool changed = false;
  };

  void run();
  void pass(Inbox inbox);
  void welcome(const Newcomer& newcomer);
  void send_events(const Inbox& inbox);
  void send_operations(const Inbox& inbox);
  void send_operation(const model::Operation& operation);
  void check_waiters(bool changed);
  void beat();

  state::Inventory& inventory_;
  reconcile::ProgressBoard& progress_;
  const Options options_;

  mutable std::mutex mutex_;
  std::condition_variable wake_;
  Inbox inbox_;
  bool stopping_ = false;
  std::size_t stream_count_ = 0;

  // The hub's thread only:
  std::vector<std::shared_ptr<EventStream>> streams_;
  std::vector<Waiter> waiters_;
  std::set<model::OperationId> open_;  // operations that were open at the last pass
  state::Revision operations_seen_ = 0;
  std::chrono::steady_clock::time_point next_beat_;

  std::unique_ptr<state::StateStore::Watch> watch_;
  std::shared_ptr<void> progress_watch_;
  std::thread thread_;
};

// The operation with its newest progress laid over it.
model::Operation with_progress(model::Operation operation, const reconcile::ProgressBoard& progress);

}  // namespace bridgehead::control_api
