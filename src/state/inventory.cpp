#include "state/inventory.h"

#include "model/enum_names.h"
#include "state/inventory_state.h"

namespace bridgehead::state {

Inventory::Inventory(std::unique_ptr<State> state) : state_(std::move(state)) {}
Inventory::~Inventory() = default;

template <typename T>
Record<T> Inventory::find(const decltype(T::id)& id) const {
  const std::shared_lock lock(state_->mutex);
  return state_->table<T>().find(id.str());
}

template <typename T>
Record<T> Inventory::find_by_name(std::string_view name) const {
  const std::shared_lock lock(state_->mutex);
  return state_->table<T>().find_by_name(name);
}

template <typename T>
std::vector<Record<T>> Inventory::all() const {
  const std::shared_lock lock(state_->mutex);
  return state_->table<T>().all();
}

std::vector<Record<model::Vm>> Inventory::vms_on_node(const model::NodeId& node) const {
  const std::shared_lock lock(state_->mutex);
  return state_->table<model::Vm>().select(state_->vms_by_node.of(node.str()));
}

std::vector<Record<model::Image>> Inventory::clones_of(const model::ImageId& golden) const {
  const std::shared_lock lock(state_->mutex);
  return state_->table<model::Image>().select(state_->images_by_parent.of(golden.str()));
}

std::vector<Record<model::Image>> Inventory::images_of_vm(const model::VmId& vm) const {
  const std::shared_lock lock(state_->mutex);
  return state_->table<model::Image>().select(state_->images_by_vm.of(vm.str()));
}

std::vector<Record<model::Operation>> Inventory::open_operations() const {
  const std::shared_lock lock(state_->mutex);
  std::vector<Record<model::Operation>> result;
  result.reserve(state_->open_operations.size());
  for (auto at = state_->open_operations.rbegin(); at != state_->open_operations.rend(); ++at)
    result.push_back(at->second);
  return result;
}

std::vector<Record<model::Operation>> Inventory::operations_of(std::string_view target_id) const {
  const std::shared_lock lock(state_->mutex);
  return state_->table<model::Operation>().select(state_->operations_by_target.of(std::string(target_id)));
}

std::vector<model::Event> Inventory::events_since(Revision revision, std::size_t limit) const {
  {
    const std::shared_lock lock(state_->mutex);
    if (auto events = state_->events.since(revision, limit)) return std::move(*events);
  }
  std::vector<model::Event> events;
  const auto entries = state_->store.list(kEventPrefix);
  if (!entries) {
    log::error(message::record_unreadable, "events: {}", entries.error().describe());
    return events;
  }
  for (const auto& entry : *entries) {
    if (entry.revision <= revision) continue;
    auto event = decode_event(entry.key, entry.value, entry.revision);
    if (event)
      events.push_back(std::move(*event));
    else
      log::error(message::record_unreadable, "{}", event.error().describe());
  }
  std::stable_sort(events.begin(), events.end(), [](const auto& a, const auto& b) { return a.revision < b.revision; });
  if (limit != 0 && events.size() > limit) events.resize(limit);
  return events;
}

Revision Inventory::revision() const {
  const std::shared_lock lock(state_->mutex);
  return state_->revision;
}

Edit Inventory::edit() const { return Edit(std::make_unique<Edit::State>(state_->counters)); }

std::unique_ptr<StateStore::Watch> Inventory::listen(Listener listener) {
  return state_->listeners.add(std::move(listener));
}

void Inventory::note_node_load(const model::NodeId& node, const model::NodeLoad& load) {
  const std::unique_lock lock(state_->mutex);
  const auto found = state_->table<model::Node>().find(node.str());
  if (!found) return;
  auto now = std::make_shared<Stored<model::Node>>(*found);
  now->value.load = load;
  now->value.last_seen = state_->clock.now();
  state_->replace<model::Node>(node.str(), std::move(now));
}

void Inventory::note_node_state(const model::NodeId& node, model::NodeState node_state, std::string message) {
  model::Event event;
  {
    const std::unique_lock lock(state_->mutex);
    const auto found = state_->table<model::Node>().find(node.str());
    if (!found || (found->value.state == node_state && found->value.message == message)) return;
    const bool changed = found->value.state != node_state;
    auto now = std::make_shared<Stored<model::Node>>(*found);
    now->value.state = node_state;
    now->value.message = std::move(message);
    if (changed) {
      const auto& value = now->value;
      event.kind = "node.state";
      event.object_kind = "node";
      event.object = value.id.str();
      event.object_name = value.name;
      event.message = fmt::format("Node '{}' is {}{}{}", value.name, model::to_string(node_state),
                                  value.message.empty() ? "" : ": ", value.message);
      event.actor = "manager";
    }
    state_->replace<model::Node>(node.str(), std::move(now));
    if (!changed) return;
  }
  Edit with_event = edit();
  with_event.event(event);
  if (auto committed = commit(std::move(with_event)); !committed) {
    log::error(message::event_lost, "{} ({})", event.message, committed.error().describe());
  }
}

std::optional<Error> Inventory::write_error() const { return state_->store.write_error(); }

void Inventory::note_token_use(const model::TokenId& token) {
  // To the minute, so that a busy client doesn't copy its record at each request.
  const auto minute = std::chrono::floor<std::chrono::minutes>(state_->clock.now());
  {
    const std::shared_lock lock(state_->mutex);
    const auto found = state_->table<model::Token>().find(token.str());
    if (!found || found->value.last_used >= minute) return;
  }
  const std::unique_lock lock(state_->mutex);
  const auto found = state_->table<model::Token>().find(token.str());
  if (!found) return;
  auto now = std::make_shared<Stored<model::Token>>(*found);
  now->value.last_used = minute;
  state_->replace<model::Token>(token.str(), std::move(now));
}

Status Inventory::trim(std::size_t keep) {
  constexpr std::size_t kBatch = 256;
  std::vector<Transaction> parts;
  std::size_t in_part = kBatch;
  const auto part = [&]() -> Transaction& {
    if (in_part++ == kBatch) {
      parts.emplace_back();
      in_part = 1;
    }
    return parts.back();
  };
  {
    const std::shared_lock lock(state_->mutex);
    std::size_t ended = 0;
    for (const auto& [order, operation] : state_->table<model::Operation>().ordered()) {
      if (!operation->value.terminal() || ++ended <= keep) continue;
      const auto key = fmt::format("operation/{}", operation->value.id);
      part().expect(key, operation->revision).erase(key);
    }
    for (const auto sequence : state_->events.surplus(keep)) part().erase(event_key(sequence));
  }
  for (const auto& transaction : parts) {
    const auto committed = state_->store.commit(transaction);
    // Somebody touched one of them just now: the next trim takes them.
    if (!committed && committed.error().code != ErrorCode::conflict) return forward(committed);
  }
  return {};
}

#define BRIDGEHEAD_INVENTORY(Type)                                              \
  template Record<Type> Inventory::find<Type>(const decltype(Type::id)&) const; \
  template Record<Type> Inventory::find_by_name<Type>(std::string_view) const;  \
  template std::vector<Record<Type>> Inventory::all<Type>() const

BRIDGEHEAD_INVENTORY(model::Node);
BRIDGEHEAD_INVENTORY(model::Pool);
BRIDGEHEAD_INVENTORY(model::Image);
BRIDGEHEAD_INVENTORY(model::Network);
BRIDGEHEAD_INVENTORY(model::Vm);
BRIDGEHEAD_INVENTORY(model::Operation);
BRIDGEHEAD_INVENTORY(model::Token);
BRIDGEHEAD_INVENTORY(model::JoinToken);
BRIDGEHEAD_INVENTORY(model::NodeImage);
BRIDGEHEAD_INVENTORY(model::Profile);
BRIDGEHEAD_INVENTORY(model::Boot);
BRIDGEHEAD_INVENTORY(model::PastBoots);
BRIDGEHEAD_INVENTORY(model::NetbootSettings);
BRIDGEHEAD_INVENTORY(model::Rule);
BRIDGEHEAD_INVENTORY(model::PlanningPolicy);
BRIDGEHEAD_INVENTORY(model::Plan);
BRIDGEHEAD_INVENTORY(model::PlanInput);
BRIDGEHEAD_INVENTORY(model::Benchmark);
BRIDGEHEAD_INVENTORY(model::AvailabilityState);
BRIDGEHEAD_INVENTORY(model::Alert);
BRIDGEHEAD_INVENTORY(model::Webhook);
BRIDGEHEAD_INVENTORY(model::PowerProfile);
BRIDGEHEAD_INVENTORY(model::Bmc);

}  // namespace bridgehead::state
