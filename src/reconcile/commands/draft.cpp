#include "reconcile/commands/draft.h"

#include <algorithm>

namespace bridgehead::reconcile {

model::Operation Draft::operation(std::string kind, std::string target_kind, std::string target,
                                  std::string target_name, std::uint64_t generation) {
  model::Operation operation;
  operation.id = caller_.idempotency_key.empty() ? make_id<model::OperationId>(commander_.random)
                                                 : idempotent_id(caller_.idempotency_key, operations_);
  ++operations_;
  operation.kind = std::move(kind);
  operation.target_kind = std::move(target_kind);
  operation.target = std::move(target);
  operation.target_name = std::move(target_name);
  operation.generation = generation;
  operation.created_by = caller_.actor;
  operation.created = now;
  if (!caller_.idempotency_key.empty()) operation.parameters["request_digest"] = caller_.request_digest;
  return operation;
}

void Draft::add(const model::Operation& operation) {
  edit.create(operation);
  event("operation.created", "operation", operation.id.str(), operation.target_name,
        fmt::format("{} of {} '{}' was asked for", operation.kind, operation.target_kind, operation.target_name));
}

void Draft::event(std::string kind, std::string object_kind, const std::string& object, const std::string& name,
                  std::string message) {
  edit.event({.kind = std::move(kind),
              .object_kind = std::move(object_kind),
              .object = object,
              .object_name = name,
              .message = std::move(message),
              .actor = caller_.actor});
}

std::string Draft::new_mac() {
  return model::mac_from_number(dry_run() ? 0 : static_cast<std::uint32_t>(edit.take("mac")));
}

std::uint64_t Draft::mac_mark() { return dry_run() ? ~std::uint64_t{0} : edit.take("mac"); }

model::OperationId idempotent_id(const std::string& key, std::uint64_t index) {
  std::string digits = key.substr(0, 32);
  digits.resize(32, '0');
  // The form of a random UUID (version 4), so that it can be told from the ids of undoing assignments (version 8).
  return model::OperationId(fmt::format("{}-{}-4{}-8{}-{}{:08x}", digits.substr(0, 8), digits.substr(8, 4),
                                        digits.substr(13, 3), digits.substr(17, 3), digits.substr(20, 4), index));
}

Result<std::vector<model::Operation>> made_before(const state::Inventory& inventory, const Caller& caller) {
  std::vector<model::Operation> made;
  if (caller.idempotency_key.empty() || caller.dry_run) return made;
  while (const auto record = inventory.find<model::Operation>(idempotent_id(caller.idempotency_key, made.size()))) {
    const auto digest = record->value.parameters.value("request_digest", std::string());
    if (digest != caller.request_digest) {
      return fail_with_hint(ErrorCode::conflict, "this Idempotency-Key was used before with another request",
                            "Use a new key for each new request.");
    }
    made.push_back(record->value);
  }
  return made;
}

}  // namespace bridgehead::reconcile
