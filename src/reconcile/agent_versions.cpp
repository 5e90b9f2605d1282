#include "reconcile/agent_versions.h"

#include <array>
#include <charconv>
#include <optional>

namespace bridgehead::reconcile {
namespace {

using Numbers = std::array<std::uint32_t, 3>;

std::optional<Numbers> numbers_of(std::string_view version) {
  Numbers numbers{};
  const auto* at = version.data();
  const auto* const end = at + version.size();
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    const auto [next, error] = std::from_chars(at, end, numbers.at(i));
    if (error != std::errc()) return std::nullopt;
    at = next;
    if (at == end || *at != '.') break;
    ++at;
  }
  return numbers;
}

std::uint32_t distance(std::uint32_t a, std::uint32_t b) { return a < b ? b - a : a - b; }

}  // namespace

bool is_older(std::string_view version, std::string_view than) {
  const auto one = numbers_of(version);
  const auto other = numbers_of(than);
  return one && other && *one < *other;
}

bool work_together(std::string_view one, std::string_view other) {
  const auto a = numbers_of(one);
  const auto b = numbers_of(other);
  if (!a || !b) return false;
  return (*a)[0] == (*b)[0] ? distance((*a)[1], (*b)[1]) <= 1 : distance((*a)[0], (*b)[0]) == 1;
}

}  // namespace bridgehead::reconcile
