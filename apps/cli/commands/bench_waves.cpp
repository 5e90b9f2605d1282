#include "cli/commands/bench_waves.h"

#include <algorithm>

#include "cli/context.h"
#include "load/sweep.h"

namespace bridgehead::cli {
namespace {

double seconds_between(Timestamp from, Timestamp to) { return std::chrono::duration<double>(to - from).count(); }

std::optional<std::uint64_t> bytes_in(const nlohmann::json& boot, const char* pointer) {
  const auto* value = find(boot, pointer);
  return value != nullptr && value->is_number_unsigned() ? std::optional(value->get<std::uint64_t>()) : std::nullopt;
}

bool is_named(const nlohmann::json& node, const std::string& name) {
  return text(node, "/name") == name || text(node, "/id") == name;
}

bool is_there(const nlohmann::json& node, const char* pointer) {
  const auto* value = find(node, pointer);
  return value != nullptr && !value->is_null();
}

Result<std::vector<nlohmann::json>> named_nodes(const nlohmann::json& nodes, const std::set<std::string>& with_guests,
                                                const std::vector<std::string>& named) {
  std::vector<nlohmann::json> picked;
  for (const auto& name : named) {
    const auto found = std::find_if(nodes.begin(), nodes.end(), [&](const auto& node) { return is_named(node, name); });
    if (found == nodes.end()) return fail(ErrorCode::not_found, "there is no node '{}'", name);
    if (const auto why = boot_obstacle(*found, with_guests); !why.empty()) {
      return fail(ErrorCode::failed_precondition, "node '{}' {}", text(*found, "/name"), why);
    }
    if (std::find(picked.begin(), picked.end(), *found) == picked.end()) picked.push_back(*found);
  }
  return picked;
}

}  // namespace

std::string boot_obstacle(const nlohmann::json& node, const std::set<std::string>& with_guests) {
  if (!is_there(node, "/netboot")) return "doesn't boot over the network";
  if (text(node, "/netboot/image").empty()) return "has no node image: bh node-image assign";
  if (!is_there(node, "/bmc")) return "can't be switched: bh node bmc set";
  if (with_guests.contains(text(node, "/id"))) return "has guests: move them first, bh node drain";
  if (text(node, "/state") != "ready") return "is " + text(node, "/state");
  return {};
}

Result<std::vector<nlohmann::json>> pick_nodes_to_boot(const nlohmann::json& nodes,
                                                       const std::set<std::string>& with_guests,
                                                       const std::vector<std::string>& named, std::size_t count) {
  std::vector<nlohmann::json> picked;
  std::vector<std::string> obstacles;
  if (!named.empty()) {
    auto found = named_nodes(nodes, with_guests, named);
    if (!found) return found;
    picked = std::move(*found);
  } else {
    for (const auto& node : nodes) {
      const auto why = boot_obstacle(node, with_guests);
      if (why.empty()) {
        picked.push_back(node);
      } else {
        obstacles.push_back(fmt::format("{} {}", text(node, "/name"), why));
      }
    }
  }
  std::sort(picked.begin(), picked.end(),
            [](const auto& a, const auto& b) { return text(a, "/name") < text(b, "/name"); });
  if (picked.empty() || picked.size() < count) {
    auto message = fmt::format("{} nodes can be booted, not {}", picked.size(), std::max<std::size_t>(count, 1));
    if (!obstacles.empty()) message += fmt::format(": {}", fmt::join(obstacles, "; "));
    return fail(ErrorCode::failed_precondition, "{}", message);
  }
  if (count > 0) picked.resize(count);
  for (const auto& node : picked) {
    const auto image = text(picked.front(), "/netboot/image");
    if (text(node, "/netboot/image") == image) continue;
    return fail(ErrorCode::invalid_argument, "{} boots {} and {} boots {}: name nodes of one image by --on",
                text(picked.front(), "/name"), image, text(node, "/name"), text(node, "/netboot/image"));
  }
  return picked;
}

Result<std::vector<unsigned>> parse_waves(const std::string& text, unsigned most) {
  if (!text.empty()) return load::parse_counts(text, most);
  std::vector<unsigned> waves;
  for (unsigned size = 1; size < most; size *= 2) waves.push_back(size);
  waves.push_back(most);
  return waves;
}

std::optional<bench::Part> part_of_boot(const std::string& node, const nlohmann::json& boot, Timestamp on,
                                        Timestamp wave_began) {
  const auto started = parse_rfc3339(text(boot, "/started"));
  const auto* events = find(boot, "/events");
  if (!started || *started < on || events == nullptr) return std::nullopt;
  bench::Part part{.node = node, .operations = 1, .began = std::max(0.0, seconds_between(wave_began, on))};
  std::set<std::string> seen;
  for (const auto& event : *events) {
    const auto step = text(event, "/step");
    const auto time = parse_rfc3339(text(event, "/time"));
    if (!time) continue;
    if (step == "failed") {
      part.error = text(event, "/message").empty() ? "its boot failed" : text(event, "/message");
      return part;
    }
    if (step == "fallback" || !seen.insert(step).second) continue;
    part.steps.push_back({step, std::max(0.0, seconds_between(on, *time))});
    if (step != "ready") continue;
    part.seconds = std::max(0.001, part.steps.back().at);
    part.p50_ms = part.p99_ms = part.seconds * 1000;
    part.http_bytes = bytes_in(boot, "/bytes/http");
    part.root_bytes = bytes_in(boot, "/bytes/root");
    return part;
  }
  return std::nullopt;
}

}  // namespace bridgehead::cli
