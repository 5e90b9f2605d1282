// Inventory: the typed, indexed view of the store, held in memory; what the API lists and the reconciler compares.
// Reads never touch the disk: 20,000 VMs are listed from here. Every write is an Edit: records, name claims, journal
// and events go in one transaction. Thread-safe: readers get shared pointers to immutable records; a record is never
// modified, only replaced.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "model/alert.h"
#include "model/availability.h"
#include "model/benchmark.h"
#include "model/bmc.h"
#include "model/event.h"
#include "model/image.h"
#include "model/netboot.h"
#include "model/network.h"
#include "model/node.h"
#include "model/operation.h"
#include "model/planning.h"
#include "model/pool.h"
#include "model/token.h"
#include "model/vm.h"
#include "state/state_store.h"

namespace bridgehead::state {

// A record with the revision it was read at. For a Vm: that of what a user wants; its status may be newer.
template <typename T>
struct Stored {
  T value;
  Revision revision = 0;
};

template <typename T>
using Record = std::shared_ptr<const Stored<T>>;  // null = there is none

// Kinds and keys: Node "node/<id>", Pool "pool/", Image "image/", Network "network/", Vm "vm/", Operation "operation/",
// Token "token/", JoinToken "join_token/", NodeImage "node_image/", Profile "profile/", Boot "boot/<node>",
// NetbootSettings "netboot_settings/", Rule "rule/", PlanningPolicy "policy/", Plan "plan/", PlanInput "plan_input/",
// Bmc "bmc/<node>", Benchmark "benchmark/", AvailabilityState "availability/availability", Alert "alert/", Webhook
// "webhook/webhook", PowerProfile "power_profile/<machine>".
// A Vm's status is kept apart as "vm_status/<id>", so that observations never conflict with a user's change. Names are
// unique per kind (Operation, JoinToken, Boot, NetbootSettings, PlanningPolicy, PlanInput, Bmc, AvailabilityState,
// Alert, Webhook and PowerProfile have none):
// "name/<kind>/<name>" -> id. "event/<revision, 20 digits>/<n>" are the events, "counter/<name>" the counters.
// Node.load, Node.last_seen, Node.state, Node.message and Token.last_used live in memory only.

// One transaction being prepared. Not thread-safe; nothing happens before Inventory::commit.
class Edit {
 public:
  // The id must be new; its name is claimed.
  template <typename T>
  Edit& create(const T& value);
  // The record must still be as it was read; a changed name moves the claim. A Vm's status is left alone (set_status).
  template <typename T>
  Edit& update(const Record<T>& read, const T& value);
  // As update; frees the name. A Vm's status goes with it.
  template <typename T>
  Edit& remove(const Record<T>& read);
  // No condition except that the Vm exists; the last one wins.
  Edit& set_status(const model::VmId& vm, const model::VmStatus& status);
  // revision and time are filled in at commit.
  Edit& event(model::Event event);
  // `count` numbers in a row of a counter that only grows; returns the first (1 at the very first). They are taken at
  // once and never given again, even if the edit isn't committed (so gaps are normal) and whatever crashes. No conflict
  // comes from it. When the store fails, the commit says so.
  std::uint64_t take(std::string_view counter, std::uint64_t count = 1);
  // As take, for numbers that people read and type: a restart leaves no gap. Each costs a commit of the store's.
  std::uint64_t take_next(std::string_view counter);
  // Numbers that are given from now on are greater than this one. As take.
  void skip(std::string_view counter, std::uint64_t number);

  Edit(Edit&&) noexcept;
  Edit& operator=(Edit&&) noexcept;
  ~Edit();

 private:
  friend class Inventory;
  struct State;
  explicit Edit(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

class Inventory {
 public:
  // Reads everything once and follows the store from then on. Errors: data_corrupt naming the key, unsupported when a
  // newer version wrote it.
  static Result<std::unique_ptr<Inventory>> open(StateStore& store, const Clock& clock);
  ~Inventory();

  template <typename T>
  Record<T> find(const decltype(T::id)& id) const;
  template <typename T>
  Record<T> find_by_name(std::string_view name) const;
  // In name order; Operation: newest first; JoinToken: by id.
  template <typename T>
  std::vector<Record<T>> all() const;

  std::vector<Record<model::Vm>> vms_on_node(const model::NodeId& node) const;
  std::vector<Record<model::Image>> clones_of(const model::ImageId& golden) const;
  std::vector<Record<model::Image>> images_of_vm(const model::VmId& vm) const;
  std::vector<Record<model::Operation>> open_operations() const;                          // oldest first
  std::vector<Record<model::Operation>> operations_of(std::string_view target_id) const;  // newest first
  std::vector<model::Event> events_since(Revision revision, std::size_t limit) const;  // oldest first, revision > given
  Revision revision() const;
  std::optional<Error> write_error() const;  // of the store: StateStore::write_error

  Edit edit() const;
  // conflict: something read has changed meanwhile (read again and retry); already_exists: a name is taken (the message
  // says which kind and name). The change is visible here when this returns.
  Result<Revision> commit(Edit edit);

  // Told, in order and from a committing thread, once a commit is visible here. Must be quick; may read this Inventory,
  // must not commit. Destroying the handle waits for a call that is running.
  using Listener = std::function<void(Revision, const std::vector<model::Event>&)>;
  std::unique_ptr<StateStore::Watch> listen(Listener listener);

  // Memory-only observations; they wake no listener except a changed state, which makes an event "node.state".
  // An unknown node or token is ignored.
  void note_node_load(const model::NodeId& node, const model::NodeLoad& load);  // and last_seen = now
  void note_node_state(const model::NodeId& node, model::NodeState state, std::string message);
  void note_token_use(const model::TokenId& token);

  // Removes ended operations and events beyond the newest `keep` of each. A periodic duty of the manager.
  Status trim(std::size_t keep);

 private:
  struct State;
  explicit Inventory(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// Reads, edits and commits until it doesn't conflict any more. `change` fills the edit or fails with the reason; it may
// be called again. Gives up with `conflict` after 20 tries.
Result<Revision> change(Inventory& inventory, const std::function<Status(Edit&)>& change);

}  // namespace bridgehead::state
