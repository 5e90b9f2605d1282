#include <fnmatch.h>

#include "base/ids.h"
#include "reconcile/commands/draft.h"
#include "reconcile/commands/validate.h"

namespace bridgehead::reconcile {
namespace {

struct Word {
  std::string_view text;  // in messages
  std::string_view noun;  // of bh
};
template <typename T>
constexpr Word kWord;
template <>
constexpr Word kWord<model::Node>{"node", "node"};
template <>
constexpr Word kWord<model::Pool>{"pool", "pool"};
template <>
constexpr Word kWord<model::Image>{"image", "image"};
template <>
constexpr Word kWord<model::Network>{"network", "network"};
template <>
constexpr Word kWord<model::Vm>{"VM", "vm"};
template <>
constexpr Word kWord<model::Token>{"token", "token"};
template <>
constexpr Word kWord<model::NodeImage>{"node image", "node-image"};
template <>
constexpr Word kWord<model::Profile>{"profile", "profile"};
template <>
constexpr Word kWord<model::Rule>{"rule", "rule"};
template <>
constexpr Word kWord<model::Benchmark>{"benchmark", "bench"};

}  // namespace

template <typename T>
Result<state::Record<T>> resolve(const state::Inventory& inventory, const std::string& reference) {
  if (is_uuid(reference)) {
    if (auto record = inventory.find<T>(decltype(T::id)(reference))) return record;
  }
  if (auto record = inventory.find_by_name<T>(reference)) return record;
  return fail_with_hint(ErrorCode::not_found,
                        fmt::format("there is no {} '{}'", kWord<T>.text, validate::shown(reference)),
                        fmt::format("bh {} list shows those that there are.", kWord<T>.noun));
}

bool is_meant(const model::Node& node, const std::string& wanted) {
  return node.id.str() == wanted || ::fnmatch(wanted.c_str(), node.name.c_str(), 0) == 0;
}

template <typename T>
Status check_name_free(const state::Inventory& inventory, const std::string& name) {
  if (!inventory.find_by_name<T>(name)) return {};
  const std::string_view article = kWord<T>.text.starts_with('i') ? "an" : "a";
  return fail_with_hint(ErrorCode::already_exists,
                        fmt::format("name: {} {} named '{}' already exists", article, kWord<T>.text, name),
                        "Choose another name.");
}

template Result<state::Record<model::Node>> resolve(const state::Inventory&, const std::string&);
template Result<state::Record<model::Pool>> resolve(const state::Inventory&, const std::string&);
template Result<state::Record<model::Image>> resolve(const state::Inventory&, const std::string&);
template Result<state::Record<model::Network>> resolve(const state::Inventory&, const std::string&);
template Result<state::Record<model::Vm>> resolve(const state::Inventory&, const std::string&);
template Result<state::Record<model::Token>> resolve(const state::Inventory&, const std::string&);
template Result<state::Record<model::NodeImage>> resolve(const state::Inventory&, const std::string&);
template Result<state::Record<model::Profile>> resolve(const state::Inventory&, const std::string&);
template Result<state::Record<model::Rule>> resolve(const state::Inventory&, const std::string&);
template Result<state::Record<model::Benchmark>> resolve(const state::Inventory&, const std::string&);

template Status check_name_free<model::Node>(const state::Inventory&, const std::string&);
template Status check_name_free<model::Pool>(const state::Inventory&, const std::string&);
template Status check_name_free<model::Image>(const state::Inventory&, const std::string&);
template Status check_name_free<model::Network>(const state::Inventory&, const std::string&);
template Status check_name_free<model::Vm>(const state::Inventory&, const std::string&);
template Status check_name_free<model::Token>(const state::Inventory&, const std::string&);
template Status check_name_free<model::Profile>(const state::Inventory&, const std::string&);
template Status check_name_free<model::Rule>(const state::Inventory&, const std::string&);
template Status check_name_free<model::Benchmark>(const state::Inventory&, const std::string&);

}  // namespace bridgehead::reconcile
