// What bench boot decides, without asking anybody: which nodes, in which waves, and what a boot's steps say. Pure;
// thread-safe.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/result.h"
#include "bench/record.h"

namespace bridgehead::cli {

// Why a node (of GET /nodes) can't be booted for a benchmark; "" = it can. `with_guests`: ids of nodes with guests.
std::string boot_obstacle(const nlohmann::json& node, const std::set<std::string>& with_guests);

// Those named, each of which must do; or, with none named, `count` of all that do (0: all). In the order of names.
// Errors: failed_precondition (with why), not_found, invalid_argument (they boot several images).
Result<std::vector<nlohmann::json>> pick_nodes_to_boot(const nlohmann::json& nodes,
                                                       const std::set<std::string>& with_guests,
                                                       const std::vector<std::string>& named, std::size_t count);

// "" -> 1, 2, 4, ... and `most`; otherwise as parse_counts.
Result<std::vector<unsigned>> parse_waves(const std::string& text, unsigned most);

// The part that a boot (of GET /nodes/{node}/boots) was, since power was asked for at `on`. None: it is under way, or
// it isn't that boot. With an error: it has failed.
std::optional<bench::Part> part_of_boot(const std::string& node, const nlohmann::json& boot, Timestamp on,
                                        Timestamp wave_began);

}  // namespace bridgehead::cli
