#include "host_agent/remembered.h"

#include <algorithm>
#include <functional>

#include <nlohmann/json.hpp>

#include "model/codec.h"

namespace bridgehead::host_agent {
namespace {

constexpr char kPools[] = "pools";
constexpr char kNetworks[] = "networks";
constexpr char kGoneNetworks[] = "gone_networks";

template <typename T>
std::string pack(std::vector<T> records) {
  auto texts = nlohmann::json::array();
  for (auto& record : records) {
    if constexpr (std::is_same_v<T, model::Pool>) record.nodes.clear();  // observed by nodes: changes all the time
    texts.push_back(model::encode(record));
  }
  return texts.dump();
}

template <typename T>
std::vector<T> unpack(const std::string& text) {
  std::vector<T> records;
  const auto texts = nlohmann::json::parse(text, nullptr, false);
  if (!texts.is_array()) return records;
  for (const auto& item : texts) {
    if (!item.is_string()) continue;
    if (auto record = model::decode<T>(item.template get_ref<const std::string&>()))
      records.push_back(std::move(*record));
  }
  return records;
}

template <typename Id, typename T>
void erase(std::vector<T>& records, const Id& id) {
  std::erase_if(records, [&](const T& record) { return record.id == id; });
}

template <typename T>
void put(std::vector<T>& records, const T& record) {
  const auto known =
      std::find_if(records.begin(), records.end(), [&](const T& other) { return other.id == record.id; });
  if (known != records.end()) {
    *known = record;
  } else {
    records.push_back(record);
  }
}

template <typename T>
Status change(Journal& journal, const char* name, const std::function<void(std::vector<T>&)>& how) {
  return journal.change_meta(name, [&](const std::string& before) {
    auto records = unpack<T>(before);
    how(records);
    return pack(std::move(records));
  });
}

}  // namespace

Remembered remembered(const Journal& journal) {
  return {.pools = unpack<model::Pool>(journal.meta(kPools)),
          .networks = unpack<model::Network>(journal.meta(kNetworks)),
          .gone_networks = unpack<model::Network>(journal.meta(kGoneNetworks))};
}

Status remember(Journal& journal, const std::vector<model::Pool>& pools, const std::vector<model::Network>& networks) {
  auto kept = change<model::Pool>(journal, kPools, [&](auto& records) { records = pools; });
  if (!kept) return kept;
  // The gone ones first: a crash between the two must not lose them.
  kept = change<model::Network>(journal, kGoneNetworks, [&](auto& gone) {
    for (const auto& network : remembered(journal).networks) put(gone, network);
    for (const auto& network : networks) erase(gone, network.id);
  });
  if (!kept) return kept;
  return change<model::Network>(journal, kNetworks, [&](auto& records) { records = networks; });
}

Status remember(Journal& journal, const model::Pool& pool) {
  return change<model::Pool>(journal, kPools, [&](auto& records) { put(records, pool); });
}

Status remember(Journal& journal, const model::Network& network) {
  auto kept = change<model::Network>(journal, kNetworks, [&](auto& records) { put(records, network); });
  if (!kept) return kept;
  return change<model::Network>(journal, kGoneNetworks, [&](auto& gone) { erase(gone, network.id); });
}

Status mark_gone(Journal& journal, const model::Network& network) {
  auto kept = change<model::Network>(journal, kGoneNetworks, [&](auto& gone) { put(gone, network); });
  if (!kept) return kept;
  return change<model::Network>(journal, kNetworks, [&](auto& records) { erase(records, network.id); });
}

Status forget(Journal& journal, const model::PoolId& pool) {
  return change<model::Pool>(journal, kPools, [&](auto& records) { erase(records, pool); });
}

Status forget(Journal& journal, const model::NetworkId& network) {
  auto kept = change<model::Network>(journal, kNetworks, [&](auto& records) { erase(records, network); });
  if (!kept) return kept;
  return change<model::Network>(journal, kGoneNetworks, [&](auto& gone) { erase(gone, network); });
}

}  // namespace bridgehead::host_agent
