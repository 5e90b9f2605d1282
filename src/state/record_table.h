// Parts of the Inventory's memory: one ordered table per kind of record, and grouping indexes over them.
// Not thread-safe: the Inventory's lock guards them.
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "state/inventory.h"

namespace bridgehead::state {

template <typename T>
concept Named = requires(const T& value) {
  value.name;
};

template <typename T>
std::string_view name_of(const T& value) {
  if constexpr (Named<T>) {
    return value.name;
  } else {
    return {};
  }
}

// The order in which all<T>() lists. The id breaks ties, and keeps two records apart while they swap their names.
template <typename T>
struct ListOrder {
  using Key = std::pair<std::string, std::string>;
  static Key of(const T& value) { return {std::string(name_of(value)), value.id.str()}; }
};

template <>
struct ListOrder<model::Operation> {
  using Key = std::pair<std::int64_t, std::string>;  // newest first
  static Key of(const model::Operation& value) { return {-value.created.time_since_epoch().count(), value.id.str()}; }
};

template <typename T>
class RecordTable {
 public:
  using Key = typename ListOrder<T>::Key;

  Record<T> find(const std::string& id) const {
    const auto found = by_id_.find(id);
    return found == by_id_.end() ? nullptr : found->second;
  }

  Record<T> find_by_name(std::string_view name) const {
    if constexpr (Named<T>) {
      const auto at = ordered_.lower_bound(Key{std::string(name), std::string()});
      if (at != ordered_.end() && at->first.first == name) return at->second;
    }
    return nullptr;
  }

  void put(const Record<T>& record) {
    const auto key = ListOrder<T>::of(record->value);
    auto& slot = by_id_[record->value.id.str()];
    if (slot) {
      if (auto old = ListOrder<T>::of(slot->value); old != key) ordered_.erase(old);
    }
    slot = record;
    ordered_.insert_or_assign(key, record);
  }

  void erase(const std::string& id) {
    const auto found = by_id_.find(id);
    if (found == by_id_.end()) return;
    ordered_.erase(ListOrder<T>::of(found->second->value));
    by_id_.erase(found);
  }

  std::vector<Record<T>> all() const {
    std::vector<Record<T>> result;
    result.reserve(ordered_.size());
    for (const auto& [key, record] : ordered_) result.push_back(record);
    return result;
  }

  const std::map<Key, Record<T>>& ordered() const { return ordered_; }

  // Those of these ids that exist, in list order.
  std::vector<Record<T>> select(const std::set<std::string>& ids) const {
    std::vector<Record<T>> result;
    result.reserve(ids.size());
    for (const auto& id : ids) {
      if (auto record = find(id)) result.push_back(std::move(record));
    }
    std::sort(result.begin(), result.end(),
              [](const auto& a, const auto& b) { return ListOrder<T>::of(a->value) < ListOrder<T>::of(b->value); });
    return result;
  }

 private:
  std::unordered_map<std::string, Record<T>> by_id_;
  std::map<Key, Record<T>> ordered_;
};

// Which ids belong to a group: VMs to a node, disks to a VM. The group "" is not kept: it means "none".
class GroupIndex {
 public:
  void add(const std::string& group, const std::string& id) {
    if (!group.empty()) groups_[group].insert(id);
  }
  void remove(const std::string& group, const std::string& id) {
    const auto found = groups_.find(group);
    if (found == groups_.end()) return;
    found->second.erase(id);
    if (found->second.empty()) groups_.erase(found);
  }
  const std::set<std::string>& of(const std::string& group) const {
    static const std::set<std::string> none;
    const auto found = groups_.find(group);
    return found == groups_.end() ? none : found->second;
  }

 private:
  std::unordered_map<std::string, std::set<std::string>> groups_;
};

}  // namespace bridgehead::state
