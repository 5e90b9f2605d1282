// The seams between the manager's decisions and the agents' streams. reconcile says what it wants (AgentPort) and takes
// what agents report (AgentEvents); agent_gateway stands between them and gRPC; tests and simulation put fakes there.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "base/result.h"
#include "model/assignment.h"
#include "model/use.h"

namespace bridgehead::reconcile {

// To an agent. Never blocks; false = no stream to that node now (level-triggered: it will be sent again when it's
// back).
class AgentPort {
 public:
  virtual ~AgentPort() = default;
  virtual bool connected(const model::NodeId& node) const = 0;
  virtual bool assign(const model::NodeId& node, const model::Assignment& assignment) = 0;
  virtual bool cancel(const model::NodeId& node, const model::OperationId& operation) = 0;
  virtual bool acknowledge(const model::NodeId& node, const model::OperationId& operation) = 0;
  // Leases: the newest renewal of each node since the last call, and the answer to one, as availability/lease_text.h
  // writes them. Agents that stop no guests by themselves send none.
  virtual std::map<model::NodeId, std::string> take_renewals() { return {}; }
  virtual bool answer_renewal(const model::NodeId&, const std::string&) { return false; }
};

// From agents; called from the gateway's threads, returns quickly.
class AgentEvents {
 public:
  virtual ~AgentEvents() = default;
  virtual void on_report(const model::NodeId& node, model::NodeReport report) = 0;  // stream open, or facts changed
  virtual void on_heartbeat(const model::NodeId& node, const model::NodeLoad& load) = 0;
  virtual void on_use(const model::NodeId& node, const model::NodeUse& use) = 0;
  virtual void on_observed_vm(const model::NodeId& node, const model::ObservedVm& observed) = 0;
  virtual void on_vm_gone(const model::NodeId& node, const model::VmId& vm) = 0;
  virtual void on_assignment_report(const model::NodeId& node, const model::AssignmentReport& report) = 0;
  virtual void on_disconnected(const model::NodeId& node) = 0;
};

enum class TunnelKind {
  serial_console,
  vnc,
  image_upload,
  image_download,
  boot_log,
  pool_survey,
  bench,
  node_look,
  free_locks,
  claim,
  sleep,
  upgrade
};

struct TunnelRequest {
  TunnelKind kind = TunnelKind::serial_console;
  model::VmId vm;
  model::OperationId operation;  // image_upload
  model::Image image;            // image_download
  model::Pool pool;
  std::string format;                // image_download: "raw" or "qcow2"
  std::vector<model::Image> images;  // pool_survey: those to look at
  std::string bench_order;           // bench: what a client is to do
  // free_locks: a dead node's `addresses`, in `pool`. node_look: the other node; by what it counts up in `pool`, or,
  // without one, by its addresses. claim: the node against which `claim` is written into `pool`, or removed.
  model::NodeId look_for;
  std::uint64_t claim = 0;
  bool remove_claim = false;
  std::vector<std::string> addresses;
};

// Two ends, one here, one in the agent. All functions may be called from any thread.
class Tunnel {
 public:
  virtual ~Tunnel() = default;
  // Queues bytes for the agent and calls `sent` when there is room for more (flow control). After close: ignored.
  virtual void write(std::string bytes, std::function<void()> sent = {}) = 0;
  virtual void resize(std::uint32_t columns, std::uint32_t rows) = 0;
  virtual void finish() = 0;  // our side ended well; the other side may still send
  virtual void close(std::string error = {}) = 0;
  // Bytes from the agent come only after each `resume` (one chunk each): whoever reads slowly slows the agent down.
  virtual void resume() = 0;
};

struct TunnelHandlers {
  std::function<void()> opened;
  std::function<void(std::string bytes)> data;
  std::function<void(Status result)> closed;  // exactly once; success = the agent ended well
};

class TunnelBroker {
 public:
  virtual ~TunnelBroker() = default;
  // unavailable when the node has no stream. Handlers are called from the gateway's threads, one at a time.
  virtual Result<std::shared_ptr<Tunnel>> open(const model::NodeId& node, const TunnelRequest& request,
                                               TunnelHandlers handlers) = 0;
};

}  // namespace bridgehead::reconcile
