#include "lab/subnet.h"

#include <arpa/inet.h>

#include <charconv>
#include <nlohmann/json.hpp>

namespace bridgehead::lab {
namespace {

std::uint32_t mask(unsigned prefix) { return prefix == 0 ? 0 : ~std::uint32_t{0} << (32 - prefix); }

std::string dotted(std::uint32_t address) {
  return fmt::format("{}.{}.{}.{}", address >> 24, (address >> 16) & 0xff, (address >> 8) & 0xff, address & 0xff);
}

}  // namespace

Result<Subnet> Subnet::parse(std::string_view text) {
  const auto slash = text.find('/');
  const std::string address(text.substr(0, slash));
  in_addr parsed{};
  unsigned prefix = 32;
  bool good = ::inet_pton(AF_INET, address.c_str(), &parsed) == 1;
  if (slash != std::string_view::npos) {
    const auto length = text.substr(slash + 1);
    const auto [end, error] = std::from_chars(length.data(), length.data() + length.size(), prefix);
    good = good && error == std::errc() && end == length.data() + length.size() && prefix <= 32;
  }
  if (!good) {
    return fail_with_hint(ErrorCode::invalid_argument, fmt::format("'{}' is not an IPv4 subnet", text),
                          "Write it as 10.77.0.0/24.");
  }
  Subnet subnet;
  subnet.first_ = ntohl(parsed.s_addr);
  subnet.prefix_ = prefix;
  if ((subnet.first_ & ~mask(prefix)) != 0) {
    return fail_with_hint(ErrorCode::invalid_argument, fmt::format("'{}' is an address within a subnet", text),
                          fmt::format("The subnet is {}/{}.", dotted(subnet.first_ & mask(prefix)), prefix));
  }
  return subnet;
}

std::string Subnet::text() const { return fmt::format("{}/{}", dotted(first_), prefix_); }

bool Subnet::overlaps(const Subnet& other) const {
  const auto common = mask(std::min(prefix_, other.prefix_));
  return (first_ & common) == (other.first_ & common);
}

std::string Subnet::address(std::uint32_t number) const { return dotted(first_ + number); }

std::string Subnet::address_from_end(std::uint32_t n) const { return dotted((first_ | ~mask(prefix_)) - n); }

Result<Subnet> parse_lab_subnet(std::string_view text) {
  auto subnet = Subnet::parse(text);
  if (!subnet) return subnet;
  if (subnet->prefix() < 16 || subnet->prefix() > 27) {
    return fail_with_hint(ErrorCode::invalid_argument, fmt::format("{} is not of a size for a lab", subnet->text()),
                          "Use a prefix length from 16 to 27.");
  }
  return subnet;
}

Status require_room(const AddressPlan& addresses, std::size_t machines) {
  constexpr std::size_t others = 10 + 5;  // before the first member; the link to the host and the broadcast address
  const auto wanted = addresses.members + machines + others;
  if (wanted <= addresses.subnet.size()) return {};
  return fail_with_hint(
      ErrorCode::invalid_argument,
      fmt::format("{} has {} addresses, and {} are needed", addresses.subnet.text(), addresses.subnet.size(), wanted),
      "Name a larger one with --subnet, such as 10.80.0.0/22.");
}

Result<std::vector<Route>> parse_routes(std::string_view text) {
  std::vector<Route> routes;
  const auto parsed = nlohmann::json::parse(text, nullptr, false);
  if (!parsed.is_array()) return fail(ErrorCode::internal, "the host's routes can't be read: {}", text.substr(0, 80));
  for (const auto& entry : parsed) {
    if (!entry.is_object()) continue;
    const auto subnet = Subnet::parse(entry.value("dst", ""));
    if (subnet && subnet->prefix() > 0) routes.push_back({*subnet, entry.value("dev", "no device")});
  }
  return routes;
}

std::optional<Route> conflict(const Subnet& subnet, const std::vector<Route>& routes) {
  for (const auto& route : routes) {
    if (subnet.overlaps(route.subnet)) return route;
  }
  return std::nullopt;
}

Result<Subnet> choose_subnet(std::string_view wanted, const std::vector<Route>& routes) {
  if (!wanted.empty()) {
    auto subnet = parse_lab_subnet(wanted);
    if (!subnet) return subnet;
    if (const auto route = conflict(*subnet, routes)) {
      return fail_with_hint(ErrorCode::conflict,
                            fmt::format("the subnet {} overlaps with the host's route to {} ({})", subnet->text(),
                                        route->subnet.text(), route->device),
                            "Choose another with --subnet, or leave --subnet out to get a free one.");
    }
    return subnet;
  }
  std::vector<std::string> candidates;
  for (unsigned i = 0; i < 16; ++i) candidates.push_back(fmt::format("10.77.{}.0/24", i));
  for (unsigned i = 0; i < 8; ++i) candidates.push_back(fmt::format("172.31.{}.0/24", 70 + i));
  for (unsigned i = 0; i < 8; ++i) candidates.push_back(fmt::format("192.168.{}.0/24", 170 + i));
  for (const auto& candidate : candidates) {
    auto subnet = parse_lab_subnet(candidate);
    if (subnet && !conflict(*subnet, routes)) return subnet;
  }
  return fail_with_hint(ErrorCode::conflict, "every subnet that a lab would take overlaps with a route of the host",
                        "Name a free one with --subnet, or use --upstream none, which needs no route.");
}

}  // namespace bridgehead::lab
