// What the tests of the Inventory share: one over a memory store, with a clock that stands still.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/testing/manual_clock.h"
#include "state/inventory.h"
#include "state/memory_store.h"
#include "state/testing/store_helpers.h"

namespace bridgehead::state::testing {

template <typename T>
std::vector<std::string> names(const std::vector<Record<T>>& records) {
  std::vector<std::string> result;
  for (const auto& record : records) result.push_back(record->value.name);
  return result;
}

inline std::vector<std::string> ids(const std::vector<Record<model::Operation>>& records) {
  std::vector<std::string> result;
  for (const auto& record : records) result.push_back(record->value.id.str());
  return result;
}

inline model::Vm make_vm(std::string id, std::string name) {
  model::Vm vm;
  vm.id = model::VmId(std::move(id));
  vm.name = std::move(name);
  return vm;
}

class InventoryTest : public ::testing::Test {
 protected:
  template <typename Fill>
  Result<Revision> commit(Fill fill) {
    auto edit = inventory_->edit();
    fill(edit);
    return inventory_->commit(std::move(edit));
  }
  template <typename T>
  void create(const T& value) {
    const auto committed = commit([&](Edit& edit) { edit.create(value); });
    ASSERT_TRUE(committed) << committed.error().describe();
  }
  void reopen() {
    inventory_.reset();
    auto opened = Inventory::open(*store_, clock_);
    ASSERT_TRUE(opened) << opened.error().describe();
    inventory_ = std::move(*opened);
  }
  Record<model::Vm> vm(std::string_view name) const { return inventory_->find_by_name<model::Vm>(name); }

  std::unique_ptr<StateStore> store_ = make_memory_store();
  bridgehead::testing::ManualClock clock_;
  std::unique_ptr<Inventory> inventory_ = Inventory::open(*store_, clock_).value();
};

}  // namespace bridgehead::state::testing
