// Changes: what a decision wants to have committed, as a value that is filled first and applied to an Edit later.
// Not thread-safe. Each record may be touched once; `touched` tells whether two sets of changes can share a
// transaction.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "state/inventory.h"

namespace bridgehead::reconcile {

class Changes {
 public:
  template <typename T>
  void create(T value) {
    touched_.push_back(value.id.str());
    // Two reports about one guest in one batch must not start two operations on it.
    if constexpr (std::is_same_v<T, model::Operation>) touched_.push_back("operation of " + value.target);
    steps_.push_back([value = std::move(value)](state::Edit& edit) { edit.create(value); });
  }
  template <typename T>
  void update(state::Record<T> read, T value) {
    touched_.push_back(value.id.str());
    steps_.push_back(
        [read = std::move(read), value = std::move(value)](state::Edit& edit) { edit.update(read, value); });
  }
  template <typename T>
  void remove(state::Record<T> read) {
    touched_.push_back(read->value.id.str());
    steps_.push_back([read = std::move(read)](state::Edit& edit) { edit.remove(read); });
  }
  // As update, with the next fencing token; the lease that `value` has is over.
  void update_with_lease(state::Record<model::Vm> read, model::Vm value) {
    touched_.push_back(value.id.str());
    steps_.push_back([read = std::move(read), value = std::move(value)](state::Edit& edit) {
      auto granted = value;
      model::end_lease(granted);
      granted.lease = edit.take("lease");
      edit.update(read, granted);
    });
  }
  // Tokens that are given from now on are greater: this one was seen, though this manager never gave it.
  void number_leases_after(std::uint64_t token) {
    touched_.push_back("leases");
    steps_.push_back([token](state::Edit& edit) { edit.skip("lease", token); });
  }
  // As create, with the next fencing token as the operation's parameter "token".
  void create_with_token(model::Operation value) {
    touched_.push_back(value.id.str());
    touched_.push_back("operation of " + value.target);
    steps_.push_back([value = std::move(value)](state::Edit& edit) {
      auto granted = value;
      granted.parameters["token"] = edit.take("lease");
      edit.create(granted);
    });
  }
  void set_status(const model::VmId& vm, model::VmStatus status) {
    touched_.push_back("status/" + vm.str());
    steps_.push_back([vm, status = std::move(status)](state::Edit& edit) { edit.set_status(vm, status); });
  }
  void event(std::string kind, std::string object_kind, std::string object, std::string name, std::string message,
             std::string actor) {
    model::Event event{.kind = std::move(kind),
                       .object_kind = std::move(object_kind),
                       .object = std::move(object),
                       .object_name = std::move(name),
                       .message = std::move(message),
                       .actor = std::move(actor)};
    steps_.push_back([event = std::move(event)](state::Edit& edit) { edit.event(event); });
  }

  void append(Changes other) {
    touched_.insert(touched_.end(), other.touched_.begin(), other.touched_.end());
    for (auto& step : other.steps_) steps_.push_back(std::move(step));
  }
  void clear() {
    steps_.clear();
    touched_.clear();
  }
  bool empty() const { return steps_.empty(); }
  const std::vector<std::string>& touched() const { return touched_; }
  void apply(state::Edit& edit) const {
    for (const auto& step : steps_) step(edit);
  }

 private:
  std::vector<std::function<void(state::Edit&)>> steps_;
  std::vector<std::string> touched_;
};

}  // namespace bridgehead::reconcile
