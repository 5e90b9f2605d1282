// How the store gets into memory: once in full, then commit by commit.
#include "model/codec.h"
#include "state/inventory_state.h"

namespace bridgehead::state {
namespace {

template <typename T>
std::string prefix_of() {
  return fmt::format("{}/", model::RecordTraits<T>::kind);
}

template <typename T>
Result<T> decode_entry(std::string_view key, std::string_view id, std::string_view value) {
  auto record = model::decode<T>(value);
  if (!record)
    return fail(Error{record.error().code, fmt::format("'{}' in the store: {}", key, record.error().message),
                      record.error().hint});
  if constexpr (requires { record->id; }) {
    if (record->id.str() != id) {
      return fail(ErrorCode::data_corrupt, "'{}' in the store holds the record of '{}'", key, record->id.str());
    }
  }
  return record;
}

// What lives in memory only outlasts a change of the rest.
void keep_memory_only(model::Node& now, const model::Node& before) {
  now.load = before.load;
  now.last_seen = before.last_seen;
  now.state = before.state;
  now.message = before.message;
}
void keep_memory_only(model::Vm& now, const model::Vm& before) { now.status = before.status; }
void keep_memory_only(model::Token& now, const model::Token& before) { now.last_used = before.last_used; }
template <typename T>
void keep_memory_only(T&, const T&) {}

}  // namespace

template <typename T>
void Inventory::State::replace(const std::string& id, Record<T> record) {
  auto& records = table<T>();
  const Record<T> old = records.find(id);
  if constexpr (std::is_same_v<T, model::Vm>) {
    if (old) vms_by_node.remove(old->value.node.str(), id);
    if (record) vms_by_node.add(record->value.node.str(), id);
  } else if constexpr (std::is_same_v<T, model::Image>) {
    if (old) {
      images_by_parent.remove(old->value.parent.str(), id);
      images_by_vm.remove(old->value.vm.str(), id);
    }
    if (record) {
      images_by_parent.add(record->value.parent.str(), id);
      images_by_vm.add(record->value.vm.str(), id);
    }
  } else if constexpr (std::is_same_v<T, model::Operation>) {
    if (old) {
      operations_by_target.remove(old->value.target, id);
      open_operations.erase(ListOrder<T>::of(old->value));
    }
    if (record) {
      operations_by_target.add(record->value.target, id);
      if (!record->value.terminal()) open_operations.insert_or_assign(ListOrder<T>::of(record->value), record);
    }
  }
  if (record) {
    records.put(record);
  } else {
    records.erase(id);
  }
}

template void Inventory::State::replace(const std::string&, Record<model::Node>);
template void Inventory::State::replace(const std::string&, Record<model::Token>);

template <typename T>
void Inventory::State::apply_record(const Change& change, std::string_view id_text, Revision at) {
  const std::string id(id_text);
  const Record<T> old = table<T>().find(id);
  if (old && old->revision > at) return;  // load() has read a newer one
  if (!change.value) {
    replace<T>(id, nullptr);
    return;
  }
  auto value = decode_entry<T>(change.key, id, *change.value);
  if (!value) {
    log::error(message::record_unreadable, "{}", value.error().describe());
    return;
  }
  if (old) keep_memory_only(*value, old->value);
  replace<T>(id, std::make_shared<const Stored<T>>(Stored<T>{std::move(*value), at}));
}

void Inventory::State::apply_status(const Change& change, std::string_view id_text) {
  const std::string id(id_text);
  const auto vm = table<model::Vm>().find(id);
  if (!vm || !change.value) return;
  auto status = decode_entry<model::VmStatus>(change.key, id, *change.value);
  if (!status) {
    log::error(message::record_unreadable, "{}", status.error().describe());
    return;
  }
  auto now = std::make_shared<Stored<model::Vm>>(*vm);
  now->value.status = std::move(*status);
  replace<model::Vm>(id, std::move(now));
}

void Inventory::State::apply_change(const Change& change, Revision at, std::vector<model::Event>& new_events) {
  const std::string_view key = change.key;
  const auto slash = key.find('/');
  if (slash == std::string_view::npos) return;
  const auto kind = key.substr(0, slash);
  const auto id = key.substr(slash + 1);
  if (kind == "vm") return apply_record<model::Vm>(change, id, at);
  if (kind == "image") return apply_record<model::Image>(change, id, at);
  if (kind == "operation") return apply_record<model::Operation>(change, id, at);
  if (kind == "node") return apply_record<model::Node>(change, id, at);
  if (kind == "pool") return apply_record<model::Pool>(change, id, at);
  if (kind == "network") return apply_record<model::Network>(change, id, at);
  if (kind == "token") return apply_record<model::Token>(change, id, at);
  if (kind == "join_token") return apply_record<model::JoinToken>(change, id, at);
  if (kind == "boot") return apply_record<model::Boot>(change, id, at);
  if (kind == "past_boots") return apply_record<model::PastBoots>(change, id, at);
  if (kind == "node_image") return apply_record<model::NodeImage>(change, id, at);
  if (kind == "profile") return apply_record<model::Profile>(change, id, at);
  if (kind == "netboot_settings") return apply_record<model::NetbootSettings>(change, id, at);
  if (kind == "rule") return apply_record<model::Rule>(change, id, at);
  if (kind == "policy") return apply_record<model::PlanningPolicy>(change, id, at);
  if (kind == "plan") return apply_record<model::Plan>(change, id, at);
  if (kind == "plan_input") return apply_record<model::PlanInput>(change, id, at);
  if (kind == "availability") return apply_record<model::AvailabilityState>(change, id, at);
  if (kind == "alert") return apply_record<model::Alert>(change, id, at);
  if (kind == "webhook") return apply_record<model::Webhook>(change, id, at);
  if (kind == "power_profile") return apply_record<model::PowerProfile>(change, id, at);
  if (kind == "bmc") return apply_record<model::Bmc>(change, id, at);
  if (kind == "benchmark") return apply_record<model::Benchmark>(change, id, at);
  const auto sequence = event_sequence(key);
  if (!sequence) return;  // names and counters are not kept in memory
  if (!change.value) return events.forget_stored(*sequence);
  auto event = decode_event(key, *change.value, at);
  if (!event) {
    log::error(message::record_unreadable, "{}", event.error().describe());
    return;
  }
  events.add(*sequence, *event);
  new_events.push_back(std::move(*event));
}

void Inventory::State::apply(const Commit& commit, std::vector<model::Event>& new_events) {
  // Statuses second: whatever the order in the commit, their VMs are there by then.
  constexpr std::string_view status_prefix = "vm_status/";
  for (const auto& change : commit.changes) {
    if (!change.key.starts_with(status_prefix)) apply_change(change, commit.revision, new_events);
  }
  for (const auto& change : commit.changes) {
    if (change.key.starts_with(status_prefix))
      apply_status(change, std::string_view(change.key).substr(status_prefix.size()));
  }
  revision = std::max(revision, commit.revision);
}

void Inventory::State::follow(const Commit& commit) {
  {
    const std::lock_guard lock(early_mutex);
    if (loading) {
      early.push_back(commit);
      return;
    }
  }
  std::vector<model::Event> new_events;
  {
    const std::unique_lock lock(mutex);
    apply(commit, new_events);
  }
  listeners.call(commit.revision, new_events);
}

template <typename T>
Status Inventory::State::load_kind(const std::function<void(T&)>& complete) {
  const auto prefix = prefix_of<T>();
  auto entries = store.list(prefix);
  if (!entries) return forward(entries);
  for (auto& entry : *entries) {
    const auto id = entry.key.substr(prefix.size());
    auto value = decode_entry<T>(entry.key, id, entry.value);
    if (!value) return forward(value);
    entry.value = {};  // the text is large; free it while going along
    if (complete) complete(*value);
    replace<T>(id, std::make_shared<const Stored<T>>(Stored<T>{std::move(*value), entry.revision}));
  }
  return {};
}

Status Inventory::State::load_vms() {
  std::unordered_map<std::string, model::VmStatus> statuses;
  const std::string prefix = vm_status_key("");
  {
    const auto entries = store.list(prefix);
    if (!entries) return forward(entries);
    for (const auto& entry : *entries) {
      const auto id = entry.key.substr(prefix.size());
      auto status = decode_entry<model::VmStatus>(entry.key, id, entry.value);
      if (!status) return forward(status);
      statuses.emplace(id, std::move(*status));
    }
  }
  return load_kind<model::Vm>([&](model::Vm& vm) {
    if (const auto found = statuses.find(vm.id.str()); found != statuses.end()) vm.status = std::move(found->second);
  });
}

Status Inventory::State::load_events() {
  const auto entries = store.list(kEventPrefix);
  if (!entries) return forward(entries);
  const std::size_t old = entries->size() - std::min(entries->size(), EventLog::kInMemory);
  for (std::size_t i = 0; i < entries->size(); ++i) {
    const auto& entry = (*entries)[i];
    const auto sequence = event_sequence(entry.key);
    if (!sequence) return fail(ErrorCode::data_corrupt, "'{}' in the store is no event's key", entry.key);
    if (i < old) {
      events.add_stored_only(*sequence, entry.revision);
      continue;
    }
    auto event = decode_event(entry.key, entry.value, entry.revision);
    if (!event) return forward(event);
    events.add(*sequence, std::move(*event));
  }
  return {};
}

Status Inventory::State::load() {
  watch = store.watch([this](const Commit& commit) { follow(commit); });
  const std::unique_lock lock(mutex);
  revision = store.revision();
  auto loaded = load_kind<model::Node>();
  if (loaded) loaded = load_kind<model::Pool>();
  if (loaded) loaded = load_kind<model::Image>();
  if (loaded) loaded = load_kind<model::Network>();
  if (loaded) loaded = load_vms();
  if (loaded) loaded = load_kind<model::Operation>();
  if (loaded) loaded = load_kind<model::Token>();
  if (loaded) loaded = load_kind<model::JoinToken>();
  if (loaded) loaded = load_kind<model::Boot>();
  if (loaded) loaded = load_kind<model::PastBoots>();
  if (loaded) loaded = load_kind<model::NodeImage>();
  if (loaded) loaded = load_kind<model::Profile>();
  if (loaded) loaded = load_kind<model::NetbootSettings>();
  if (loaded) loaded = load_kind<model::Rule>();
  if (loaded) loaded = load_kind<model::PlanningPolicy>();
  if (loaded) loaded = load_kind<model::Plan>();
  if (loaded) loaded = load_kind<model::PlanInput>();
  if (loaded) loaded = load_kind<model::AvailabilityState>();
  if (loaded) loaded = load_kind<model::Alert>();
  if (loaded) loaded = load_kind<model::Webhook>();
  if (loaded) loaded = load_kind<model::PowerProfile>();
  if (loaded) loaded = load_kind<model::Bmc>();
  if (loaded) loaded = load_kind<model::Benchmark>();
  if (loaded) loaded = load_events();
  if (!loaded) return loaded;
  const std::lock_guard early_lock(early_mutex);
  std::vector<model::Event> unheard;  // nobody listens yet
  for (const auto& commit : early) apply(commit, unheard);
  early.clear();
  next_event = events.last_sequence() + 1;
  loading = false;
  return {};
}

Result<std::unique_ptr<Inventory>> Inventory::open(StateStore& store, const Clock& clock) {
  auto state = std::make_unique<State>(store, clock);
  if (auto loaded = state->load(); !loaded) return forward(loaded);
  return std::unique_ptr<Inventory>(new Inventory(std::move(state)));
}

}  // namespace bridgehead::state
