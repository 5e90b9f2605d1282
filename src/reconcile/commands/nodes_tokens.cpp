// Nodes, operations and tokens: changes that need no agent.
#include <algorithm>

#include "base/ids.h"
#include "model/past_boots.h"
#include "reconcile/commands/draft.h"
#include "reconcile/commands/validate.h"
#include "reconcile/operations/logic.h"
#include "reconcile/operations/maintenance_state.h"

namespace bridgehead::reconcile {
namespace {

using validate::wrong;

constexpr std::uint64_t kDay = 24 * 3600;

Result<model::Node> fill_delete_node(Draft& draft, const std::string& reference) {
  const auto record = resolve<model::Node>(draft.inventory, reference);
  if (!record) return forward(record);
  const auto& node = (*record)->value;
  const auto vms = draft.inventory.vms_on_node(node.id);
  if (!vms.empty()) {
    return fail_with_hint(ErrorCode::failed_precondition,
                          fmt::format("node '{}' has {} VM{}, the first is '{}'", node.name, vms.size(),
                                      vms.size() == 1 ? "" : "s", vms.front()->value.name),
                          "Delete its VMs first.");
  }
  for (const auto& image : draft.inventory.all<model::Image>()) {
    if (image->value.node != node.id) continue;
    return fail_with_hint(
        ErrorCode::failed_precondition,
        fmt::format("node '{}' has images in its local pools, the first is '{}'", node.name, image->value.name),
        "Delete those images first.");
  }
  for (const auto& open : draft.inventory.open_operations()) {
    const auto& operation = open->value;
    const bool works_on_it = operation.target == node.id.str();
    const bool works_there = operation.node == node.id && node.state != model::NodeState::unreachable;
    if (!works_on_it && !works_there) continue;
    // It would go on with it beside whoever takes it over.
    return fail_with_hint(
        ErrorCode::failed_precondition,
        fmt::format("node '{}' is at work on '{}' ({})", node.name, operation.target_name, operation.kind),
        fmt::format("Wait for it, or: bh operation cancel {}", operation.id));
  }
  for (const auto& pool : draft.inventory.all<model::Pool>()) {
    auto without = pool->value;
    without.nodes.erase(node.id);
    std::erase(without.limited_to, node.id);
    if (!pool->value.limited_to.empty() && without.limited_to.empty()) {
      return fail_with_hint(ErrorCode::failed_precondition,
                            fmt::format("node '{}' is the only one of pool '{}'", node.name, without.name),
                            "Remove that pool first.");
    }
    if (without != pool->value) draft.edit.update(pool, without);
  }
  if (const auto boot = draft.inventory.find<model::Boot>(node.id)) draft.edit.remove(boot);
  if (const auto past = draft.inventory.find<model::PastBoots>(node.id)) draft.edit.remove(past);
  if (const auto bmc = draft.inventory.find<model::Bmc>(node.id)) draft.edit.remove(bmc);
  for (const auto& token : draft.inventory.all<model::JoinToken>()) {
    if (token->value.node == node.id) draft.edit.remove(token);
  }
  draft.edit.remove(*record);
  draft.event("node.deleted", "node", node.id.str(), node.name,
              fmt::format("Node '{}' was taken out of the cluster", node.name));
  return node;
}

bool is_deletion(const model::Operation& operation) {
  return operation.kind == model::operation_kind::vm_delete || operation.kind == model::operation_kind::image_delete ||
         operation.kind == model::operation_kind::pool_remove ||
         operation.kind == model::operation_kind::network_delete;
}

Result<model::Operation> fill_cancel(Draft& draft, const std::string& id) {
  const auto record = draft.inventory.find<model::Operation>(model::OperationId(id));
  if (!record) return fail(ErrorCode::not_found, "there is no operation '{}'", validate::shown(id));
  auto operation = record->value;
  if (operation.terminal()) return fail(ErrorCode::failed_precondition, "the operation has ended already");
  if (operation.cancel_requested || operations::is_undoing(operation)) return operation;
  if (operation.created_by == "manager") {
    return fail(ErrorCode::failed_precondition,
                "the manager does this to keep the cluster whole; it can't be cancelled");
  }
  if (is_deletion(operation) && operation.state != model::OperationState::pending) {
    return fail(ErrorCode::failed_precondition, "the deletion has begun and can't be cancelled any more");
  }
  if (operation.kind == model::operation_kind::node_maintain && !operations::is_draining(operation)) {
    return fail(ErrorCode::failed_precondition, "node '{}' is empty and being switched; that goes to its end",
                operation.target_name);
  }
  operation.cancel_requested = true;
  draft.edit.update(record, operation);
  draft.event(
      "operation.cancelling", "operation", operation.id.str(), operation.target_name,
      fmt::format("{} of {} '{}' is to be cancelled", operation.kind, operation.target_kind, operation.target_name));
  return operation;
}

Status put_files(Draft& draft, model::Node& node, const UpdateNode& request) {
  if (!request.files && !request.secret_files) return {};
  if (!node.netboot) {
    return fail_with_hint(ErrorCode::failed_precondition,
                          fmt::format("node '{}' doesn't boot over the network", node.name),
                          "Its files are its own system's; the cluster lays none over them.");
  }
  auto& machine = *node.netboot;
  if (request.files) machine.files = *request.files;
  if (request.secret_files) machine.secret_files = *request.secret_files;
  if (auto checked = validate::overlay(machine.files, machine.secret_files); !checked) return checked;
  const auto what = !request.secret_files ? "other files at its next boot"
                    : !request.files      ? "other secret files"
                                          : "other secret files, and other files at its next boot";
  draft.event("node.files", "node", node.id.str(), node.name, fmt::format("Node '{}' takes {}", node.name, what));
  return {};
}

Status check_domain(std::string_view field, const std::optional<std::string>& value) {
  if (!value || value->empty()) return {};
  return validate::name(field == "rack" ? "rack" : "power feed", *value, field);
}

Status check_secret(const std::string& secret_sha256) {
  if (secret_sha256.empty()) return wrong("secret_sha256", "is missing");
  return validate::sha256(secret_sha256, "secret_sha256");
}

}  // namespace

Result<model::Node> update_node(Commander& commander, const Caller& caller, const std::string& reference,
                                const UpdateNode& request) {
  if (request.name) {
    if (auto checked = validate::name("node", *request.name); !checked) return forward(checked);
  }
  if (auto checked = check_domain("rack", request.rack); !checked) return forward(checked);
  if (auto checked = check_domain("power_feed", request.power_feed); !checked) return forward(checked);
  return run<model::Node>(commander, caller, [&](Draft& draft) -> Result<model::Node> {
    const auto record = resolve<model::Node>(draft.inventory, reference);
    if (!record) return forward(record);
    auto node = (*record)->value;
    if (request.name && *request.name != node.name) {
      if (auto checked = check_name_free<model::Node>(draft.inventory, *request.name); !checked)
        return forward(checked);
      node.name = *request.name;
    }
    node.schedulable = request.schedulable.value_or(node.schedulable);
    if (node.schedulable) node.draining = false;
    const bool renamed_or_closed = node != (*record)->value;
    node.rack = request.rack.value_or(node.rack);
    node.power_feed = request.power_feed.value_or(node.power_feed);
    if (auto put = put_files(draft, node, request); !put) return forward(put);
    if (node == (*record)->value) return node;
    draft.edit.update(*record, node);
    if (!renamed_or_closed) return node;
    draft.event("node.updated", "node", node.id.str(), node.name,
                fmt::format("Node '{}' is {} for new guests", node.name, node.schedulable ? "open" : "closed"));
    return node;
  });
}

Result<model::Node> delete_node(Commander& commander, const Caller& caller, const std::string& reference) {
  return run<model::Node>(commander, caller, [&](Draft& draft) { return fill_delete_node(draft, reference); });
}

Result<model::Operation> cancel_operation(Commander& commander, const Caller& caller, const std::string& operation) {
  return run<model::Operation>(commander, caller, [&](Draft& draft) { return fill_cancel(draft, operation); });
}

Result<model::Token> create_token(Commander& commander, const Caller& caller, const CreateToken& request) {
  if (auto checked = validate::name("token", request.name); !checked) return forward(checked);
  if (auto checked = check_secret(request.secret_sha256); !checked) return forward(checked);
  if (request.expires_in_seconds && (*request.expires_in_seconds < 1 || *request.expires_in_seconds > 3650 * kDay)) {
    return wrong("expires_in_seconds", "must be between 1 and {} (ten years)", 3650 * kDay);
  }
  return run<model::Token>(commander, caller, [&](Draft& draft) -> Result<model::Token> {
    if (auto checked = check_name_free<model::Token>(draft.inventory, request.name); !checked) return forward(checked);
    model::Token token;
    token.id = make_id<model::TokenId>(draft.random());
    token.name = request.name;
    token.role = request.role;
    token.secret_sha256 = request.secret_sha256;
    token.created = draft.now;
    if (request.expires_in_seconds) token.expires = draft.now + std::chrono::seconds(*request.expires_in_seconds);
    draft.edit.create(token);
    draft.event("token.created", "token", token.id.str(), token.name, fmt::format("Token '{}' was made", token.name));
    return token;
  });
}

Result<model::Token> delete_token(Commander& commander, const Caller& caller, const std::string& reference) {
  return run<model::Token>(commander, caller, [&](Draft& draft) -> Result<model::Token> {
    const auto record = resolve<model::Token>(draft.inventory, reference);
    if (!record) return forward(record);
    const auto& token = (*record)->value;
    const auto all = draft.inventory.all<model::Token>();
    const bool another_admin = std::any_of(all.begin(), all.end(), [&](const auto& other) {
      const auto& value = other->value;
      return value.id != token.id && value.role == model::Role::admin && !value.expires;
    });
    if (token.role == model::Role::admin && !another_admin) {
      return fail_with_hint(ErrorCode::failed_precondition,
                            fmt::format("'{}' is the last admin token that doesn't expire", token.name),
                            "Make another one first: bh token create <name> --role admin");
    }
    draft.edit.remove(*record);
    draft.event("token.deleted", "token", token.id.str(), token.name,
                fmt::format("Token '{}' was deleted", token.name));
    return token;
  });
}

Result<model::JoinToken> create_join_token(Commander& commander, const Caller& caller, const CreateJoinToken& request) {
  if (!request.node_name.empty()) {
    if (auto checked = validate::name("node", request.node_name, "node_name"); !checked) return forward(checked);
  }
  if (auto checked = check_secret(request.secret_sha256); !checked) return forward(checked);
  const auto ttl = request.ttl_seconds.value_or(3600);
  if (ttl < 1 || ttl > 30 * kDay) return wrong("ttl_seconds", "must be between 1 and {} (30 days)", 30 * kDay);
  return run<model::JoinToken>(commander, caller, [&](Draft& draft) -> Result<model::JoinToken> {
    model::JoinToken token;
    token.id = make_id<model::TokenId>(draft.random());
    token.node_name = request.node_name;
    token.secret_sha256 = request.secret_sha256;
    token.created = draft.now;
    token.expires = draft.now + std::chrono::seconds(ttl);
    draft.edit.create(token);
    draft.event("join_token.created", "join_token", token.id.str(), token.node_name,
                token.node_name.empty() ? "A join token was made"
                                        : fmt::format("A join token for node '{}' was made", token.node_name));
    return token;
  });
}

}  // namespace bridgehead::reconcile
