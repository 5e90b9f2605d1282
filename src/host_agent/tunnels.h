// Tunnels: carries consoles, VNC, uploads, downloads, boot logs, surveys of pools, benchmarks and what else is asked
// for and answered at once between this node and the manager. One thread per open tunnel (two for those that go both
// ways), started when the manager asks and gone with the tunnel; how many there may be is bounded. What carries the
// bytes is behind TunnelChannel, so that the logic is tested without gRPC. Thread-safe. Fails by telling the manager:
// before the channel is dialled through `refused`, afterwards with an error in the channel.
//
// A serial line has no size: a terminal's resize messages are understood and ignored. (In the guest: `stty rows R cols
// C`, or `resize` of xterm.)
#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "host_agent/guest_files.h"
#include "host_agent/pools.h"
#include "host_agent/upload_rendezvous.h"
#include "hypervisor/hypervisor.h"
#include "model/image.h"

namespace bridgehead::host_agent {

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

struct TunnelOrder {
  model::TunnelId id;
  TunnelKind kind = TunnelKind::serial_console;
  model::VmId vm;
  model::OperationId operation;
  model::Image image;
  model::Pool pool;
  std::string format;                // image_download: "raw" or "qcow2"
  std::vector<model::Image> images;  // pool_survey: those to look at
  std::string bench_order;           // bench: as load/client.h writes it
  // node_look: another node, by its count in `pool`, or else by its addresses. free_locks: the addresses of a dead one.
  // claim: the node against which `claim` is written into `pool`, or removed.
  model::NodeId node;
  std::uint64_t claim = 0;
  bool remove_claim = false;
  std::vector<std::string> addresses;
};

struct TunnelMessage {
  std::string data;
  bool end = false;   // the other side ended well
  std::string error;  // why the other side gives up
};

// One open tunnel's stream. read and write may be used by two threads at once; cancel from any.
class TunnelChannel {
 public:
  virtual ~TunnelChannel() = default;
  virtual std::optional<TunnelMessage> read() = 0;       // blocks; nothing = the stream is over
  virtual bool write(const TunnelMessage& message) = 0;  // blocks while the other side takes nothing; false = over
  virtual void cancel() = 0;                             // both end at once
};

class Tunnels {
 public:
  // Opens the stream of a tunnel; null = the manager is away.
  using Dial = std::function<std::unique_ptr<TunnelChannel>(const model::TunnelId&)>;
  using Refused = std::function<void(const model::TunnelId&, const Error&)>;
  // Whether an upload's operation is known here and not finished.
  using Expected = std::function<bool(const model::OperationId&)>;

  // Puts the machine to sleep, a moment after it has returned.
  using Sleep = std::function<Status()>;
  // Takes an order for this agent's upgrade from the bytes that `more` gives, "" at their end; the answer is a text.
  using Upgrade = std::function<Result<std::string>(const std::function<Result<std::string>()>& more)>;

  Tunnels(hypervisor::Hypervisor& hypervisor, PoolRegistry& pools, const GuestFiles& files, UploadRendezvous& uploads,
          Dial dial, Refused refused, Expected expected, Sleep sleep, Upgrade upgrade, std::size_t most = 64);
  // Cancels all and waits for their threads.
  ~Tunnels();
  Tunnels(const Tunnels&) = delete;
  Tunnels& operator=(const Tunnels&) = delete;

  // Starts one; returns at once.
  void open(const TunnelOrder& order);
  void stop();
  std::size_t count() const;

 private:
  void serve(const TunnelOrder& order);
  Status carry(const TunnelOrder& order);
  Status carry_console(const TunnelOrder& order);
  Status carry_vnc(const TunnelOrder& order);
  Status carry_upload(const TunnelOrder& order);
  Status carry_download(const TunnelOrder& order);
  Status carry_boot_log(const TunnelOrder& order);
  Status carry_pool_survey(const TunnelOrder& order);
  Status carry_bench_client(const TunnelOrder& order);
  Status carry_node_look(const TunnelOrder& order);
  Status carry_free_locks(const TunnelOrder& order);
  Status carry_claim(const TunnelOrder& order);
  Status carry_sleep(const TunnelOrder& order);
  Status carry_upgrade(const TunnelOrder& order);
  Result<std::shared_ptr<TunnelChannel>> dial(const TunnelOrder& order);

  hypervisor::Hypervisor& hypervisor_;
  PoolRegistry& pools_;
  const GuestFiles& files_;
  UploadRendezvous& uploads_;
  const Dial dial_;
  const Refused refused_;
  const Expected expected_;
  const Sleep sleep_;
  const Upgrade upgrade_;
  const std::size_t most_;
  std::timed_mutex surveying_;
  mutable std::mutex mutex_;
  std::condition_variable ended_;
  bool stopping_ = false;
  std::size_t serving_ = 0;
  std::map<model::TunnelId, std::shared_ptr<TunnelChannel>> channels_;
  std::stop_source stop_;
};

}  // namespace bridgehead::host_agent
