#include "host_agent/remembered.h"

#include <nlohmann/json.hpp>

#include "model/codec.h"

namespace bridgehead::host_agent {
namespace {

constexpr char kPools[] = "pools";
constexpr char kNetworks[] = "networks";

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

}  // namespace

Remembered remembered(const Journal& journal) {
  return {.pools = unpack<model::Pool>(journal.meta(kPools)),
          .networks = unpack<model::Network>(journal.meta(kNetworks))};
}

Status remember(Journal& journal, const Remembered& what) {
  const auto keep = [&](const char* name, const std::string& text) -> Status {
    if (journal.meta(name) == text) return {};
    return journal.set_meta(name, text);
  };
  if (auto kept = keep(kPools, pack(what.pools)); !kept) return kept;
  return keep(kNetworks, pack(what.networks));
}

}  // namespace bridgehead::host_agent
