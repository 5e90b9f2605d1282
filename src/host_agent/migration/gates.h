// The way of a migrating guest between two nodes (docs/decisions/0014): the target's agent opens a gate for one guest,
// for the source's agent alone and for a while; the source's agent builds the way to it. libvirt and QEMU speak over
// Unix sockets at both ends; between the nodes it is TLS with both agents' certificates.
//
//   source: libvirtd --control.sock--> MigrationWay ==TLS==> MigrationGates --libvirt's socket--> libvirtd :target
//           QEMU ------data.sock-----> MigrationWay ==TLS==> MigrationGates --data.sock---------> QEMU
//           QEMU ------disks.sock----> MigrationWay ==TLS==> MigrationGates --disks.sock--------> QEMU's NBD server
//
// data.sock has the same path on both nodes, for libvirt hands one path to both; so has disks.sock, which is used for
// disks that go along. QEMU's user makes them on the target, in a directory of its own: what lies there is never
// followed where it leads. Where disks go along the source's agent says at last, through the gate, that it has given
// the guest up, and is answered once the target has taken it over. Thread-safe. Each gate and way has threads of its
// own, which end with it.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "host_agent/manager/identity.h"
#include "host_agent/memory_budget.h"
#include "model/assignment.h"

namespace bridgehead::host_agent {

struct MigrationPaths {
  std::filesystem::path run_dir = "/run/bridgehead/migration";
  std::filesystem::path libvirt_socket = "/run/libvirt/libvirt-sock";
  std::string qemu_user = "libvirt-qemu";  // who makes data.sock on the target; where there is none, QEMU runs as root

  std::filesystem::path control(const model::VmId& vm) const { return run_dir / vm.str() / "control.sock"; }
  std::filesystem::path data(const model::VmId& vm) const { return run_dir / vm.str() / "qemu" / "data.sock"; }
  std::filesystem::path disks(const model::VmId& vm) const { return run_dir / vm.str() / "qemu" / "disks.sock"; }
};

// What both ends need of this node.
struct MigrationHost {
  MigrationPaths paths;
  std::function<Result<Identity>()> identity;                    // now; certificates are renewed
  std::chrono::milliseconds patience{std::chrono::seconds(60)};  // of a gate for the source to come, or give up a guest
  std::chrono::milliseconds handshake{std::chrono::seconds(10)};
};

class MigrationGates {
 public:
  explicit MigrationGates(MigrationHost host);
  ~MigrationGates();  // closes all
  MigrationGates(const MigrationGates&) = delete;
  MigrationGates& operator=(const MigrationGates&) = delete;

  // Takes over a guest that its source has given up. On a thread of the gate's, which waits for it when it is closed.
  using TakeOver = std::function<Status()>;

  // Opens the gate for this guest, anew if there is one. It closes by itself when nobody comes, or when the source's
  // control connection has ended; with `take_over`, which lets disks in, too, when the guest was taken over, or nobody
  // has asked for that for a while. `memory` is held for the guest until then.
  Result<model::MigrationGate> open(const model::VmId& vm, const model::NodeId& source,
                                    std::optional<MemoryBudget::Reservation> memory = {}, TakeOver take_over = {});
  void close(const model::VmId& vm);
  bool is_open(const model::VmId& vm);

 private:
  class Gate;
  void drop_closed();  // mutex_

  const MigrationHost host_;
  std::mutex mutex_;
  std::map<model::VmId, std::unique_ptr<Gate>> gates_;
};

// The source's end, as long as it lives.
class MigrationWay {
 public:
  static Result<MigrationWay> build(const MigrationHost& host, const model::VmId& vm, const model::NodeId& target,
                                    const model::MigrationGate& gate);
  // Tells the target that the guest was given up here. An error leaves open whether it has heard it.
  static Status give_up(const MigrationHost& host, const model::VmId& vm, const model::NodeId& target,
                        const model::MigrationGate& gate);
  MigrationWay(MigrationWay&&) noexcept;
  MigrationWay& operator=(MigrationWay&&) noexcept;
  ~MigrationWay();

  std::filesystem::path control_socket() const;
  std::filesystem::path data_socket() const;
  std::filesystem::path disks_socket() const;

 private:
  class State;
  explicit MigrationWay(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace bridgehead::host_agent
