// PowerDesk: the manager's end of machines' power. Opens a driver from a node's record and its sealed password, has the
// operations node.power carried out, one after the other for each machine, tells what BMCs say now, and has machines'
// consoles open. What a manager that was killed left open is taken up again. Thread-safe. Errors end in the operation
// or the answer; none contains a password.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>

#include "base/clock.h"
#include "base/worker_pool.h"
#include "pki/secret_box.h"
#include "power/power_settings.h"
#include "power_desk/machine_console.h"
#include "reconcile/power_port.h"
#include "reconcile/progress_board.h"
#include "state/inventory.h"

namespace bridgehead::power_desk {

struct PowerDeskOptions {
  std::chrono::milliseconds heartbeat{std::chrono::seconds(5)};  // of agents; three missed = not heard of
  power::PowerLimits change{.deadline = std::chrono::minutes(2)};
  // Of machines whose state nobody can read: their agent must have started.
  std::chrono::milliseconds unreadable_deadline{std::chrono::minutes(10)};
  std::chrono::milliseconds agent_answers{std::chrono::seconds(20)};  // when it is asked to put its machine to sleep
  power::PowerLimits reading{.deadline = std::chrono::seconds(20)};
  // Fencing waits so long for an order, and looks for itself whether the machine still lives.
  power::PowerLimits order{.deadline = std::chrono::seconds(15), .witness_time = std::chrono::seconds(0)};
  std::size_t changes_at_once = 16;
  std::size_t readings_at_once = 4;
  std::size_t most_readings = 64;  // waiting
  std::size_t most_consoles = 16;  // open at once
};

class PowerDesk final : public reconcile::PowerPort {
 public:
  // Everything must outlive it; `tools.runner` is used from several threads. Machines are put to sleep by their
  // `agents`.
  PowerDesk(state::Inventory& inventory, const pki::SecretBox& secrets, reconcile::TunnelBroker& agents,
            reconcile::ProgressBoard& progress, const Clock& clock, power::PowerTools tools,
            PowerDeskOptions options = {});
  ~PowerDesk() override;  // stops; what runs is taken up again at the next start
  PowerDesk(const PowerDesk&) = delete;
  PowerDesk& operator=(const PowerDesk&) = delete;

  Status try_settings(const model::Bmc& bmc, std::string_view password) const override;
  Status read(const model::NodeId& node, std::function<void(Result<reconcile::PowerReading>)> told) override;
  Status read_watts(const model::NodeId& node, std::function<void(Result<double>)> told) override;
  Status order_off(const model::NodeId& node, std::function<void(Status)> told) override;
  Status check(const model::NodeId& node, std::function<void(Result<reconcile::BmcCheck>)> told) override;
  Result<std::shared_ptr<reconcile::Tunnel>> open_console(const model::NodeId& node, bool take_over,
                                                          reconcile::TunnelHandlers handlers) override;

 private:
  struct Running {
    model::OperationId operation;
    std::stop_source stop;
  };
  struct Opened {
    std::string name;  // the node's
    std::unique_ptr<power::PowerControl> control;
    power::PowerAbilities abilities;
  };
  Result<std::unique_ptr<power::PowerDriver>> open_driver(const model::Node& node) const;
  Result<Opened> open(const model::NodeId& node) const;
  power::PowerWitness witness_of(const model::Node& node) const;
  Result<reconcile::PowerReading> read_now(const model::NodeId& node) const;
  Result<double> read_watts_now(const model::NodeId& node) const;
  Status order_off_now(const model::NodeId& node) const;
  Result<reconcile::BmcCheck> check_now(const model::NodeId& node) const;
  Status submit_reading(std::function<void()> reading);

  void look();
  void carry_out(const model::OperationId& id, const std::stop_token& stop);
  Result<model::Operation> begin(const model::OperationId& id);
  Result<power::PowerReport> change_power(const model::Operation& operation, const std::stop_token& stop);
  Status fall_asleep(const model::Operation& operation, const std::stop_token& stop);
  Status note_step(const model::OperationId& id, const char* parameter, const char* phase);
  void keep_what_is_known(model::Bmc& bmc, const model::Operation& ended,
                          const Result<power::PowerReport>& result) const;
  void finish(const model::OperationId& id, const Result<power::PowerReport>& result);

  state::Inventory& inventory_;
  const pki::SecretBox& secrets_;
  reconcile::TunnelBroker& agents_;
  reconcile::ProgressBoard& progress_;
  const Clock& clock_;
  const power::PowerTools tools_;
  const PowerDeskOptions options_;
  std::stop_source stopping_;
  std::mutex mutex_;
  std::map<std::string, Running> running_;                      // by node
  std::map<model::NodeId, std::shared_future<void>> consoles_;  // the end of each node's last one
  WorkerPool changes_;
  WorkerPool readings_;
  WorkerPool console_threads_;
  std::unique_ptr<state::StateStore::Watch> watch_;
};

}  // namespace bridgehead::power_desk
