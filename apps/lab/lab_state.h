// What is known of a lab: planned in full and written down before anything is made, so that whoever comes after a
// crash knows what to remove. state.json in the lab's directory; one writer, who holds the lab's lock.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/fd.h"
#include "base/result.h"
#include "lab/machine.h"
#include "lab/member.h"
#include "lab/names.h"
#include "lab/network.h"
#include "lab/process.h"
#include "lab/storage.h"
#include "lab/subnet.h"

namespace bridgehead::lab {

enum class Phase { making, up, removing };

struct LabMachine {
  Machine machine;
  ProcessId process;  // of QEMU; none = switched off
  bool operator==(const LabMachine&) const = default;
};

struct LabState {
  std::string name;
  Phase phase = Phase::making;
  Timestamp created{};
  std::string boot_id;  // the host's boot that it was made in
  Subnet subnet;
  Upstream upstream = Upstream::host;
  bool forwarding_was_off = false;            // the host's; what the last lab with nat sets back
  std::uint64_t network_namespace_inode = 0;  // 0 = not made yet
  Accelerator accelerator = Accelerator::tcg;
  std::string why_emulated;     // "" with KVM
  bool with_manager = false;    // it has one; whether it should run now is the next field
  bool manager_wanted = false;  // false after `manager stop`
  ProcessId manager;
  bool netboot = false;
  std::vector<LabMachine> machines;
  std::vector<Member> hosts;
  std::vector<Storage> storage;  // each of another kind
  unsigned nic_mbit = 0;         // of each host and storage server; 0 = no limit

  std::string storage_kinds() const;  // "nfs,moosefs"; "" = no storage
  // Hosts, then storage servers: their addresses are in this order.
  std::vector<const Member*> members() const;
  AddressPlan addresses() const { return {subnet, static_cast<unsigned>(members().size())}; }
  const Member* find_host(std::string_view host) const;  // nullptr = there is none
  Member* find_host(std::string_view host) { return const_cast<Member*>(std::as_const(*this).find_host(host)); }
  // The machine of that name. Errors: not_found, with the names there are.
  Result<std::size_t> find_machine(std::string_view machine) const;
  bool operator==(const LabState&) const = default;
};

std::string encode(const LabState& state);
// Errors: data_corrupt, naming `origin`.
Result<LabState> decode(std::string_view json, std::string_view origin);

Result<LabState> load_state(const Places& places);  // not_found: there is no such lab
Status save_state(const Places& places, const LabState& state);

// What there is of a lab just now, apart from its record.
struct Found {
  std::string boot_id;
  std::optional<std::uint64_t> network_namespace_inode;
  bool manager_runs = false;
};
Found look_around(const Places& places, const LabState& state);

// Why a lab that nobody works on just now is a crashed one; empty if it isn't. Machines that ended are switched off,
// which is no crash.
std::string why_crashed(const LabState& state, const Found& found);

// Held while a lab is made, changed or removed; ends with the process that holds it, in whatever way.
class LabLock {
 public:
  enum class Directory { create, must_exist };
  // Errors: conflict (somebody else held it for all of `patience`), not_found (must_exist).
  static Result<LabLock> acquire(const Places& places, Directory directory, std::chrono::seconds patience);
  bool created() const { return created_; }

 private:
  LabLock(UniqueFd fd, bool created) : fd_(std::move(fd)), created_(created) {}
  UniqueFd fd_;
  bool created_ = false;
};

// Is somebody working on it?
bool is_locked(const Places& places);

// Names of all labs below the directory.
std::vector<std::string> list_labs(const std::filesystem::path& base);

}  // namespace bridgehead::lab

namespace bridgehead::model {
template <>
struct EnumNames<lab::Phase> {
  static constexpr std::string_view kind = "lab phase";
  static constexpr auto values = std::to_array<std::pair<lab::Phase, std::string_view>>(
      {{lab::Phase::making, "making"}, {lab::Phase::up, "up"}, {lab::Phase::removing, "removing"}});
};
}  // namespace bridgehead::model
