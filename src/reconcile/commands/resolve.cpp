#include <fnmatch.h>

#include "base/ids.h"
#include "reconcile/commands/draft.h"
#include "reconcile/commands/validate.h"

namespace bridgehead::reconcile {
namespace {

template <typename T>
constexpr std::string_view kWord = "record";
template <>
constexpr std::string_view kWord<model::Node> = "node";
template <>
constexpr std::string_view kWord<model::Pool> = "pool";
template <>
constexpr std::string_view kWord<model::Image> = "image";
template <>
constexpr std::string_view kWord<model::Network> = "network";
template <>
constexpr std::string_view kWord<model::Vm> = "VM";
template <>
constexpr std::string_view kWord<model::Token> = "token";
template <>
constexpr std::string_view kWord<model::NodeImage> = "node image";
template <>
constexpr std::string_view kWord<model::Profile> = "profile";
template <>
constexpr std::string_view kWord<model::Rule> = "rule";
template <>
constexpr std::string_view kWord<model::Benchmark> = "benchmark";

}  // namespace

template <typename T>
Result<state::Record<T>> resolve(const state::Inventory& inventory, const std::string& reference) {
  if (is_uuid(reference)) {
    if (auto record = inventory.find<T>(decltype(T::id)(reference))) return record;
  }
  if (auto record = inventory.find_by_name<T>(reference)) return record;
  return fail(ErrorCode::not_found, "there is no {} '{}'", kWord<T>, validate::shown(reference));
}

bool is_meant(const model::Node& node, const std::string& wanted) {
  return node.id.str() == wanted || ::fnmatch(wanted.c_str(), node.name.c_str(), 0) == 0;
}

template <typename T>
Status check_name_free(const state::Inventory& inventory, const std::string& name) {
  if (!inventory.find_by_name<T>(name)) return {};
  const std::string_view article = kWord<T>.starts_with('i') ? "an" : "a";
  return fail_with_hint(ErrorCode::already_exists,
                        fmt::format("name: {} {} named '{}' already exists", article, kWord<T>, name),
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
