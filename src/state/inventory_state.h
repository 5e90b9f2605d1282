// What Inventory and Edit keep; shared by their implementation files only.
#pragma once

#include <atomic>
#include <mutex>
#include <shared_mutex>
#include <tuple>

#include "base/log.h"
#include "model/past_boots.h"
#include "state/callback_list.h"
#include "state/counters.h"
#include "state/event_log.h"
#include "state/inventory.h"
#include "state/record_table.h"

namespace bridgehead::state {

namespace message {
inline constexpr log::Message record_unreadable{
    "STATE_RECORD_UNREADABLE",
    "A record written to the store can't be read back; the manager goes on with the one before."};
inline constexpr log::Message event_lost{
    "STATE_EVENT_LOST", "An event about a node's state could not be stored; the state itself is known in memory."};
}  // namespace message

std::string vm_status_key(std::string_view vm_id);

struct Edit::State {
  // What becomes of one record; of several changes in one edit the last counts.
  struct Write {
    std::string_view kind;
    std::string id;
    Revision expected = 0;  // 0 = must be new
    std::string old_name;   // "" = none claimed
    std::string new_name;
    std::optional<std::string> encoded;  // empty = removed
  };
  struct Claim {
    std::string id;         // the new owner; "" = freed
    bool released = false;  // by another write of this edit
    std::string_view kind;
    std::string_view name;
  };

  explicit State(Counters& counters_in) : counters(counters_in) {}

  void refuse(Error why) {
    if (!error) error = std::move(why);
  }
  std::uint64_t taken(const Result<std::uint64_t>& number) {
    if (!number) refuse(number.error());
    return number.value_or(0);
  }
  bool empty() const { return writes.empty() && statuses.empty() && events.empty(); }
  // already_exists when two of its own records want one name.
  Result<std::map<std::string, Claim>> claims() const;
  Transaction transaction(const std::map<std::string, Claim>& claims, std::uint64_t first_event) const;

  Counters& counters;
  std::map<std::string, Write> writes;          // by key
  std::map<std::string, std::string> statuses;  // encoded, by VM id
  std::vector<model::Event> events;
  std::optional<Error> error;
};

struct Inventory::State {
  State(StateStore& store_in, const Clock& clock_in) : store(store_in), clock(clock_in), counters(store_in) {}

  template <typename T>
  RecordTable<T>& table() {
    return std::get<RecordTable<T>>(tables);
  }
  template <typename T>
  const RecordTable<T>& table() const {
    return std::get<RecordTable<T>>(tables);
  }

  // Filling (inventory_load.cpp); the caller holds `mutex` where it matters.
  Status load();
  template <typename T>
  Status load_kind(const std::function<void(T&)>& complete = {});
  Status load_vms();
  Status load_events();
  void follow(const Commit& commit);
  void apply(const Commit& commit, std::vector<model::Event>& new_events);
  void apply_change(const Change& change, Revision at, std::vector<model::Event>& new_events);
  template <typename T>
  void apply_record(const Change& change, std::string_view id, Revision at);
  void apply_status(const Change& change, std::string_view id);
  // Replaces the record in table and indexes; null = removes it.
  template <typename T>
  void replace(const std::string& id, Record<T> record);

  // Why a commit conflicted: a name or an id that is taken says more than "conflict".
  Error explain_conflict(Error conflict, const Edit::State& edit,
                         const std::map<std::string, Edit::State::Claim>& claims) const;

  StateStore& store;
  const Clock& clock;
  Counters counters;
  std::atomic<std::uint64_t> next_event{1};

  mutable std::shared_mutex mutex;  // guards all below up to the listeners; never held while the store is called
  std::tuple<RecordTable<model::Node>, RecordTable<model::Pool>, RecordTable<model::Image>, RecordTable<model::Network>,
             RecordTable<model::Vm>, RecordTable<model::Operation>, RecordTable<model::Token>,
             RecordTable<model::JoinToken>, RecordTable<model::NodeImage>, RecordTable<model::Profile>,
             RecordTable<model::Boot>, RecordTable<model::PastBoots>, RecordTable<model::NetbootSettings>,
             RecordTable<model::Rule>, RecordTable<model::PlanningPolicy>, RecordTable<model::Plan>,
             RecordTable<model::PlanInput>, RecordTable<model::Bmc>, RecordTable<model::Benchmark>,
             RecordTable<model::AvailabilityState>, RecordTable<model::Alert>, RecordTable<model::Webhook>,
             RecordTable<model::PowerProfile>>
      tables;
  GroupIndex vms_by_node;
  GroupIndex images_by_parent;
  GroupIndex images_by_vm;
  GroupIndex operations_by_target;
  std::map<ListOrder<model::Operation>::Key, Record<model::Operation>> open_operations;
  EventLog events;
  Revision revision = 0;

  CallbackList<Revision, const std::vector<model::Event>&> listeners;

  // Commits that come while load() reads.
  std::mutex early_mutex;
  bool loading = true;
  std::vector<Commit> early;

  std::unique_ptr<StateStore::Watch> watch;  // last: ends before what it fills
};

}  // namespace bridgehead::state
