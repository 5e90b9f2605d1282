// BenchDesk: carries out the operations bench.run, one after the other, and sees to what is left of benchmarks in
// pools. Thread-safe. Errors end in the operation.
#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <stop_token>
#include <thread>

#include "base/clock.h"
#include "base/worker_pool.h"
#include "bench/record.h"
#include "load/sweep.h"
#include "reconcile/agent_port.h"
#include "reconcile/commands/commands.h"
#include "reconcile/progress_board.h"
#include "state/inventory.h"

namespace bridgehead::bench_desk {

struct BenchDeskOptions {
  std::string version;
  std::chrono::milliseconds look{std::chrono::seconds(2)};          // at guests of other nodes
  std::chrono::milliseconds clean{std::chrono::seconds(10)};        // at what is left in pools
  std::chrono::milliseconds save{std::chrono::seconds(5)};          // the result, while it grows
  std::chrono::milliseconds lead{std::chrono::milliseconds(1500)};  // load::Plan::least_lead
};

class BenchDesk {
 public:
  // Everything must outlive it.
  BenchDesk(reconcile::Commander& commander, reconcile::AgentPort& agents, reconcile::TunnelBroker& tunnels,
            reconcile::ProgressBoard& progress, BenchDeskOptions options = {});
  ~BenchDesk();  // stops; what runs is ended by the next manager
  BenchDesk(const BenchDesk&) = delete;
  BenchDesk& operator=(const BenchDesk&) = delete;

 private:
  struct Running {
    std::stop_source stop;
    model::BenchmarkSettings limits;  // guests that wait for longer end it
    std::set<std::string> measuring;  // nodes with an order now
    std::optional<Error> why;         // it was stopped, other than by the user
  };

  void look();
  void carry_out(const model::OperationId& id, const std::shared_ptr<Running>& running);
  Result<model::Benchmark> begin(const model::OperationId& id);
  Status measure(const model::Operation& operation, const model::Benchmark& benchmark, Running& running);
  void save(const model::BenchmarkId& id, const bench::Record& record);
  void finish(const model::OperationId& id, const Status& result);
  void watch(const std::stop_token& stop);
  void watch_guests();
  void clean_up();
  bool has_guests(const model::NodeId& node) const;  // that aren't a benchmark's
  Result<bool> await_guests(const model::Operation& operation, const model::Benchmark& benchmark, const load::Ask& ask,
                            const std::stop_token& stop);

  reconcile::Commander& commander_;
  state::Inventory& inventory_;
  reconcile::AgentPort& agents_;
  reconcile::TunnelBroker& tunnels_;
  reconcile::ProgressBoard& progress_;
  const Clock& clock_;
  const BenchDeskOptions options_;
  std::stop_source stopping_;
  std::mutex mutex_;
  std::map<model::OperationId, std::shared_ptr<Running>> running_;  // and those that wait for their turn
  WorkerPool worker_{1};
  std::unique_ptr<state::StateStore::Watch> listener_;
  std::jthread watcher_;
};

}  // namespace bridgehead::bench_desk
