#include "host_agent/journal.h"

#include <nlohmann/json.hpp>

#include "model/codec.h"
#include "model/enum_names.h"

namespace bridgehead::host_agent {
namespace {

constexpr std::string_view kAssignment = "assignment/";
constexpr std::string_view kReport = "report/";
constexpr std::string_view kVm = "vm/";
constexpr std::string_view kCreation = "creation/";
constexpr std::string_view kMeta = "meta/";

template <typename IdType>
std::string key(std::string_view prefix, const IdType& id) {
  return fmt::format("{}{}", prefix, id.str());
}

std::string encode(const AppliedVm& vm) {
  auto pools = nlohmann::json::array();
  for (const auto& pool : vm.pools) pools.push_back(pool.str());
  return nlohmann::json{{"generation", vm.generation},
                        {"lease", vm.lease},
                        {"power", to_string(vm.power)},
                        {"autostart", vm.autostart},
                        {"waits_for_manager", vm.waits_for_manager},
                        {"pools", std::move(pools)},
                        {"memory", vm.memory.count()}}
      .dump();
}

Result<AppliedVm> decode_applied(const std::string& text) {
  try {
    const auto json = nlohmann::json::parse(text);
    AppliedVm vm;
    vm.generation = json.at("generation").get<std::uint64_t>();
    vm.lease = json.at("lease").get<std::uint64_t>();
    const auto power = model::parse_enum<model::PowerState>(json.at("power").get<std::string>());
    if (!power) return forward(power);
    vm.power = *power;
    vm.autostart = json.value("autostart", false);
    vm.waits_for_manager = json.value("waits_for_manager", false);
    for (const auto& pool : json.value("pools", nlohmann::json::array())) {
      vm.pools.emplace_back(pool.get<std::string>());
    }
    vm.memory = Bytes(json.value("memory", std::uint64_t{0}));
    return vm;
  } catch (const std::exception& error) {
    return fail(ErrorCode::data_corrupt, "{}", error.what());
  }
}

std::string encode(const Creation& creation) {
  auto disks = nlohmann::json::array();
  for (const auto& disk : creation.disks) disks.push_back(model::encode(disk));
  return nlohmann::json{{"operation", creation.operation.str()}, {"lease", creation.lease}, {"disks", std::move(disks)}}
      .dump();
}

Result<Creation> decode_creation(const std::string& text) {
  try {
    const auto json = nlohmann::json::parse(text);
    Creation creation;
    creation.operation = model::OperationId(json.at("operation").get<std::string>());
    creation.lease = json.value("lease", std::uint64_t{0});
    for (const auto& item : json.at("disks")) {
      auto disk = model::decode<model::Image>(item.get<std::string>());
      if (!disk) return forward(disk);
      creation.disks.push_back(std::move(*disk));
    }
    return creation;
  } catch (const std::exception& error) {
    return fail(ErrorCode::data_corrupt, "{}", error.what());
  }
}

Error damaged(const std::string& key, const Error& reason) {
  return {ErrorCode::data_corrupt, fmt::format("the agent's journal is damaged at '{}': {}", key, reason.message),
          "Restore journal.db of the state directory from a backup, or move it away: unfinished work is then lost, "
          "guests are kept."};
}

}  // namespace

Result<std::unique_ptr<Journal>> Journal::open(state::StateStore& store) {
  std::unique_ptr<Journal> journal(new Journal(store));
  if (auto loaded = journal->load(); !loaded) return forward(loaded);
  return journal;
}

Status Journal::load() {
  const auto visit = [this](std::string_view prefix, auto take) -> Status {
    const auto entries = store_.list(prefix);
    if (!entries) return forward(entries);
    for (const auto& entry : *entries) {
      if (Status taken = take(entry, entry.key.substr(prefix.size())); !taken)
        return fail(damaged(entry.key, taken.error()));
    }
    return {};
  };
  auto loaded = visit(kAssignment, [this](const state::Entry& entry, const std::string&) -> Status {
    auto assignment = model::decode<model::Assignment>(entry.value);
    if (!assignment) return forward(assignment);
    order_[assignment->operation] = entry.revision;
    unfinished_.emplace(entry.revision, std::move(*assignment));
    return {};
  });
  if (!loaded) return loaded;
  loaded = visit(kReport, [this](const state::Entry& entry, const std::string& id) -> Status {
    auto report = model::decode<model::AssignmentReport>(entry.value);
    if (!report) return forward(report);
    finished_.emplace(model::OperationId(id), std::move(*report));
    return {};
  });
  if (!loaded) return loaded;
  loaded = visit(kVm, [this](const state::Entry& entry, const std::string& id) -> Status {
    auto vm = decode_applied(entry.value);
    if (!vm) return forward(vm);
    applied_.emplace(model::VmId(id), std::move(*vm));
    return {};
  });
  if (!loaded) return loaded;
  loaded = visit(kCreation, [this](const state::Entry& entry, const std::string& id) -> Status {
    auto creation = decode_creation(entry.value);
    if (!creation) return forward(creation);
    creations_.emplace(model::VmId(id), std::move(*creation));
    return {};
  });
  if (!loaded) return loaded;
  return visit(kMeta, [this](const state::Entry& entry, const std::string& name) -> Status {
    meta_[name] = entry.value;
    return {};
  });
}

// Commits are made without the lock, so that those of different guests share one sync of the store.

Result<Receipt> Journal::receive(const model::Assignment& assignment) {
  {
    const std::lock_guard lock(mutex_);
    if (finished_.contains(assignment.operation)) return Receipt::finished;
    if (order_.contains(assignment.operation)) return Receipt::unfinished;
  }
  const auto name = key(kAssignment, assignment.operation);
  const auto revision = store_.commit(state::Transaction().expect(name, 0).put(name, model::encode(assignment)));
  // Somebody else received it at the same moment.
  if (!revision && revision.error().code == ErrorCode::conflict) return Receipt::unfinished;
  if (!revision) return forward(revision);
  const std::lock_guard lock(mutex_);
  order_[assignment.operation] = *revision;
  unfinished_.emplace(*revision, assignment);
  return Receipt::accepted;
}

Status Journal::finish(const model::AssignmentReport& report, const std::optional<VmChange>& change) {
  state::Transaction transaction;
  transaction.put(key(kReport, report.operation), model::encode(report));
  transaction.erase(key(kAssignment, report.operation));
  if (change) {
    transaction.erase(key(kCreation, change->vm));
    if (change->applied) {
      transaction.put(key(kVm, change->vm), encode(*change->applied));
    } else {
      transaction.erase(key(kVm, change->vm));
    }
  }
  const auto committed = store_.commit(transaction);
  const std::lock_guard lock(mutex_);
  if (const auto found = order_.find(report.operation); found != order_.end()) {
    unfinished_.erase(found->second);
    order_.erase(found);
  }
  finished_.insert_or_assign(report.operation, report);
  if (change) {
    creations_.erase(change->vm);
    if (change->applied) {
      applied_.insert_or_assign(change->vm, *change->applied);
    } else {
      applied_.erase(change->vm);
    }
  }
  if (!committed) return forward(committed);
  return {};
}

Status Journal::acknowledge(const model::OperationId& operation) {
  {
    const std::lock_guard lock(mutex_);
    if (!finished_.contains(operation)) return {};
  }
  // The assignment too: its end may have been remembered in memory only (disk full).
  const auto committed =
      store_.commit(state::Transaction().erase(key(kReport, operation)).erase(key(kAssignment, operation)));
  if (!committed) return forward(committed);
  const std::lock_guard lock(mutex_);
  finished_.erase(operation);
  return {};
}

std::vector<model::Assignment> Journal::unfinished() const {
  const std::lock_guard lock(mutex_);
  std::vector<model::Assignment> all;
  for (const auto& [order, assignment] : unfinished_) all.push_back(assignment);
  return all;
}

std::vector<model::AssignmentReport> Journal::finished() const {
  const std::lock_guard lock(mutex_);
  std::vector<model::AssignmentReport> all;
  for (const auto& [operation, report] : finished_) all.push_back(report);
  return all;
}

std::optional<model::AssignmentReport> Journal::report(const model::OperationId& operation) const {
  const std::lock_guard lock(mutex_);
  const auto found = finished_.find(operation);
  return found == finished_.end() ? std::nullopt : std::optional(found->second);
}

bool Journal::is_unfinished(const model::OperationId& operation) const {
  const std::lock_guard lock(mutex_);
  return order_.contains(operation);
}

std::optional<AppliedVm> Journal::applied(const model::VmId& vm) const {
  const std::lock_guard lock(mutex_);
  const auto found = applied_.find(vm);
  return found == applied_.end() ? std::nullopt : std::optional(found->second);
}

std::map<model::VmId, AppliedVm> Journal::all_applied() const {
  const std::lock_guard lock(mutex_);
  return applied_;
}

Status Journal::begin_creation(const model::VmId& vm, const Creation& creation) {
  const auto committed = store_.commit(state::Transaction().put(key(kCreation, vm), encode(creation)));
  if (!committed) return forward(committed);
  const std::lock_guard lock(mutex_);
  creations_.insert_or_assign(vm, creation);
  return {};
}

std::optional<Creation> Journal::creation(const model::VmId& vm) const {
  const std::lock_guard lock(mutex_);
  const auto found = creations_.find(vm);
  return found == creations_.end() ? std::nullopt : std::optional(found->second);
}

std::map<model::VmId, Creation> Journal::creations() const {
  const std::lock_guard lock(mutex_);
  return creations_;
}

Status Journal::end_creation(const model::VmId& vm) {
  const auto committed = store_.commit(state::Transaction().erase(key(kCreation, vm)));
  if (!committed) return forward(committed);
  const std::lock_guard lock(mutex_);
  creations_.erase(vm);
  return {};
}

std::string Journal::meta(const std::string& name) const {
  const std::lock_guard lock(mutex_);
  const auto found = meta_.find(name);
  return found == meta_.end() ? std::string() : found->second;
}

Status Journal::set_meta(const std::string& name, const std::string& value) {
  const auto key = fmt::format("{}{}", kMeta, name);
  state::Transaction change;
  value.empty() ? change.erase(key) : change.put(key, value);
  const auto committed = store_.commit(std::move(change));
  if (!committed) return forward(committed);
  const std::lock_guard lock(mutex_);
  if (value.empty()) {
    meta_.erase(name);
  } else {
    meta_[name] = value;
  }
  return {};
}

Status Journal::change_meta(const std::string& name, const std::function<std::string(const std::string&)>& change) {
  const std::lock_guard changing(changing_meta_);
  const auto before = meta(name);
  auto after = change(before);
  if (after == before) return {};
  return set_meta(name, after);
}

}  // namespace bridgehead::host_agent
