// Journal: what this agent must not forget: the work it was given (persisted before it is started), how it ended (kept
// until the manager acknowledges it), what each guest has been brought to, and which parts an unfinished create made.
// On a StateStore of its own (keys: assignment/<operation>, report/<operation>, vm/<id>, creation/<vm>, meta/<name>);
// everything is also held in memory, so that reads never touch the disk. Thread-safe; writes are durable when they
// return. Fails with the store's error; nothing is changed then. What can't be decoded at open is data_corrupt naming
// the key.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "model/assignment.h"
#include "state/state_store.h"

namespace bridgehead::host_agent {

// Names of metas. A guest's disk may have gone over to its copy, and nobody knows yet; it was to be started meanwhile.
inline std::string undecided_move(const model::VmId& vm) { return "undecided_move/" + vm.str(); }
// A guest was given up here, by this operation: the node that it went to may let it go on.
inline std::string given_up(const model::VmId& vm) { return "given_up/" + vm.str(); }
// It was stopped here since this node was alone, and goes on when the manager says that its lease is still this node's.
inline std::string stopped_alone(const model::VmId& vm) { return "stopped_alone/" + vm.str(); }
inline std::string late_start(const model::VmId& vm) { return "late_start/" + vm.str(); }

// What a guest has been brought to in full.
struct AppliedVm {
  std::uint64_t generation = 0;
  std::uint64_t lease = 0;
  model::PowerState power = model::PowerState::stopped;
  bool autostart = false;
  bool waits_for_manager = false;    // isn't started by this node alone: it may have been started elsewhere
  std::vector<model::PoolId> pools;  // where its lease is stamped
  Bytes memory;

  bool operator==(const AppliedVm&) const = default;
};

// A first create that has begun: if it fails, exactly these disks are removed again.
struct Creation {
  model::OperationId operation;
  std::uint64_t lease = 0;
  std::vector<model::Image> disks;

  bool operator==(const Creation&) const = default;
};

// What the end of an operation changes in the memory about a guest, in the same transaction.
struct VmChange {
  model::VmId vm;
  std::optional<AppliedVm> applied;  // nothing = forget the guest
};

enum class Receipt { accepted, unfinished, finished };

class Journal {
 public:
  // `store` must outlive it.
  static Result<std::unique_ptr<Journal>> open(state::StateStore& store);

  // accepted: new and persisted. Otherwise it is known already and nothing was changed.
  Result<Receipt> receive(const model::Assignment& assignment);
  // How it ended. If it can't be persisted it is still remembered as ended by this process, and the error is returned.
  Status finish(const model::AssignmentReport& report, const std::optional<VmChange>& change);
  // The manager knows the end: forgotten. Unknown is success.
  Status acknowledge(const model::OperationId& operation);

  std::vector<model::Assignment> unfinished() const;      // in the order they came
  std::vector<model::AssignmentReport> finished() const;  // not acknowledged yet
  std::optional<model::AssignmentReport> report(const model::OperationId& operation) const;
  bool is_unfinished(const model::OperationId& operation) const;

  std::optional<AppliedVm> applied(const model::VmId& vm) const;
  std::map<model::VmId, AppliedVm> all_applied() const;

  Status begin_creation(const model::VmId& vm, const Creation& creation);
  std::optional<Creation> creation(const model::VmId& vm) const;
  std::map<model::VmId, Creation> creations() const;
  // It was undone apart from any operation.
  Status end_creation(const model::VmId& vm);

  std::string meta(const std::string& name) const;                     // "" = never set
  Status set_meta(const std::string& name, const std::string& value);  // "" = as if never set
  // One such change at a time. Written only when it differs.
  Status change_meta(const std::string& name, const std::function<std::string(const std::string&)>& change);

 private:
  explicit Journal(state::StateStore& store) : store_(store) {}
  Status load();

  state::StateStore& store_;
  std::mutex changing_meta_;  // held across a commit; before mutex_
  mutable std::mutex mutex_;
  std::map<std::uint64_t, model::Assignment> unfinished_;  // by order of arrival
  std::map<model::OperationId, std::uint64_t> order_;
  std::map<model::OperationId, model::AssignmentReport> finished_;
  std::map<model::VmId, AppliedVm> applied_;
  std::map<model::VmId, Creation> creations_;
  std::map<std::string, std::string> meta_;
};

}  // namespace bridgehead::host_agent
