#include <set>

#include "model/codec.h"
#include "state/inventory_state.h"

namespace bridgehead::state {
namespace {

template <typename T>
std::string key_of(const T& value) {
  return fmt::format("{}/{}", model::RecordTraits<T>::kind, value.id.str());
}

// Only what is kept in the store: see the list in inventory.h.
std::string encode_stored(model::Node node) {
  node.load = {};
  node.last_seen = {};
  node.state = model::NodeState::unreachable;
  node.message.clear();
  return model::encode(node);
}
std::string encode_stored(model::Vm vm) {
  vm.status = {};
  return model::encode(vm);
}
std::string encode_stored(model::Token token) {
  token.last_used = {};
  return model::encode(token);
}
template <typename T>
std::string encode_stored(const T& value) {
  return model::encode(value);
}

std::string_view article_and_kind(std::string_view kind) {
  if (kind == "vm") return "a VM";
  if (kind == "image") return "an image";
  if (kind == "node") return "a node";
  if (kind == "pool") return "a pool";
  if (kind == "network") return "a network";
  if (kind == "token") return "a token";
  if (kind == "node_image") return "a node image";
  if (kind == "profile") return "a profile";
  if (kind == "rule") return "a rule";
  if (kind == "plan") return "a plan";
  if (kind == "benchmark") return "a benchmark";
  return kind;
}

Error name_taken(std::string_view kind, std::string_view name) {
  return {ErrorCode::already_exists, fmt::format("{} named '{}' already exists", article_and_kind(kind), name),
          "Choose another name."};
}

Error never_read(std::string_view kind) {
  return {ErrorCode::internal, fmt::format("a {} that was never read can't be changed", kind), {}};
}

}  // namespace

std::string vm_status_key(std::string_view vm_id) { return fmt::format("vm_status/{}", vm_id); }

Edit::Edit(std::unique_ptr<State> state) : state_(std::move(state)) {}
Edit::Edit(Edit&&) noexcept = default;
Edit& Edit::operator=(Edit&&) noexcept = default;
Edit::~Edit() = default;

template <typename T>
Edit& Edit::create(const T& value) {
  const auto key = key_of(value);
  if (state_->writes.contains(key)) {
    state_->refuse({ErrorCode::already_exists, fmt::format("'{}' is created twice", key), {}});
    return *this;
  }
  state_->writes[key] = {.kind = model::RecordTraits<T>::kind,
                         .id = value.id.str(),
                         .expected = 0,
                         .old_name = {},
                         .new_name = std::string(name_of(value)),
                         .encoded = encode_stored(value)};
  if constexpr (std::is_same_v<T, model::Vm>) state_->statuses.emplace(value.id.str(), model::encode(value.status));
  return *this;
}

template <typename T>
Edit& Edit::update(const Record<T>& read, const T& value) {
  if (!read || read->value.id != value.id) {
    state_->refuse(never_read(model::RecordTraits<T>::kind));
    return *this;
  }
  state_->writes[key_of(value)] = {.kind = model::RecordTraits<T>::kind,
                                   .id = value.id.str(),
                                   .expected = read->revision,
                                   .old_name = std::string(name_of(read->value)),
                                   .new_name = std::string(name_of(value)),
                                   .encoded = encode_stored(value)};
  return *this;
}

template <typename T>
Edit& Edit::remove(const Record<T>& read) {
  if (!read) {
    state_->refuse(never_read(model::RecordTraits<T>::kind));
    return *this;
  }
  state_->writes[key_of(read->value)] = {.kind = model::RecordTraits<T>::kind,
                                         .id = read->value.id.str(),
                                         .expected = read->revision,
                                         .old_name = std::string(name_of(read->value)),
                                         .new_name = {},
                                         .encoded = std::nullopt};
  return *this;
}

Edit& Edit::set_status(const model::VmId& vm, const model::VmStatus& status) {
  state_->statuses.insert_or_assign(vm.str(), model::encode(status));
  return *this;
}

Edit& Edit::event(model::Event event) {
  state_->events.push_back(std::move(event));
  return *this;
}

std::uint64_t Edit::take(std::string_view counter, std::uint64_t count) {
  return state_->taken(state_->counters.take(counter, std::max<std::uint64_t>(count, 1)));
}

std::uint64_t Edit::take_next(std::string_view counter) { return state_->taken(state_->counters.take(counter, 1, 0)); }

void Edit::skip(std::string_view counter, std::uint64_t number) {
  if (const auto next = take(counter); next != 0 && next < number) take(counter, number - next);
}

Result<std::map<std::string, Edit::State::Claim>> Edit::State::claims() const {
  std::map<std::string, Claim> result;
  for (const auto& [key, write] : writes) {
    const bool keeps = write.encoded && write.old_name == write.new_name;
    if (keeps) continue;
    if (!write.old_name.empty()) result[fmt::format("name/{}/{}", write.kind, write.old_name)].released = true;
    if (write.new_name.empty()) continue;
    auto& claim = result[fmt::format("name/{}/{}", write.kind, write.new_name)];
    if (!claim.id.empty()) return fail(name_taken(write.kind, write.new_name));
    claim.id = write.id;
    claim.kind = write.kind;
    claim.name = write.new_name;
  }
  return result;
}

Transaction Edit::State::transaction(const std::map<std::string, Claim>& claims, std::uint64_t first_event) const {
  Transaction result;
  std::set<std::string_view> created;
  std::set<std::string_view> removed;
  for (const auto& [key, write] : writes) {
    result.expect(key, write.expected);
    if (write.encoded) {
      result.put(key, *write.encoded);
      if (write.kind == "vm" && write.expected == 0) created.insert(write.id);
    } else {
      result.erase(key);
      if (write.kind == "vm") {
        result.erase(vm_status_key(write.id));
        removed.insert(write.id);
      }
    }
  }
  for (const auto& [key, claim] : claims) {
    // A name that one of our own records gives up is ours as long as that record is unchanged, which is expected above.
    if (!claim.released) result.expect(key, 0);
    if (claim.id.empty()) {
      result.erase(key);
    } else {
      result.put(key, claim.id);
    }
  }
  for (const auto& [id, status] : statuses) {
    if (removed.contains(id)) continue;
    if (!created.contains(id)) result.expect_exists(fmt::format("vm/{}", id));
    result.put(vm_status_key(id), status);
  }
  for (const auto& event : events) {
    const auto key = event_key(first_event++);
    result.expect(key, 0).put(key, model::encode(event));
  }
  return result;
}

Error Inventory::State::explain_conflict(Error conflict, const Edit::State& edit,
                                         const std::map<std::string, Edit::State::Claim>& claims) const {
  for (const auto& [key, write] : edit.writes) {
    if (write.expected == 0 && write.encoded && store.get(key)) {
      return {ErrorCode::already_exists,
              fmt::format("{} with the id {} already exists", article_and_kind(write.kind), write.id),
              {}};
    }
  }
  for (const auto& [key, claim] : claims) {
    if (claim.released || claim.id.empty()) continue;
    if (const auto owner = store.get(key); owner && owner->value != claim.id) return name_taken(claim.kind, claim.name);
  }
  return conflict;
}

Result<Revision> Inventory::commit(Edit edit) {
  auto& wanted = *edit.state_;
  if (wanted.error) return fail(*wanted.error);
  if (wanted.empty()) return revision();
  for (auto& event : wanted.events) {
    event.revision = 0;
    event.time = state_->clock.now();
  }
  const auto claims = wanted.claims();
  if (!claims) return forward(claims);
  auto committed =
      state_->store.commit(wanted.transaction(*claims, state_->next_event.fetch_add(wanted.events.size())));
  if (!committed && committed.error().code == ErrorCode::conflict) {
    return fail(state_->explain_conflict(committed.error(), wanted, *claims));
  }
  return committed;
}

Result<Revision> change(Inventory& inventory, const std::function<Status(Edit&)>& change) {
  constexpr int kCommitTries = 20;
  for (int tries = 1;; ++tries) {
    Edit edit = inventory.edit();
    if (auto filled = change(edit); !filled) return forward(filled);
    auto committed = inventory.commit(std::move(edit));
    if (committed || committed.error().code != ErrorCode::conflict || tries == kCommitTries) return committed;
  }
}

#define BRIDGEHEAD_EDIT(Type)                                          \
  template Edit& Edit::create<Type>(const Type&);                      \
  template Edit& Edit::update<Type>(const Record<Type>&, const Type&); \
  template Edit& Edit::remove<Type>(const Record<Type>&)

BRIDGEHEAD_EDIT(model::Node);
BRIDGEHEAD_EDIT(model::Pool);
BRIDGEHEAD_EDIT(model::Image);
BRIDGEHEAD_EDIT(model::Network);
BRIDGEHEAD_EDIT(model::Vm);
BRIDGEHEAD_EDIT(model::Operation);
BRIDGEHEAD_EDIT(model::Token);
BRIDGEHEAD_EDIT(model::JoinToken);
BRIDGEHEAD_EDIT(model::NodeImage);
BRIDGEHEAD_EDIT(model::Profile);
BRIDGEHEAD_EDIT(model::Boot);
BRIDGEHEAD_EDIT(model::PastBoots);
BRIDGEHEAD_EDIT(model::NetbootSettings);
BRIDGEHEAD_EDIT(model::Rule);
BRIDGEHEAD_EDIT(model::PlanningPolicy);
BRIDGEHEAD_EDIT(model::Plan);
BRIDGEHEAD_EDIT(model::PlanInput);
BRIDGEHEAD_EDIT(model::Benchmark);
BRIDGEHEAD_EDIT(model::AvailabilityState);
BRIDGEHEAD_EDIT(model::Alert);
BRIDGEHEAD_EDIT(model::Webhook);
BRIDGEHEAD_EDIT(model::PowerProfile);
BRIDGEHEAD_EDIT(model::Bmc);

}  // namespace bridgehead::state
