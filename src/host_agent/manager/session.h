// Session: the agent's one stream to its manager, opened again for as long as the agent runs, with a jittered backoff.
// On each new stream: the whole NodeReport, then the ends that aren't acknowledged, then what changes; heartbeats
// between. Renews the node's certificate at two thirds of its time and opens the stream again with the new one.
//
// Two threads: one reads (and connects), one writes. gRPC's synchronous API is used on purpose: it polls in these two
// threads and needs no threads of its own, and a slow stream blocks the writer only.
// Thread-safe. Never fails: while the manager is away, that is logged once and tried again.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/random.h"
#include "host_agent/manager/identity.h"
#include "host_agent/secret_files.h"
#include "host_agent/tunnels.h"
#include "model/assignment.h"
#include "model/use.h"

namespace bridgehead::host_agent {

struct WelcomeMessage {
  std::string node_name;
  std::vector<model::Pool> pools;
  std::vector<model::Network> networks;
  bool takes_use = false;
  bool takes_renewals = false;
};

struct SessionOptions {
  std::chrono::milliseconds shortest_wait{200};
  std::chrono::milliseconds longest_wait{10'000};
  std::chrono::seconds heartbeat{10};  // until the manager says how often
  std::chrono::milliseconds renewal_retry{std::chrono::minutes(5)};
};

// Called from the session's reader, one at a time; must return quickly.
struct SessionHandlers {
  std::function<model::NodeReport()> report;  // called from the writer
  std::function<model::NodeLoad()> load;      // called from the writer
  std::function<void(const WelcomeMessage&)> welcome;
  std::function<void(const model::Assignment&)> assign;
  std::function<void(const model::OperationId&)> cancel;
  std::function<void(const model::OperationId&)> acknowledge;
  std::function<void(const TunnelOrder&)> open_tunnel;
  std::function<void(SecretSet)> secrets;
  std::function<void(const std::string&)> lease_answer = [](const std::string&) {};  // availability/lease_text.h
};

class Session {
 public:
  Session(Identity identity, IdentityFile file, const Clock& clock, RandomSource& random, SessionHandlers handlers,
          SessionOptions options = {});
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  void start();
  void stop();
  bool connected() const;

  void send(const model::ObservedVm& seen);
  void send_gone(const model::VmId& vm);
  void send(const model::AssignmentReport& report);
  void send(const model::NodeUse& use);
  void send_renewal(std::string text);
  void send_report();  // facts or pools changed
  void refuse_tunnel(const model::TunnelId& tunnel, const Error& error);

  // Null while there is no stream.
  std::unique_ptr<TunnelChannel> dial_tunnel(const model::TunnelId& tunnel);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// How long to wait before the next try: grows from one try to the next, never the same for two nodes (decorrelated
// jitter: a random time between `shortest` and three times the last one, at most `longest`).
std::chrono::milliseconds next_wait(std::chrono::milliseconds last, const SessionOptions& options,
                                    RandomSource& random);

}  // namespace bridgehead::host_agent
