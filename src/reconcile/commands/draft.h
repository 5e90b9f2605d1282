// Draft: one command being prepared: the edit, the operation's identity and the retry when somebody was quicker.
// Internal to commands. Not thread-safe; `run` takes the commander's turn.
#pragma once

#include <functional>

#include "reconcile/commands/commands.h"

namespace bridgehead::reconcile {

class Draft {
 public:
  Draft(Commander& commander, const Caller& caller)
      : edit(commander.inventory.edit()),
        inventory(commander.inventory),
        now(commander.clock.now()),
        commander_(commander),
        caller_(caller) {}

  state::Edit edit;
  const state::Inventory& inventory;
  const Timestamp now;

  const std::string& actor() const { return caller_.actor; }
  RandomSource& random() const { return commander_.random; }
  const scheduler::Limits& limits() const { return commander_.limits; }

  // A new pending operation; add parameters to it and then `add` it.
  model::Operation operation(std::string kind, std::string target_kind, std::string target, std::string target_name,
                             std::uint64_t generation);
  void add(const model::Operation& operation);
  void event(std::string kind, std::string object_kind, const std::string& object, const std::string& name,
             std::string message);

  // One that no guest has. For a dry run a placeholder: nothing is taken.
  std::string new_mac();
  // A number that all later ones will be greater than.
  std::uint64_t mac_mark();

  bool dry_run() const { return caller_.dry_run; }

 private:
  Commander& commander_;
  const Caller& caller_;
  std::uint64_t operations_ = 0;
};

// By its id, its name, or a pattern for names such as "rack1-*".
bool is_meant(const model::Node& node, const std::string& wanted);

// The id that the n-th operation of a request with an idempotency key has.
model::OperationId idempotent_id(const std::string& key, std::uint64_t index);
// The operations that the same request made before. conflict when the key came with another request.
Result<std::vector<model::Operation>> made_before(const state::Inventory& inventory, const Caller& caller);

// Fills and commits, again while somebody else's change comes between. Nothing is committed for a dry run.
template <typename T>
Result<T> run(Commander& commander, const Caller& caller, const std::function<Result<T>(Draft&)>& fill) {
  constexpr int kDraftTries = 100;
  const std::lock_guard turn(commander.turn);
  for (int tries = 1;; ++tries) {
    Draft draft(commander, caller);
    auto value = fill(draft);
    if (!value || caller.dry_run) return value;
    const auto committed = commander.inventory.commit(std::move(draft.edit));
    if (committed) return value;
    if (committed.error().code != ErrorCode::conflict || tries == kDraftTries) return forward(committed);
  }
}

// As run, for commands with one operation; answers a repeated request with its first answer.
template <typename T>
Result<Accepted<T>> run_operation(Commander& commander, const Caller& caller,
                                  const std::function<Result<Accepted<T>>(Draft&)>& fill) {
  const auto before = made_before(commander.inventory, caller);
  if (!before) return forward(before);
  if (before->empty()) return run<Accepted<T>>(commander, caller, fill);
  const auto& operation = before->front();
  Accepted<T> answer{.object = {}, .operation = operation};
  using Id = decltype(T::id);
  if (const auto record = commander.inventory.find<T>(Id(operation.target))) {
    answer.object = record->value;
  } else {
    answer.object.id = Id(operation.target);  // it has come and gone
    answer.object.name = operation.target_name;
  }
  return answer;
}

}  // namespace bridgehead::reconcile
